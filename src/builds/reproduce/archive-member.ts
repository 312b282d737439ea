/** One file of an archive, and what may go wrong with archives. */
import { RoburError } from "../../lib/errors.ts";
import type { Sha256 } from "../../lib/sha256.ts";
import { sha256Of } from "../../lib/sha256-of.ts";

/** `no-program`: it could be looked into, but not on this machine. */
export class ArchiveError extends RoburError<"bad-archive" | "too-large" | "no-program"> {}

/** Mode, owner, time, link: what may differ beside the bytes. */
export type MemberFacts = Readonly<Record<string, string | number>>;

export interface Member {
  readonly name: string;
  readonly sha256: Sha256;
  /** Kept for explaining it further. */
  readonly content: Uint8Array;
  readonly about: MemberFacts;
}

/** Of everything in an archive, unpacked. */
export const UNPACKED_MAX = 256 * 1024 * 1024;
export const MEMBERS_MAX = 100_000;

export function member(name: string, content: Uint8Array, about: MemberFacts): Member {
  return { name, sha256: sha256Of(content), content, about };
}

export function tooLarge(): ArchiveError {
  return new ArchiveError("too-large", "this archive is too large to look into", {
    why: `more than ${UNPACKED_MAX / 1024 / 1024} MiB or ${MEMBERS_MAX} members`,
  });
}
