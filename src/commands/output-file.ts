/** Where a command writes bytes that it was asked for: a file, or standard output where no terminal is. */
import { isatty } from "node:tty";
import { UsageError } from "../lib/errors.ts";
import { ERRNO } from "../linux/errno.ts";
import { OsError, POLLOUT, ppoll, writeFrom } from "../linux/libc.ts";

const STDOUT = 1;

/** Writes all of it to standard output. Throws OsError where nobody takes it. */
export async function toStandardOutput(pieces: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const piece of pieces) {
    for (let done = 0; done < piece.length;) {
      const count = writeFrom(STDOUT, piece.subarray(done), piece.length - done);
      if (count >= 0) done += count;
      else if (count === -ERRNO.EAGAIN) ppoll(new Int32Array([STDOUT, POLLOUT]), 1, null);
      else if (count !== -ERRNO.EINTR) throw new OsError("standard output", -count);
    }
  }
}

/** Throws UsageError where standard output is a terminal. `hint`: a command that writes a file instead. */
export function refuseTerminal(hint: string): void {
  if (isatty(STDOUT)) throw new UsageError("these bytes are nothing for a terminal", { hint });
}
