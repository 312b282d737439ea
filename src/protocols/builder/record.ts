/**
 * Reads the record of a finished build, the Exec document that builder-server writes as `full` and uploads, as it
 * arrives: builder-orb's grammar. Its files are passed through; of everything else no more is held than one script, one
 * console line or one path.
 *
 * A document's frame is what is left of it without the bytes of its files. With the frame, the places of the holes and
 * the files, it can be given back byte for byte.
 */
import { KIB, MIB, GIB } from "../../lib/units.ts";
import { type Der, decode, map, sequence } from "../der/der.ts";
import { DerStream } from "../der/der-stream.ts";
import { DerError } from "../der/der-error.ts";
import { integer, utf8, utf8Bytes } from "../der/types.ts";
import { FILES, NO_PLATFORM, wirePath } from "./job.ts";
import type { Result } from "./result-text.ts";
import { RESULT } from "./results.ts";
import { time } from "./times.ts";
import { UUID } from "./uuid.ts";

/** One piece of output. */
export interface ConsoleEntry {
  /** Nanoseconds since the start. */
  readonly delta: bigint;
  readonly text: Uint8Array;
}

/** The parts of a record in their order. Each must be done with before the next is asked for. */
export type RecordPart =
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "script"; readonly script: Uint8Array }
  | { readonly kind: "identity"; readonly platform: string; readonly uuid: string }
  /** Any number of times. The newest entry is the first. `encoded`: the entry's own bytes. */
  | { readonly kind: "console"; readonly encoded: readonly Uint8Array[] }
  | { readonly kind: "end"; readonly startedAt: number; readonly finishedAt: number; readonly result: Result }
  | {
      readonly kind: "file";
      readonly path: string;
      readonly size: number;
      /** Where its bytes belong in the frame. */
      readonly offset: number;
      /** To be read to the end, once. */
      readonly bytes: () => AsyncGenerator<Uint8Array, void, void>;
    };

/** What is taken at most, in bytes but for `files`. Beyond: DerError too-large. */
export interface RecordLimits {
  readonly total: number;
  readonly script: number;
  readonly console: number;
  /** One entry of the console. */
  readonly line: number;
  readonly path: number;
  /** How many. */
  readonly files: number;
}

export const RECORD_LIMITS: RecordLimits = {
  total: 4 * GIB,
  script: 16 * MIB,
  console: 256 * MIB,
  line: 16 * MIB,
  path: KIB,
  files: 10_000,
};

/** Longest texts that aren't counted by a limit of their own, headers included. */
const NAME = 4 * KIB;
const TIMES = 256;
const RESULT_TEXT = 64 * KIB;
const JOB_FILES = MIB;
const HEADERS = 16;

const SEQUENCE = 0x30;
const EXEC = 0xa0;
const JOB_FINISHED = 0xa3;
const OUTPUT = 0xa4;
const UTF8 = 0x0c;

const PATH = map(utf8(), wirePath, wirePath);
const TIMES_TYPE = sequence({ startedAt: time(), finishedAt: time() });
export const ENTRY: Der<ConsoleEntry> = sequence({ delta: integer(), text: utf8Bytes() });

export interface RecordReading {
  readonly limits?: Partial<RecordLimits>;
  /** Told of the frame's bytes in their order: views. They come ahead of the parts. */
  readonly frame?: (bytes: Uint8Array) => void;
}

/** Reads a record. Throws DerError for bytes that aren't one, and what the stream throws. */
export async function* readRecord(
  stream: AsyncIterable<Uint8Array>,
  options: RecordReading = {},
): AsyncGenerator<RecordPart, void, void> {
  const limits = { ...RECORD_LIMITS, ...options.limits };
  let framed = 0;
  await using input = new DerStream(stream, (bytes) => {
    framed += bytes.length;
    options.frame?.(bytes);
  });
  await input.open(EXEC, limits.total, "a record");
  await input.open(SEQUENCE);

  await input.open(SEQUENCE);
  yield { kind: "name", name: await input.value(utf8(), NAME, "the job's name") };
  yield { kind: "script", script: await input.value(utf8Bytes(), limits.script + HEADERS, "the script") };
  await input.value(FILES, JOB_FILES, "the job's files");
  const platform = input.isAtEnd ? NO_PLATFORM : await input.value(utf8(), NAME, "the platform");
  input.close();
  yield { kind: "identity", platform, uuid: await input.value(UUID, NAME, "the UUID") };

  await input.open(SEQUENCE, limits.console + HEADERS, "a console");
  while (!input.isAtEnd) {
    const encoded = await input.ready(limits.line + 2 * HEADERS, "a line of the console");
    for (const entry of encoded) decode(ENTRY, entry);
    yield { kind: "console", encoded };
  }
  input.close();

  const times = await input.value(TIMES_TYPE, TIMES, "the times");
  yield { kind: "end", ...times, result: await input.value(RESULT, RESULT_TEXT, "the result") };

  yield* readFiles(input, limits, () => framed);
  input.close();
  input.close();
  await input.finish();
}

/** What a job's end says, and its files as they arrive. */
export type FinishedPart =
  | { readonly kind: "end"; readonly uuid: string; readonly result: Result }
  | Extract<RecordPart, { kind: "file" }>;

/**
 * Reads the message of a worker whose job has ended, which has all of the job's files, from a frame's payload as it
 * arrives. `offset` of a file is where its bytes are in the payload. Throws DerError.
 */
export async function* readJobFinished(
  payload: AsyncIterable<Uint8Array>,
  options: { readonly limits?: Partial<RecordLimits> } = {},
): AsyncGenerator<FinishedPart, void, void> {
  const limits = { ...RECORD_LIMITS, ...options.limits };
  await using input = new DerStream(payload);
  await input.open(JOB_FINISHED, limits.total, "a job's end");
  await input.open(SEQUENCE);
  const uuid = await input.value(UUID, NAME, "the UUID");
  yield { kind: "end", uuid, result: await input.value(RESULT, RESULT_TEXT, "the result") };
  yield* readFiles(input, limits, () => input.offset);
  input.close();
  input.close();
  await input.finish();
}

/** The identifier octet of a message from a worker that its job writes something, or has ended. */
export type LargeMessage = "output" | "job-finished";

/** What a payload that begins so is; undefined for messages that are never large. */
export function largeMessage(first: number | undefined): LargeMessage | undefined {
  if (first === OUTPUT) return "output";
  return first === JOB_FINISHED ? "job-finished" : undefined;
}

/** Reads a line that a job wrote as it arrives, from a frame's payload. Throws DerError, also for one with a time. */
export async function* readOutput(
  payload: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  await using input = new DerStream(payload);
  await input.open(OUTPUT);
  await input.open(SEQUENCE);
  await input.value(UUID, NAME, "the UUID");
  yield* (await input.large(UTF8)).bytes();
  input.close();
  input.close();
  await input.finish();
}

async function* readFiles(
  input: DerStream,
  limits: RecordLimits,
  place: () => number,
): AsyncGenerator<Extract<RecordPart, { kind: "file" }>, void, void> {
  await input.open(SEQUENCE);
  for (let count = 1; !input.isAtEnd; count++) {
    if (count > limits.files)
      throw new DerError("too-large", `more than ${limits.files} files`, input.offset);
    await input.open(SEQUENCE);
    const path = await input.value(PATH, limits.path + HEADERS, "a path");
    const { length: size, bytes } = await input.large(UTF8);
    const before = input.offset;
    yield { kind: "file", path, size, offset: place(), bytes };
    if (input.offset - before !== size) throw new TypeError(`${path} wasn't read to its end`);
    input.close();
  }
  input.close();
}
