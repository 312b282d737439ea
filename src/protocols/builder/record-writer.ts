/**
 * Writes records of finished builds. All sizes are known before the first byte is, as DER wants it: so the frame, which
 * is everything but the files' bytes, is made first, and what it takes is the console's size and those of the files.
 */
import { encode, sequence } from "../der/der.ts";
import { encodeHeader, encodedSize } from "../der/writer.ts";
import { time } from "./times.ts";
import { utf8, utf8Bytes } from "../der/types.ts";
import { FILES, wirePath } from "./job.ts";
import { type ConsoleEntry, ENTRY } from "./record.ts";
import type { Result } from "./result-text.ts";
import { RESULT } from "./results.ts";
import { UUID } from "./uuid.ts";

/** A record but for its console and the bytes of its files. Times are milliseconds since 1970. */
export interface RecordFields {
  readonly name: string;
  readonly script: Uint8Array;
  readonly platform: string;
  /** 36 characters. */
  readonly uuid: string;
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly result: Result;
  /** The bytes of all entries together, as `encodeEntry` gives them. */
  readonly consoleSize: number;
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

/** The parts of a frame: the head, then the console's entries with the newest first, then the tail. */
export interface RecordFrame {
  /** Bytes of the whole record, files included. */
  readonly size: number;
  readonly head: Uint8Array;
  readonly tail: Uint8Array;
  /** Where the files' bytes belong in the frame, in the files' order. */
  readonly holes: readonly number[];
}

const SEQUENCE = 0x30;
const EXEC = 0xa0;
const UTF8 = 0x0c;

/** An entry's bytes in a record. */
export function encodeEntry(entry: ConsoleEntry): Uint8Array {
  return encode(ENTRY, entry);
}

/** Throws DerError for what can't be written: half a character, a time in the year 10000. */
export function recordFrame(record: RecordFields): RecordFrame {
  const job = encode(JOB, { ...record, files: [] });
  const uuid = encode(UUID, record.uuid);
  const after = Buffer.concat([encode(TIMES, record), encode(RESULT, record.result)]);
  const files = record.files.map((file) => ({ size: file.size, header: fileHeader(file) }));
  const output = files.reduce((sum, { header, size }) => sum + header.length + size, 0);
  const build =
    job.length + uuid.length + encodedSize(record.consoleSize) + after.length + encodedSize(output);
  const head = Buffer.concat([
    Uint8Array.from(encodeHeader(EXEC, encodedSize(build))),
    Uint8Array.from(encodeHeader(SEQUENCE, build)),
    job,
    uuid,
    Uint8Array.from(encodeHeader(SEQUENCE, record.consoleSize)),
  ]);
  const outputHeader = Uint8Array.from(encodeHeader(SEQUENCE, output));
  const tail = Buffer.concat([after, outputHeader, ...files.map(({ header }) => header)]);
  let place = head.length + record.consoleSize + after.length + outputHeader.length;
  const holes = files.map(({ header }) => (place += header.length));
  return { size: encodedSize(encodedSize(build)), head, tail, holes };
}

/** What stands before a file's bytes, in records and messages. Throws DerError for what can't be a path. */
export function fileHeader({ path, size }: { readonly path: string; readonly size: number }): Uint8Array {
  const name = encode(utf8(), wirePath(path));
  return Buffer.concat([
    Uint8Array.from(encodeHeader(SEQUENCE, name.length + encodedSize(size))),
    name,
    Uint8Array.from(encodeHeader(UTF8, size)),
  ]);
}

/** A file whose bytes come when they are asked for; exactly `size` of them. */
export interface RecordFile {
  readonly path: string;
  readonly size: number;
  readonly bytes: () => AsyncIterable<Uint8Array>;
}

/** A whole record as a stream, and its size. `console`: oldest first. Throws DerError as `recordFrame` does. */
export function writeRecord(
  record: Omit<RecordFields, "consoleSize" | "files">,
  console: readonly ConsoleEntry[],
  files: readonly RecordFile[],
): { readonly size: number; readonly stream: () => AsyncGenerator<Uint8Array, void, void> } {
  const entries = console.map(encodeEntry).toReversed();
  const consoleSize = entries.reduce((sum, { length }) => sum + length, 0);
  const { size, head, tail, holes } = recordFrame({ ...record, consoleSize, files });
  return {
    size,
    async *stream() {
      yield head;
      yield* entries;
      let done = 0;
      for (const [i, file] of files.entries()) {
        const hole = holes[i]! - head.length - consoleSize;
        yield tail.subarray(done, hole);
        done = hole;
        let left = file.size;
        for await (const bytes of file.bytes()) {
          left -= bytes.length;
          if (left < 0) break;
          yield bytes;
        }
        if (left !== 0) throw new RangeError(`${file.path} isn't ${file.size} bytes any more`);
      }
      yield tail.subarray(done);
    },
  };
}

const JOB = sequence({ name: utf8(), script: utf8Bytes(), files: FILES, platform: utf8() });
const TIMES = sequence({ startedAt: time(), finishedAt: time() });
