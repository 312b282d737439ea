/**
 * What the store offers: contents by their SHA-256, and the builds made of them. Expected outcomes (not found, refused)
 * are values; only faults are thrown. Times are milliseconds since 1970, sizes are bytes.
 */
import type { Sha256 } from "../lib/sha256.ts";
import type { Result } from "../protocols/builder/result-text.ts";

export type { Sha256 };

declare const brand: unique symbol;

/** A build's UUID: 36 characters, in lower case. */
export type BuildId = string & { readonly [brand]: "BuildId" };
/** Letters, digits and . _ + -, the first a letter or digit, at most 128. */
export type JobName = string & { readonly [brand]: "JobName" };
/** Written as a job's name is: debian-12, freebsd-14. */
export type Platform = string & { readonly [brand]: "Platform" };

/* ---- contents ---- */

/** Bytes that are kept, whole and verified. */
export interface Content {
  readonly id: number;
  readonly sha256: Sha256;
  readonly size: number;
}

/** What bytes are said to be; they are refused when they turn out otherwise. */
export interface Expected {
  readonly sha256?: Sha256 | undefined;
  readonly size?: number | undefined;
}

/** Takes one content's bytes. Disposing of it before `finish` drops them. */
export interface ContentWriter extends AsyncDisposable {
  /** Resolves when there is room for more: memory stays a few chunks. The bytes are the caller's again then. */
  write(bytes: Uint8Array): Promise<void>;
  /** Makes the bytes a content; answers the one that was there already when there is one. Throws StoreError. */
  finish(expected?: Expected): Promise<Content>;
}

/**
 * Keeps what is written through it, and what it found, from being collected until it is disposed of: by then
 * something must refer to it.
 */
export interface ContentSession extends AsyncDisposable {
  writer(): ContentWriter;
  put(bytes: Uint8Array | ReadableStream<Uint8Array>, expected?: Expected): Promise<Content>;
  find(sha256: Sha256): Content | undefined;
}

/** The first byte and the one behind the last. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export interface ContentStore extends AsyncDisposable {
  session(): ContentSession;
  find(sha256: Sha256): Content | undefined;
  /** By its row, for what refers to it. Undefined when it isn't there. */
  byId(id: number): Content | undefined;
  /** The bytes, a chunk at a time; collection doesn't disturb a reading that began. */
  read(content: Content, range?: ByteRange): ReadableStream<Uint8Array>;
  /** All bytes at once, for small ones. Throws StoreError too-large beyond `limit`. */
  bytes(content: Content, limit?: number): Promise<Uint8Array>;
}

/* ---- builds ---- */

/** How a build ended. Signals are in OCaml's numbers: negative for those that it knows (SIGKILL is -7). */
export type BuildResult = Result;

export interface Artifact {
  readonly path: string;
  readonly sha256: Sha256;
  readonly size: number;
  /** False where only the hash is known: an import found the file damaged or missing. */
  readonly isKept: boolean;
}

/** What a unikernel says of itself, in builder-web's words. */
export interface Solo5Notes {
  readonly manifest: {
    readonly type: "solo5.manifest";
    readonly version: number;
    readonly devices: readonly { readonly name: string; readonly type: "NET_BASIC" | "BLOCK_BASIC" }[];
  };
  readonly abi: { readonly type: "solo5.abi"; readonly target: string; readonly version: number };
}

/** A build as lists show it. */
export interface BuildSummary {
  readonly id: BuildId;
  readonly job: JobName;
  readonly platform: Platform;
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly result: BuildResult;
  /** Undefined where one of the three input files is missing. */
  readonly inputId: Sha256 | undefined;
  /** The only file below bin/. Undefined: the build failed. */
  readonly main: Artifact | undefined;
  readonly solo5: Solo5Notes | undefined;
  readonly isPinned: boolean;
}

/** Everything about a build. */
export interface Build extends BuildSummary {
  /** The main binary first, the others by path. */
  readonly artifacts: readonly Artifact[];
  readonly script: Content;
  /** Lines `1.500s:text`, oldest first. */
  readonly console: Content;
  readonly uploadedBy: string;
  readonly worker: string | undefined;
  readonly receivedAt: number;
}

export interface Job {
  readonly name: JobName;
  readonly section: string | undefined;
  readonly synopsis: string | undefined;
  readonly description: string | undefined;
  /** Markdown. */
  readonly readme: string | undefined;
  /** Ascending. */
  readonly platforms: readonly Platform[];
}

/** A job as the index shows it. */
export interface JobOverview {
  readonly name: JobName;
  readonly section: string | undefined;
  readonly synopsis: string | undefined;
  /** The newest successful build of each platform, by platform. */
  readonly latest: readonly BuildSummary[];
  /** The newest successful build of all. */
  readonly newest: BuildSummary | undefined;
  /** The last runs of each platform, newest first, failed ones too: a strip of health. */
  readonly recent: readonly { readonly platform: Platform; readonly builds: readonly BuildSummary[] }[];
}

/** Builds of a job that gave the same main binary. */
export interface OutputGroup {
  readonly output: Sha256;
  readonly newest: BuildSummary;
  readonly oldestAt: number;
  readonly count: number;
}

