/**
 * What a launcher's file would do, without doing it: maps the file as the kernel would, and follows the steps
 * as the code would, through the copy that stays, to the jump into the guest.
 */
import type { Architecture } from "../../../src/lib/architecture.ts";
import { JUMP, STEP, STEP_SIZE, codeBytes } from "../../../src/tender/spt/launcher.ts";
import type { Pieces } from "../../../src/tender/spt/launcher-image.ts";
import { syscallNumber } from "../../../src/linux/syscalls.ts";

export interface MadeCall {
  readonly number: number;
  readonly args: readonly bigint[];
  readonly least: bigint;
  readonly message: string;
  readonly reportOn: number;
}

export interface Launched {
  readonly calls: readonly MadeCall[];
  readonly stackPointer: number;
  readonly argument: number;
  readonly entry: number;
  /** Bytes at an address, at the moment of the jump into the guest. */
  readonly bytesAt: (address: number, length: number) => Uint8Array;
}

/** Follows a launcher. `launcherFd` is the descriptor that its steps read its own file from. */
export function follow(pieces: Pieces, architecture: Architecture, launcherFd: number): Launched {
  const file = fileOf(pieces);
  const header = new DataView(file.buffer);
  const memory: { readonly start: number; readonly bytes: Uint8Array }[] = [];
  const programHeader = Number(header.getBigUint64(32, true));
  const field = (at: number) => Number(header.getBigUint64(programHeader + at, true));
  memory.push({ start: field(16), bytes: file.slice(field(8), field(8) + field(32)) });

  const bytesAt = (address: number, length: number): Uint8Array => {
    const found = memory.findLast(
      ({ start, bytes }) => address >= start && address + length <= start + bytes.length,
    );
    if (found === undefined) throw new Error(`nothing at ${address.toString(16)}`);
    return found.bytes.subarray(address - found.start, address - found.start + length);
  };
  const viewAt = (address: number, length: number) => {
    const bytes = bytesAt(address, length);
    return new DataView(bytes.buffer, bytes.byteOffset, length);
  };

  const calls: MadeCall[] = [];
  let entry = Number(header.getBigUint64(24, true));
  for (let programs = 0; ; programs++) {
    const code = codeBytes(architecture);
    if (!Buffer.from(bytesAt(entry, code.length)).equals(Buffer.from(code))) {
      throw new Error("no code where the launcher's should be");
    }
    let step = Number(viewAt(entry + code.length, 16).getBigUint64(0, true));
    for (;;) {
      const view = viewAt(step, STEP_SIZE);
      const number = view.getBigInt64(STEP.number, true);
      const args = [0, 1, 2, 3, 4, 5].map((i) => view.getBigUint64(STEP.argument(i), true));
      if (number === JUMP) {
        const [stackPointer, argument, address] = args.map(Number) as [number, number, number];
        if (programs === 1) return { calls, stackPointer, argument, entry: address, bytesAt };
        entry = address;
        break;
      }
      const length = Number(view.getBigUint64(STEP.messageLength, true));
      const messageAt = Number(view.getBigUint64(STEP.message, true));
      calls.push({
        number: Number(number),
        args,
        least: view.getBigInt64(STEP.leastResult, true),
        message: length === 0 ? "" : new TextDecoder().decode(bytesAt(messageAt, length)),
        reportOn: Number(view.getBigUint64(STEP.reportOn, true)),
      });
      if (Number(number) === syscallNumber("pread64", architecture) && Number(args[0]) === launcherFd) {
        const [, address, size, offset] = args.map(Number) as [number, number, number, number];
        memory.push({ start: address, bytes: file.slice(offset, offset + size) });
      }
      step = Number(view.getBigUint64(STEP.next, true));
    }
  }
}

/** The file with its holes filled. */
export function fileOf(pieces: Pieces): Uint8Array {
  const end = Math.max(...pieces.map(({ offset, bytes }) => offset + bytes.length));
  const file = new Uint8Array(end);
  for (const { offset, bytes } of pieces) file.set(bytes, offset);
  return file;
}
