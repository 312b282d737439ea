/**
 * SIGINT and SIGTERM end a guest at once, wherever it is: inside KVM_RUN, asleep in poll, or stuck writing to
 * a console that nobody reads. A handler in JavaScript can't do that: it runs when the event loop turns, and
 * the loop that runs a guest never lets it. So the handler is a few instructions of machine code that write
 * one line to standard error and end the process; there is no moment at which a signal could be missed.
 */
import {
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
  SIGINT,
  SIGPIPE,
  SIGTERM,
  mmap,
  mprotect,
  sigaction,
  viewOf,
} from "../linux/libc.ts";
import { type Architecture, HOST_ARCHITECTURE } from "../lib/architecture.ts";

const PAGE = 4096;
const SIG_IGN = 1;

/** The handler for one signal: write(2, message) and exit_group(status), then the message itself. */
export function handlerCode(message: string, status: number, architecture: Architecture): Uint8Array {
  const text = new TextEncoder().encode(message);
  const code = architecture === "x86_64" ? x86(text.length, status) : arm(text.length, status);
  const bytes = new Uint8Array(code.length + text.length);
  bytes.set(code);
  bytes.set(text, code.length);
  return bytes;
}

function x86(length: number, status: number): Uint8Array {
  const word = (value: number) => [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >> 24) & 255];
  return new Uint8Array([
    ...[0xb8, ...word(1)], //            mov  $1, %eax        write
    ...[0xbf, ...word(2)], //            mov  $2, %edi        standard error
    ...[0x48, 0x8d, 0x35, ...word(19)], // lea  19(%rip), %rsi  the message, behind the code
    ...[0xba, ...word(length)], //       mov  $length, %edx
    ...[0x0f, 0x05], //                  syscall
    ...[0xb8, ...word(231)], //          mov  $231, %eax      exit_group
    ...[0xbf, ...word(status)], //       mov  $status, %edi
    ...[0x0f, 0x05], //                  syscall
  ]);
}

function arm(length: number, status: number): Uint8Array {
  const mov = (register: number, value: number) => 0xd280_0000 + value * 32 + register;
  const adr = (register: number, words: number) => 0x1000_0000 + words * 32 + register;
  const svc = 0xd400_0001;
  const words = new Uint32Array([
    mov(8, 64), //      write
    mov(0, 2), //       standard error
    adr(1, 6), //       the message, six instructions on
    mov(2, length),
    svc,
    mov(8, 94), //      exit_group
    mov(0, status),
    svc,
  ]);
  return new Uint8Array(words.buffer);
}

/**
 * From here on the two signals end the process with `status(signal)` and a line that begins with the program's
 * name. Writing to a closed pipe is an error of that write from now on, not a signal.
 */
export function endOnSignals(program: string, status: (signal: number) => number): void {
  const page = mmap(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  const bytes = new Uint8Array(viewOf(page, PAGE));
  const handlers: [signal: number, at: number][] = [];
  let at = 0;
  for (const signal of [SIGINT, SIGTERM]) {
    const code = handlerCode(`${program}: Exiting on signal ${signal}\n`, status(signal), HOST_ARCHITECTURE);
    bytes.set(code, at);
    handlers.push([signal, page + at]);
    at = (at + code.length + 15) & ~15;
  }
  mprotect(page, PAGE, PROT_READ | PROT_EXEC);
  for (const [signal, handler] of handlers) sigaction(signal, handler);
  sigaction(SIGPIPE, SIG_IGN);
}