/** Spec 6.3. */
export interface Neighbours {
  readonly previous: BuildSummary | undefined;
  readonly next: BuildSummary | undefined;
  readonly latest: BuildSummary | undefined;
}

/** Spec 6.5: each list newest first. */
export interface Reproductions {
  readonly sameInputSameOutput: readonly BuildSummary[];
  /** One for each other input id. */
  readonly otherInputSameOutput: readonly BuildSummary[];
  /** One for each other output: not reproducible. */
  readonly sameInputOtherOutput: readonly BuildSummary[];
}

export interface Page {
  /** At most so many. */
  readonly limit: number;
  /** Skips so many. */
  readonly start?: number;
}

/** Why an upload was refused; nothing is kept of it then. */
export interface UploadRefusal {
  readonly code: "bad-record" | "not-permitted" | "exists" | "too-large" | "wrong-hash";
  readonly message: string;
  /** With `exists`: the build that has the UUID. */
  readonly existing?: BuildSummary;
}

export type UploadOutcome =
  { readonly ok: true; readonly build: Build } | { readonly ok: false; readonly refusal: UploadRefusal };

export interface RecordUpload {
  /** Asked as soon as the job's name is read, before anything large is taken. */
  readonly mayUpload: (job: JobName) => boolean;
  readonly uploadedBy: string;
  readonly worker?: string | undefined;
  /** What was announced of the build: with another id, or without that file, it is refused. */
  readonly announced?: Announced | undefined;
}

export interface Announced {
  readonly id: BuildId;
  /** The main binary's; undefined where it has none. */
  readonly main: Sha256 | undefined;
}

/** One console line: nanoseconds since the start, and its bytes without the line end. */
export interface TimedLine {
  readonly delta: bigint;
  readonly text: Uint8Array;
}

/** A build that robur made or was given as files; it is kept as an exec document too. */
export interface NewBuild {
  readonly id: BuildId;
  readonly job: JobName;
  readonly platform: Platform;
  readonly script: Uint8Array;
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly result: BuildResult;
  /** Oldest first. Read once. */
  readonly console: Iterable<TimedLine> | AsyncIterable<TimedLine>;
  /** In this order. The contents are held by the caller's session. */
  readonly files: readonly { readonly path: string; readonly content: Content }[];
  readonly uploadedBy: string;
  readonly worker?: string | undefined;
  /** What went in, where the files don't tell. */
  readonly inputId?: Sha256 | undefined;
}

export interface BuildStore {
  /** By section, then name. `activeSince`: leaves out platforms whose newest success finished at or before it. */
  overview(options?: { readonly activeSince?: number }): JobOverview[];
  jobs(): JobName[];
  job(name: JobName): Job | undefined;
  build(id: BuildId): Build | undefined;
  /** By any unique beginning of the UUID, at least four characters. */
  resolve(prefix: string): BuildSummary[];
  /** Newest first. */
  buildsOf(
    job: JobName,
    options: Page & { readonly platform?: Platform; readonly kind?: "all" | "successful" | "failed" },
  ): BuildSummary[];
  /** Newest first. */
  outputsOf(job: JobName, options?: Partial<Page> & { readonly platform?: Platform }): OutputGroup[];
  latest(job: JobName, platform?: Platform): BuildSummary | undefined;
  neighbours(build: BuildSummary): Neighbours;
  reproductions(build: BuildSummary): Reproductions;
  /** Newest first, of all jobs. */
  failed(options: Page & { readonly platform?: Platform }): BuildSummary[];
  /** The builds that contain this file: as main binary first, then newest first. */
  containing(sha256: Sha256, limit?: number): BuildSummary[];
  /** A file of a build; undefined when it has none of that path, or its bytes are missing. */
  artifact(
    build: BuildId,
    path: string,
  ): { readonly artifact: Artifact; readonly content: Content | undefined } | undefined;

  /** Takes an exec document (spec builder-orb A4), streamed. */
  upload(record: ReadableStream<Uint8Array>, options: RecordUpload): Promise<UploadOutcome>;
  add(build: NewBuild): Promise<UploadOutcome>;
  /** The exec document: byte for byte as it came, or made for builds that came otherwise. */
  record(
    id: BuildId,
  ): { readonly size: number; readonly stream: () => ReadableStream<Uint8Array> } | undefined;

  pin(id: BuildId, isPinned: boolean): boolean;
  /** False when there was none. Its contents go with the next collection. */
  remove(id: BuildId): boolean;
  /** With all its builds. False when there was none. */
  removeJob(name: JobName): boolean;
}

/** Undefined for what can't be one. */
export function parseBuildId(text: string): BuildId | undefined {
  const id = text.toLowerCase();
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(id)
    ? (id as BuildId)
    : undefined;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$/;

/** Undefined for what can't be one: a job's name is a part of addresses and file names. */
export function parseJobName(text: string): JobName | undefined {
  return NAME.test(text) ? (text as JobName) : undefined;
}

/** Undefined for what can't be one. */
export function parsePlatform(text: string): Platform | undefined {
  return NAME.test(text) ? (text as Platform) : undefined;
}
