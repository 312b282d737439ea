/**
 * Pseudo-terminals, with node-pty's names. Its own JavaScript hands the terminal to a socket of the runtime, which
 * closes it here; its native binding alone works. In the compiled executable it is a part of the file. The runtime
 * would copy it to TMPDIR, under a name that anybody can foresee, and where nothing can be written, or run, there would
 * be no terminals; so it is loaded from memory.
 */
import { closeSync, readFileSync, writeSync } from "node:fs";
import { close, memoryFile } from "../linux/libc.ts";
import { RoburError } from "../lib/errors.ts";

interface Native {
  fork(
    file: string,
    args: readonly string[],
    environment: readonly string[],
    cwd: string,
    columns: number,
    rows: number,
    uid: number,
    gid: number,
    utf8: boolean,
    helper: string,
    onExit: (code: number, signal: number) => void,
  ): { readonly fd: number; readonly pid: number };
  resize(fd: number, columns: number, rows: number, width: number, height: number): void;
}

export interface SpawnOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly cols: number;
  readonly rows: number;
}

/** How the process ended: a status, or by a signal (0: by none). */
export interface Exit {
  readonly exitCode: number;
  readonly signal: number;
}

export interface Pty {
  readonly pid: number;
  /** What is written to the terminal, until nobody has it open any more. Read once. */
  readonly output: AsyncIterable<Uint8Array>;
  readonly exited: Promise<Exit>;
  /** Types: resolves when the terminal has taken it all, or is closed. */
  write(bytes: Uint8Array): Promise<void>;
  resize(cols: number, rows: number): void;
  /** Closes the terminal; who still has it gets SIGHUP. */
  close(): void;
}

export class PtyError extends RoburError<"pty-failed"> {}

/** Where the binding lies in the compiled executable. */
async function embeddedBinding(): Promise<string> {
  const { default: path } =
    process.arch === "arm64"
      ? await import("node-pty/prebuilds/linux-arm64/pty.node", { with: { type: "file" } })
      : await import("node-pty/prebuilds/linux-x64/pty.node", { with: { type: "file" } });
  return path;
}

const embedded = Bun.isStandaloneExecutable ? await embeddedBinding() : undefined;
let native: Native | undefined;

function load(): Native {
  return (native ??= embedded === undefined ? requireBinding() : loadFromMemory(embedded));
}

function requireBinding(): Native {
  return process.arch === "arm64"
    ? (require("node-pty/prebuilds/linux-arm64/pty.node") as Native)
    : (require("node-pty/prebuilds/linux-x64/pty.node") as Native);
}

function loadFromMemory(path: string): Native {
  const fd = memoryFile("pty", readFileSync(path));
  try {
    const module = { exports: {} };
    process.dlopen(module, `/proc/self/fd/${fd}`);
    return module.exports as Native;
  } finally {
    close(fd);
  }
}

/** Starts a program on a terminal of its own, in a session of its own. Throws PtyError. */
export function spawn(file: string, args: readonly string[], options: SpawnOptions): Pty {
  const { promise: exited, resolve } = Promise.withResolvers<Exit>();
  const environment = Object.entries(options.env).map(([name, value]) => `${name}=${value}`);
  const { cwd, cols, rows } = options;
  try {
    const onExit = (exitCode: number, signal: number) => resolve({ exitCode, signal });
    const { fd, pid } = load().fork(
      ...([file, args, environment, cwd, cols, rows] as const),
      ...([-1, -1, true, "", onExit] as const),
    );
    const state = { isOpen: true };
    const close = () => {
      if (state.isOpen) closeSync(fd);
      state.isOpen = false;
    };
    const write = async (bytes: Uint8Array) => {
      for (let at = 0; at < bytes.length && state.isOpen;) {
        const count = writeSome(fd, bytes.subarray(at));
        if (count === 0) await Bun.sleep(FULL_PAUSE_MS);
        at += count;
      }
    };
    const resize = (columns: number, lines: number) => {
      if (state.isOpen) load().resize(fd, columns, lines, 0, 0);
    };
    return { pid, output: read(fd), exited, write, resize, close };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new PtyError("pty-failed", "a job can't be given a terminal", { why, cause: error });
  }
}

/** A program that doesn't read leaves a terminal's 4 KiB full; the runtime can't wait for room on a descriptor. */
const FULL_PAUSE_MS = 10;

/** How many bytes the terminal took; all of them where nobody is there to read them. */
function writeSome(fd: number, bytes: Uint8Array): number {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "EAGAIN") return 0;
    if (code === "EIO") return bytes.length;
    throw error;
  }
}

async function* read(fd: number): AsyncGenerator<Uint8Array, void> {
  try {
    for await (const chunk of Bun.file(fd).stream()) yield chunk;
  } catch (error) {
    // The kernel's word for a terminal that nobody has open on the other side.
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code !== "EIO" && code !== "EBADF") throw error;
  }
}
