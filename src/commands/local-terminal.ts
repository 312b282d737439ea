/** The terminal that a command was started on, handed over byte by byte to a program elsewhere. */
import { ERRNO } from "../linux/errno.ts";
import { POLLOUT, ioctl, ppoll, writeFrom } from "../linux/libc.ts";

const TIOCGWINSZ = 0x5413;
const ENDING = ["SIGTERM", "SIGHUP", "SIGINT"] as const;

/** struct winsize: rows u16 @0, columns u16 @2. Undefined where standard output is no terminal. */
export function terminalSize(): { readonly cols: number; readonly rows: number } | undefined {
  const size = new DataView(new ArrayBuffer(8));
  if (ioctl(1, TIOCGWINSZ, size) < 0) return undefined;
  const [rows, cols] = [size.getUint16(0, true), size.getUint16(2, true)];
  return rows > 0 && cols > 0 ? { cols, rows } : undefined;
}

/** Writes all bytes to standard output, and waits where it takes no more. False when nobody reads it any more. */
export function showBytes(bytes: Uint8Array): boolean {
  for (let done = 0; done < bytes.length;) {
    const count = writeFrom(1, bytes.subarray(done), bytes.length - done);
    if (count >= 0) done += count;
    else if (count === -ERRNO.EAGAIN) ppoll(new Int32Array([1, POLLOUT]), 1, null);
    else if (count !== -ERRNO.EINTR) return false;
  }
  return true;
}

export interface TerminalUser {
  readonly onInput: (bytes: Uint8Array) => void;
  /** There is no more to read. */
  readonly onEnd: () => void;
  readonly onResize: (size: { readonly cols: number; readonly rows: number }) => void;
  /** Somebody ends this program. */
  readonly onSignal: (signal: (typeof ENDING)[number]) => void;
}

/**
 * Hands keys over as they are pressed, Ctrl-C as well, until disposed of; then, and however else the program ends, the
 * terminal is as it was. Standard input that is no terminal is read as it is.
 */
export function takeTerminal({ onInput, onEnd, onResize, onSignal }: TerminalUser): Disposable {
  const { stdin } = process;
  const restore = () => {
    if (stdin.isTTY) stdin.setRawMode(false);
  };
  const resized = () => {
    const size = terminalSize();
    if (size !== undefined) onResize(size);
  };
  const handlers = ENDING.map((signal) => [signal, () => onSignal(signal)] as const);
  process.once("exit", restore);
  if (stdin.isTTY) stdin.setRawMode(true);
  stdin.on("data", onInput);
  stdin.on("end", onEnd);
  process.on("SIGWINCH", resized);
  for (const [signal, handle] of handlers) process.on(signal, handle);
  return {
    [Symbol.dispose]() {
      stdin.off("data", onInput);
      stdin.off("end", onEnd);
      stdin.pause();
      process.off("SIGWINCH", resized);
      for (const [signal, handle] of handlers) process.off(signal, handle);
      process.off("exit", restore);
      restore();
    },
  };
}
