/** What builder schedules and executes: jobs, their files, and how often they are due. */
import { type Der, choice, explicit, map, optional, sequence, sequenceOf } from "../der/der.ts";
import { DerError } from "../der/der-error.ts";
import { nothing, utf8, utf8Bytes } from "../der/types.ts";

/** A file that a job gave, whole. */
export interface JobFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

export interface ScriptJob {
  readonly name: string;
  readonly script: string;
  /** `no-platform` in what builder 0.1 wrote. */
  readonly platform: string;
}

export interface OrbJob {
  readonly name: string;
  readonly opamPackage: string;
}

export type WireJob = ({ readonly type: "script" } & ScriptJob) | ({ readonly type: "orb" } & OrbJob);

export type Period = "hourly" | "daily" | "weekly" | "never";

/** What a job without a platform has. */
export const NO_PLATFORM = "no-platform";

/**
 * A path as builder takes it: not empty, without NUL; slashes that follow each other are one. Absolute paths and `..`
 * pass: whoever makes files of it must look. Throws DerError.
 */
export function wirePath(path: string): string {
  if (path === "") throw new DerError("bad-value", "a file without a path");
  if (path.includes("\0")) throw new DerError("bad-value", "a path with a NUL byte");
  return path.replaceAll(/\/{2,}/g, "/");
}

export const FILES: Der<readonly JobFile[]> = sequenceOf(
  sequence({ path: map(utf8(), wirePath, wirePath), bytes: utf8Bytes() }),
);

const scriptJobWire = sequence({ name: utf8(), script: utf8(), files: FILES, platform: optional(utf8()) });

/** Files of a job are a relic: none are written, and what is there is dropped. */
export const SCRIPT_JOB: Der<ScriptJob> = map(
  scriptJobWire,
  ({ name, script, platform = NO_PLATFORM }) => ({ name, script, platform }),
  ({ name, script, platform }) => ({ name, script, files: [], platform }),
);

export const JOB: Der<WireJob> = choice({
  script: explicit(0, SCRIPT_JOB),
  orb: explicit(1, orbJob()),
});

export function orbJob(): Der<OrbJob> {
  return sequence({ name: utf8(), opamPackage: utf8() });
}

const periods = choice({
  hourly: explicit(0, nothing()),
  daily: explicit(1, nothing()),
  weekly: explicit(2, nothing()),
  never: explicit(3, nothing()),
});

export const PERIOD: Der<Period> = map(
  periods,
  ({ type }): Period => type,
  (type) => ({ type }),
);
