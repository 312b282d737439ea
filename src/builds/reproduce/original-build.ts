/** The build that is to be made again, out of its exec document: any builder-web and any robur gives it. */
import { readRecord } from "../../protocols/builder/record.ts";
import { RoburError } from "../../lib/errors.ts";
import { parseBuildId, parseJobName, parsePlatform } from "../../store/api.ts";
import type { BuildId, BuildResult, JobName, Platform } from "../../store/api.ts";
import type { InputTexts } from "../attestations/ingredients.ts";
import type { OutputFile } from "./outputs.ts";
import type { SpooledFiles } from "./spooled-files.ts";

export class OriginalError extends RoburError<"bad-record"> {}

export interface OriginalBuild {
  readonly id: BuildId;
  readonly job: JobName;
  readonly platform: Platform;
  readonly script: Uint8Array;
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly result: BuildResult;
  readonly files: readonly OutputFile[];
  readonly inputs: InputTexts;
}

const INPUT_MAX = 32 * 1024 * 1024;

/** Reads an exec document, its files into `spool`. Throws OriginalError, DerError, and what the stream throws. */
export async function readOriginal(
  record: AsyncIterable<Uint8Array>,
  spool: SpooledFiles,
): Promise<OriginalBuild> {
  let [name, script, platform, uuid] = ["", new Uint8Array(), "", ""];
  let end: { startedAt: number; finishedAt: number; result: BuildResult } | undefined;
  const files: OutputFile[] = [];
  for await (const part of readRecord(record)) {
    if (part.kind === "name") name = part.name;
    if (part.kind === "script") script = Uint8Array.from(part.script);
    if (part.kind === "identity") [platform, uuid] = [part.platform, part.uuid];
    if (part.kind === "end") end = part;
    if (part.kind === "file") files.push(await spool.add(part.path, part.bytes()));
  }
  const [id, job, known] = [parseBuildId(uuid), parseJobName(name), parsePlatform(platform)];
  if (id === undefined || job === undefined || known === undefined || end === undefined) {
    throw new OriginalError("bad-record", "this build can't be made again", {
      why: `its job ${JSON.stringify(name)} or its platform ${JSON.stringify(platform)} has no name that can be one`,
    });
  }
  const { startedAt, finishedAt, result } = end;
  return {
    ...{ id, job, platform: known, script, files, startedAt, finishedAt, result },
    inputs: inputsOf(files),
  };
}

/** The texts of the three input files. */
export function inputsOf(files: readonly OutputFile[]): InputTexts {
  const text = (path: string): string | undefined => {
    const file = files.find((one) => one.path === path);
    if (file === undefined || file.size > INPUT_MAX) return undefined;
    return Buffer.from(file.source.read(0, file.size)).toString("utf8");
  };
  return {
    opamSwitch: text("opam-switch"),
    environment: text("build-environment"),
    systemPackages: text("system-packages"),
  };
}
