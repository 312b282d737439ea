/**
 * The code that stands at the beginning of every spt process: it makes the system calls of a list and then jumps,
 * to the guest in the end. The bytes below are those of launcher-x86_64.S and launcher-aarch64.S; a test reassembles them.
 *
 * A unikernel must lie at low addresses, where the Bun executable itself lies, and must be alone in its process.
 * So the process image is replaced by a tiny one, far above any guest, and since nothing can be decided in
 * there, everything is decided before: see table.ts for the calls and launcher-image.ts for the file.
 */
import type { Architecture } from "../../lib/architecture.ts";
import { ERRNO, errnoText } from "../../linux/errno.ts";

/**
 * Where the part that stays beside the guest lies: above 384 GiB of guest memory, and within the smallest address
 * space that Linux has on either architecture (39 bits, aarch64).
 */
export const RESIDENT_BASE = 0x60_0000_0000;
/** Room for it: a filter takes at most 32 KiB. */
export const RESIDENT_ROOM = 0x1_0000;
/** Where the kernel maps the launcher's file, and where it ends at the latest. */
export const LAUNCHER_BASE = 0x60_0010_0000;
export const LAUNCHER_END = 0x60_1000_0000;

/** The largest page size of the architecture. */
export const PAGE_MAX: Record<Architecture, number> = { x86_64: 0x1000, aarch64: 0x1_0000 };

/** Bytes of one step in the launcher's list, and where its fields lie; each is 8 bytes. */
export const STEP_SIZE = 96;
export const STEP = {
  number: 0,
  argument: (index: number) => 8 + 8 * index,
  leastResult: 56,
  next: 64,
  message: 72,
  messageLength: 80,
  reportOn: 88,
} as const;

/** Instead of a system call's number: jump. Arguments: stack pointer, first argument, address. */
export const JUMP = -1n;

const CODE: Record<Architecture, string> = {
  x86_64: `
    4c8b3d7a000000                     r15 = first step
    498b07 498b7f08 498b7710 498b5718  next: number and arguments 0 to 2
    4d8b5720 4d8b4728 4d8b4f30         arguments 3 to 5
    4885c0 780e                        negative: jump
    0f05                               the system call
    493b4738 7c0e                      less than the least result: fail
    4d8b7f40 ebd2                      r15 = next step, again
    4889fc 4889f7 ffe2                 jump: stack pointer, argument, go
    48f7d8 4883f828 7602 31c0          fail: error number, or 0 when there is no text for it
    446bf028 4c033536000000            r14 = its text
    418b7f58 498b7748 418b5750         the step's message
    b801000000 0f05                    write
    410fb616 498d7601                  the reason's text
    b801000000 0f05                    write
    bf01000000 b8e7000000 0f05         exit_group(1)`,
  aarch64: `
    33040058                           x19 = first step
    680240f9 608640a9 628e41a9 649642a9  next: number and arguments
    e800f8b7                           negative: jump
    010000d4                           the system call
    69aa43a9 1f0009eb eb000054         less than the least result: fail
    f3030aaa f6ffff17                  x19 = next step, again
    1f000091 e00301aa fe031faa 40001fd6  jump: stack pointer, argument, no return address, go
    f40300cb 9fa200f1 94929f9a         fail: error number, or 0 when there is no text for it
    090580d2 ea010058 942a099b         x20 = its text
    618a44a9 602e40f9 080880d2 010000d4  write the step's message
    82024039 81060091 602e40f9 010000d4  write the reason's text
    200080d2 c80b80d2 010000d4         exit_group(1)`,
};

/**
 * The launcher's code with the two addresses that it reads behind itself: the first step, and the table of
 * reasons (`reasonTable`).
 */
export function launcherCode(architecture: Architecture, firstStep: number, reasons: number): Uint8Array {
  const code = codeBytes(architecture);
  const bytes = new Uint8Array(code.length + 16);
  bytes.set(code);
  const view = new DataView(bytes.buffer, code.length);
  view.setBigUint64(0, BigInt(firstStep), true);
  view.setBigUint64(8, BigInt(reasons), true);
  return bytes;
}

/** The bare code. */
export function codeBytes(architecture: Architecture): Uint8Array {
  const lines = CODE[architecture].trim().split("\n");
  // Two spaces part the bytes from what they do.
  const words = lines.map((line) => line.trim().split("  ", 1).join("").replaceAll(" ", ""));
  return Uint8Array.fromHex(words.join(""));
}

/** Error numbers with a text: 1 to this. */
const LAST_REASON = 40;
const REASON_SIZE = 40;

/** The texts of the error numbers, 40 bytes each: the text's length, the text, a newline. */
export function reasonTable(): Uint8Array {
  const table = new Uint8Array((LAST_REASON + 1) * REASON_SIZE);
  const known = new Set<number>(Object.values(ERRNO));
  for (let errno = 0; errno <= LAST_REASON; errno++) {
    const text = known.has(errno) ? errnoText(errno) : errno === 0 ? "cut short" : `error number ${errno}`;
    const line = new TextEncoder().encode(`${text}\n`).subarray(0, REASON_SIZE - 1);
    table[errno * REASON_SIZE] = line.length;
    table.set(line, errno * REASON_SIZE + 1);
  }
  return table;
}
