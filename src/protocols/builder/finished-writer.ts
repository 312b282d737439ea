/** Writes the message that a job has ended, whose files may be larger than memory. */
import { encode } from "../der/der.ts";
import { encodeHeader, encodedSize } from "../der/writer.ts";
import { type RecordFile, fileHeader } from "./record-writer.ts";
import type { Result } from "./result-text.ts";
import { RESULT } from "./results.ts";
import { UUID } from "./uuid.ts";

const JOB_FINISHED = 0xa3;
const SEQUENCE = 0x30;

/** A frame's payload as a stream, and its size. Throws DerError for what can't be written. */
export function writeJobFinished(
  { uuid, result }: { readonly uuid: string; readonly result: Result },
  files: readonly RecordFile[],
): { readonly size: number; readonly stream: () => AsyncGenerator<Uint8Array, void, void> } {
  const front = Buffer.concat([encode(UUID, uuid), encode(RESULT, result)]);
  const headers = files.map(fileHeader);
  const output = files.reduce((sum, { size }, i) => sum + headers[i]!.length + size, 0);
  const inner = front.length + encodedSize(output);
  return {
    size: encodedSize(encodedSize(inner)),
    async *stream() {
      yield Buffer.concat([
        Uint8Array.from(encodeHeader(JOB_FINISHED, encodedSize(inner))),
        Uint8Array.from(encodeHeader(SEQUENCE, inner)),
        front,
        Uint8Array.from(encodeHeader(SEQUENCE, output)),
      ]);
      for (const [i, { path, size, bytes }] of files.entries()) {
        yield headers[i]!;
        let left = size;
        for await (const piece of bytes()) {
          left -= piece.length;
          if (left < 0) break;
          yield piece;
        }
        if (left !== 0) throw new RangeError(`${path} isn't ${size} bytes any more`);
      }
    },
  };
}
