/** Builds that are files of this machine: what orb wrote into a directory, or the record of a build that builder keeps. */
import { closeSync, existsSync, openSync, readSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { RoburError } from "../lib/errors.ts";
import type { Sha256 } from "../lib/sha256.ts";
import { sha256Of } from "../lib/sha256-of.ts";
import { MIB } from "../lib/units.ts";
import { devicesOf } from "../image/manifest.ts";
import { ImageError } from "../image/image-error.ts";
import { type ImageSource, bytesSource } from "../image/source.ts";
import { readUnikernel } from "../image/unikernel.ts";
import { OpamError } from "../opam/opam-error.ts";
import { readSwitchExport } from "../opam/switch-export.ts";
import { ENTRY, readRecord } from "../protocols/builder/record.ts";
import { DerError } from "../protocols/der/der-error.ts";
import { decode } from "../protocols/der/der.ts";
import type { Solo5Notes } from "../store/api.ts";
import { type ComparedFile, isInputFile } from "../store/comparison/artifact-changes.ts";
import type { Comparable, ComparedBuild, Input } from "../store/comparison/comparison.ts";
import type { NamedBinary } from "../store/comparison/elf-sections.ts";
import type { ConsoleText } from "../store/comparison/console-changes.ts";
import { readEnvironment, readSystemPackages } from "../store/comparison/keyed-lines.ts";
import { CONSOLE_LIMIT, CONSOLE_TAIL, INPUT_LIMIT } from "../store/comparison/load-comparable.ts";

interface HashedBinary extends NamedBinary {
  readonly sha256: Sha256;
}

/** A build read from the disk. */
export interface LocalBuild {
  readonly comparable: Comparable;
  /** The main binary, and the unstripped one beside it, to be looked into. */
  readonly main: HashedBinary | undefined;
  readonly debug: HashedBinary | undefined;
}

/** The files are there, but they are no build. */
export class LocalBuildError extends RoburError<"not-a-build" | "too-large" | "unreadable"> {}

const MOST_FILES = 100_000;
/** A record is read into memory but for what is only hashed. */
const LARGEST_MAIN = 512 * MIB;

/** Whether the word means files here: it has a slash in it, or there is such a directory or file. */
export function isLocal(word: string): boolean {
  return word.includes("/") || word === "." || word === ".." || existsSync(word);
}

/** Throws LocalBuildError for what is no build, and for files that can't be read. */
export async function readLocal(path: string): Promise<LocalBuild> {
  try {
    return await readPath(path);
  } catch (error) {
    if (!(error instanceof Error) || !("syscall" in error)) throw error;
    throw new LocalBuildError("unreadable", `${path}: it can't be read`, {
      why: error.message,
      cause: error,
    });
  }
}

async function readPath(path: string): Promise<LocalBuild> {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) {
    throw new LocalBuildError("not-a-build", `${path}: there is no such file or directory`, {
      hint: "a directory that orb wrote, or the file named full that builder keeps of a build",
    });
  }
  if (!stat.isDirectory()) return readRecordFile(path);
  const record = join(path, "full");
  const hasInputs = readdirSync(path).some(isInputFile);
  return !hasInputs && existsSync(record) ? readRecordFile(record) : readDirectory(path);
}

/** What is kept of a file while a build is read. */
interface ReadFile extends ComparedFile {
  /** Of the input files. */
  readonly text?: string | undefined;
  /** Of main binaries, and of unstripped ones. */
  readonly source?: ImageSource;
}

function readDirectory(directory: string): LocalBuild {
  const paths = filesBelow(directory);
  if (!paths.some((path) => isInputFile(path) || isMain(path))) {
    throw new LocalBuildError("not-a-build", `${directory}: it holds no build`, {
      why: "it has neither opam-switch, build-environment and system-packages nor anything in bin",
      hint: "the directory that was orb's --out",
    });
  }
  const files = paths.map((path): ReadFile => {
    const full = join(directory, path);
    const { sha256, size } = hashFile(full);
    if (isInputFile(path) && size <= INPUT_LIMIT) return { path, sha256, size, text: textOf(full, size) };
    return { path, sha256, size, ...(isBinary(path) ? { source: fileSource(full, size) } : {}) };
  });
  return assemble({ name: directory }, files, { state: "missing" });
}

/** Paths of regular files, sorted; without orb's build directory, which is kept on demand and is no output. */
function filesBelow(directory: string): string[] {
  const found: string[] = [];
  const visit = (below: string) => {
    for (const entry of readdirSync(join(directory, below), { withFileTypes: true })) {
      const path = below === "" ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory() && path !== "build") visit(path);
      else if (entry.isFile()) found.push(path);
      if (found.length > MOST_FILES) throw new LocalBuildError("too-large", `${directory}: too many files`);
    }
  };
  visit("");
  return found.toSorted();
}

