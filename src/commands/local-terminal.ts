/**
 * The terminal that a command was started on, handed over byte by byte to a program elsewhere. The runtime's own raw
 * mode still turns each LF that is shown into CR LF, which the other terminal has done already; so the settings are
 * made here (ioctl_tty(2), and termios(3) on cfmakeraw).
 */
import { ERRNO } from "../linux/errno.ts";
import { POLLOUT, ioctl, ppoll, writeFrom } from "../linux/libc.ts";

const TIOCGWINSZ = 0x5413;
const TCGETS = 0x5401;
/** Once all that was written is shown. */
const TCSETSW = 0x5403;
/** struct termios: input, output, control and local flags, u32 each; the line discipline, u8; 19 characters. */
const TERMIOS_SIZE = 36;
const [VTIME_AT, VMIN_AT] = [17 + 5, 17 + 6];
/** IGNBRK, BRKINT, PARMRK, ISTRIP, INLCR, IGNCR, ICRNL, IXON */
const COOKED_INPUT = 0x1 | 0x2 | 0x8 | 0x20 | 0x40 | 0x80 | 0x100 | 0x400;
const OPOST = 0x1;
/** CSIZE, PARENB; and eight bits a character */
const [FRAMING, CS8] = [0x30 | 0x100, 0x30];
/** ISIG, ICANON, ECHO, ECHONL, IEXTEN */
const COOKED_KEYS = 0x1 | 0x2 | 0x8 | 0x40 | 0x8000;

const ENDING = ["SIGTERM", "SIGHUP", "SIGINT"] as const;

/** struct winsize: rows u16 @0, columns u16 @2. Undefined where standard output is no terminal. */
export function terminalSize(): { readonly cols: number; readonly rows: number } | undefined {
  const size = new DataView(new ArrayBuffer(8));
  if (ioctl(1, TIOCGWINSZ, size) < 0) return undefined;
  const [rows, cols] = [size.getUint16(0, true), size.getUint16(2, true)];
  return rows > 0 && cols > 0 ? { cols, rows } : undefined;
}

/** Makes standard input a terminal that passes everything through; answers how to undo it. No terminal: nothing. */
function passThrough(): () => void {
  const before = new Uint8Array(TERMIOS_SIZE);
  if (ioctl(0, TCGETS, before) < 0) return () => {};
  const raw = new DataView(before.slice().buffer);
  const change = (at: number, cleared: number, set = 0) =>
    raw.setUint32(at, (raw.getUint32(at, true) & ~cleared) | set, true);
  change(0, COOKED_INPUT);
  change(4, OPOST);
  change(8, FRAMING, CS8);
  change(12, COOKED_KEYS);
  raw.setUint8(VTIME_AT, 0);
  raw.setUint8(VMIN_AT, 1);
  ioctl(0, TCSETSW, raw);
  return () => void ioctl(0, TCSETSW, before);
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
  const resized = () => {
    const size = terminalSize();
    if (size !== undefined) onResize(size);
  };
  const handlers = ENDING.map((signal) => [signal, () => onSignal(signal)] as const);
  const restore = passThrough();
  process.once("exit", restore);
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
