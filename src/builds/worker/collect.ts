/**
 * What a job left in its directory: regular files, found without following a link, since a job may have put one to
 * anywhere. Hidden files and the script are left out, as the original leaves them out.
 */
import { readdirSync } from "node:fs";
import { RoburError } from "../../lib/errors.ts";
import {
  O_CLOEXEC,
  O_DIRECTORY,
  O_NONBLOCK,
  O_RDONLY,
  close,
  open,
  openAt,
  preadInto,
  statDescriptor,
} from "../../linux/libc.ts";
import { formatSize } from "../../lib/units.ts";
import { artifactPath } from "../../store/builds/artifact-path.ts";

const O_NOFOLLOW = process.arch === "arm64" ? 0o100000 : 0o400000;
const SAFELY = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

export interface OutputFile {
  /** Below the job's directory. */
  readonly path: string;
  readonly size: number;
}

/** A directory of this size holds hundreds of thousands of names; what lists them holds them all in memory. */
const DIRECTORY_MAX = 16 * 1024 * 1024;
/** Names of every kind, looked at one by one. */
const NAMES_MAX = 100_000;

export interface OutputLimits {
  readonly files: number;
  readonly bytes: number;
  readonly depth: number;
}

export const OUTPUT_LIMITS: OutputLimits = { files: 10_000, bytes: 4 * 1024 ** 3, depth: 64 };

export class OutputError extends RoburError<"too-much-output" | "output-changed"> {}

export interface Output {
  /** By path. */
  readonly files: readonly OutputFile[];
  /** How many files have a path that no store keeps: with control characters, or longer than its own limit. */
  readonly leftOut: number;
}

/** What is there. Throws OutputError too-much-output. Nothing may run in there any more. */
export function collectOutput(directory: string, limits: OutputLimits = OUTPUT_LIMITS): Output {
  const files: OutputFile[] = [];
  let leftOut = 0;
  let bytes = 0;
  let names = 0;
  const walk = (fd: number, prefix: string, depth: number) => {
    if (depth > limits.depth) throw tooMuch(`directories are nested more than ${limits.depth} deep`);
    if (statDescriptor(fd).size > DIRECTORY_MAX) throw tooMuch("a directory with very many names");
    for (const name of readdirSync(`/proc/self/fd/${fd}`).sort()) {
      if (name.startsWith(".") || (prefix === "" && name === "script.sh")) continue;
      if (++names > NAMES_MAX) throw tooMuch(`more than ${NAMES_MAX} files and directories`);
      // A name that isn't UTF-8 can't be asked for by its text, and isn't found.
      const child = openAt(fd, name, SAFELY);
      if (child < 0) continue;
      try {
        const { kind, size } = statDescriptor(child);
        if (kind === "directory") walk(child, `${prefix}${name}/`, depth + 1);
        if (kind !== "file") continue;
        if (!artifactPath(`${prefix}${name}`).ok) {
          leftOut += 1;
          continue;
        }
        files.push({ path: `${prefix}${name}`, size });
        bytes += size;
        if (files.length > limits.files) throw tooMuch(`more than ${limits.files} files`);
        if (bytes > limits.bytes) throw tooMuch(`more than ${formatSize(limits.bytes)}`);
      } finally {
        close(child);
      }
    }
  };
  const root = open(directory, SAFELY | O_DIRECTORY);
  if (root < 0) return { files, leftOut };
  try {
    walk(root, "", 0);
  } finally {
    close(root);
  }
  return { files, leftOut };
}

function tooMuch(what: string): OutputError {
  return new OutputError("too-much-output", `the job left too much: ${what}`);
}

const PIECE = 256 * 1024;

/** A file's bytes, `size` of them. Throws OutputError output-changed. */
export function* readOutput(directory: string, { path, size }: OutputFile): Generator<Uint8Array, void> {
  const fd = openBelow(directory, path);
  try {
    for (let at = 0; at < size;) {
      const piece = new Uint8Array(Math.min(PIECE, size - at));
      const count = fd < 0 ? fd : preadInto(fd, piece, piece.length, at);
      if (count <= 0) throw new OutputError("output-changed", `${path} changed while it was read`);
      at += count;
      yield count === piece.length ? piece : piece.subarray(0, count);
    }
  } finally {
    if (fd >= 0) close(fd);
  }
}

/** Each part of the path by itself: a link anywhere in it would lead out. */
function openBelow(directory: string, path: string): number {
  let fd = open(directory, SAFELY | O_DIRECTORY);
  for (const part of path.split("/")) {
    if (fd < 0) return fd;
    const next = openAt(fd, part, SAFELY);
    close(fd);
    fd = next;
  }
  return fd;
}