async function readRecordFile(path: string): Promise<LocalBuild> {
  const build: { -readonly [K in keyof ComparedBuild]: ComparedBuild[K] } = { name: path };
  const files: ReadFile[] = [];
  /** Newest first, as the record has them. */
  const console: string[] = [];
  try {
    const stream = Bun.file(path).stream() as unknown as AsyncIterable<Uint8Array>;
    for await (const part of readRecord(stream, { limits: { console: 64 * MIB } })) {
      if (part.kind === "name") build.job = part.name;
      else if (part.kind === "identity")
        Object.assign(build, { platform: part.platform, name: `${build.job}@${part.uuid}` });
      else if (part.kind === "console") {
        for (const entry of part.encoded) console.push(new TextDecoder().decode(decode(ENTRY, entry).text));
      } else if (part.kind === "end") {
        const { startedAt, finishedAt, result } = part;
        Object.assign(build, { startedAt, finishedAt, result });
      } else if (part.kind === "file") files.push(await readRecordPart(part));
    }
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw new LocalBuildError("not-a-build", `${path}: it is no record of a build`, {
      why: error.message,
      cause: error,
    });
  }
  const lines = console.toReversed().map((line) => `${line.replace(/\n$/, "")}\n`);
  const text = lines.join("");
  return assemble(build, files, {
    state: "read",
    value: {
      beginning: text.slice(0, CONSOLE_LIMIT),
      end: text.slice(-CONSOLE_TAIL),
      isCut: text.length > CONSOLE_LIMIT,
    },
  });
}

async function readRecordPart(part: {
  readonly path: string;
  readonly size: number;
  readonly bytes: () => AsyncIterable<Uint8Array>;
}): Promise<ReadFile> {
  const { path, size } = part;
  const isKept = isInputFile(path) ? size <= INPUT_LIMIT : isBinary(path) && size <= LARGEST_MAIN;
  const hash = new Bun.CryptoHasher("sha256");
  const pieces: Uint8Array[] = [];
  for await (const piece of part.bytes()) {
    hash.update(piece);
    if (isKept) pieces.push(piece.slice());
  }
  const sha256 = hash.digest("hex") as Sha256;
  if (!isKept) return { path, sha256, size };
  const bytes = new Uint8Array(Buffer.concat(pieces));
  return isInputFile(path)
    ? { path, sha256, size, text: new TextDecoder().decode(bytes) }
    : { path, sha256, size, source: bytesSource(bytes) };
}

const isMain = (path: string) => path.startsWith("bin/");
const isBinary = (path: string) => isMain(path) || path.endsWith(".debug");

function assemble(known: ComparedBuild, files: readonly ReadFile[], console: Input<ConsoleText>): LocalBuild {
  const programs = files.filter(({ path }) => isMain(path));
  const main = programs.length === 1 ? programs[0] : undefined;
  const input = <T>(path: string, read: (text: string) => T): Input<T> => {
    const file = files.find((candidate) => candidate.path === path);
    if (file === undefined) return { state: "missing" };
    if (file.text === undefined) return { state: "unreadable", error: `${path}: it is too large` };
    try {
      return { state: "read", value: read(file.text) };
    } catch (error) {
      if (!(error instanceof OpamError)) throw error;
      return { state: "unreadable", error: `${path}: ${error.message}` };
    }
  };
  const build: ComparedBuild =
    main === undefined
      ? known
      : { ...known, main: { path: main.path, sha256: main.sha256, size: main.size } };
  const comparable: Comparable = {
    build,
    files: files.map(({ path, sha256, size }) => ({ path, sha256, size })),
    switchExport: input("opam-switch", readSwitchExport),
    environment: input("build-environment", readEnvironment),
    systemPackages: input("system-packages", readSystemPackages),
    solo5: main?.source === undefined ? { state: "missing" } : notesOf(main.source),
    console,
  };
  const named = (file: ReadFile | undefined): HashedBinary | undefined =>
    file?.source === undefined ? undefined : { path: file.path, sha256: file.sha256, source: file.source };
  const debug = main === undefined ? undefined : `${basename(main.path)}.debug`;
  return {
    comparable,
    main: named(main),
    debug: named(files.find(({ path }) => basename(path) === debug)),
  };
}

function notesOf(source: ImageSource): Input<Solo5Notes> {
  try {
    const { abi, manifest } = readUnikernel(source);
    const devices: Solo5Notes["manifest"]["devices"][number][] = [];
    for (const { device } of devicesOf(manifest)) {
      if (device.type === "other" || device.type === "reserved") return { state: "missing" };
      devices.push({ name: device.name, type: device.type });
    }
    return {
      state: "read",
      value: {
        manifest: { type: "solo5.manifest", version: 1, devices },
        abi: { type: "solo5.abi", target: abi.target, version: abi.version },
      },
    };
  } catch (error) {
    // A program or a package of an operating system.
    if (error instanceof ImageError) return { state: "missing" };
    throw error;
  }
}

/** Opens the file for each piece: a directory has any number of them. */
function fileSource(path: string, size: number): ImageSource {
  return {
    size,
    read(offset, length) {
      if (offset >= size || length === 0) return new Uint8Array(0);
      const bytes = new Uint8Array(Math.min(length, size - offset));
      const fd = openSync(path, "r");
      try {
        return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, offset));
      } finally {
        closeSync(fd);
      }
    },
  };
}

function hashFile(path: string): { readonly sha256: Sha256; readonly size: number } {
  const { size } = statSync(path);
  const source = fileSource(path, size);
  if (size <= MIB) return { sha256: sha256Of(source.read(0, size)), size };
  const hash = new Bun.CryptoHasher("sha256");
  for (let at = 0; at < size; at += MIB) hash.update(source.read(at, MIB));
  return { sha256: hash.digest("hex") as Sha256, size };
}

const textOf = (path: string, size: number) => new TextDecoder().decode(fileSource(path, size).read(0, size));
