/** Who has a file locked, for the sentence that says why it can't be had. */
import { readSmallFile } from "./libc.ts";
import { identityOf } from "./file-lock.ts";

export interface LockHolder {
  readonly pid: number;
  /** Its command line, cut; its name where it has none. */
  readonly command: string;
}

const COMMAND_MAX = 80;

/**
 * The processes that have a lock on the file: those with a descriptor of it whose /proc entry tells of a lock. Of
 * processes that this one may not look into nothing is known, so that an empty list doesn't mean that there are
 * none.
 */
export function lockHolders(path: string): LockHolder[] {
  const wanted = identityOf(path);
  if (wanted === undefined) return [];
  // Only where something is in the way: node:fs takes a millisecond to load, and a tender has no use for it.
  const { readdirSync } = require("node:fs") as typeof import("node:fs");
  const list = (directory: string): string[] => {
    try {
      return readdirSync(directory);
    } catch (error) {
      // Gone meanwhile, or somebody else's.
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code === "ENOENT" || code === "EACCES" || code === "EPERM" || code === "ESRCH") return [];
      throw error;
    }
  };
  return list("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => list(`/proc/${pid}/fd`).some((fd) => hasLocked(pid, fd, wanted)))
    .map((pid) => ({ pid: Number(pid), command: commandOf(pid) }));
}

/** The holders in words, or undefined where none is known: "process 12 (solo5-spt -- web.spt)". */
export function describeHolders(holders: readonly LockHolder[]): string | undefined {
  if (holders.length === 0) return undefined;
  return holders.map(({ pid, command }) => `process ${pid} (${command})`).join(", ");
}

function hasLocked(pid: string, fd: string, wanted: string): boolean {
  if (identityOf(`/proc/${pid}/fd/${fd}`) !== wanted) return false;
  return /^lock:/m.test(readSmallFile(`/proc/${pid}/fdinfo/${fd}`) ?? "");
}

function commandOf(pid: string): string {
  const line = readSmallFile(`/proc/${pid}/cmdline`) ?? "";
  const name = (readSmallFile(`/proc/${pid}/comm`) ?? "?").trim();
  const words = line.replaceAll("\0", " ").trim() || name;
  // What a process calls itself is its own affair: nothing of it may reach a terminal as a command.
  const printable = words.replaceAll(/\p{Cc}/gu, "?");
  return printable.length > COMMAND_MAX ? `${printable.slice(0, COMMAND_MAX)}…` : printable;
}
