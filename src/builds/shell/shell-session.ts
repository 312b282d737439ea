/**
 * A shell in a kept sandbox, on a terminal of its own. What it writes goes out only as far as the other end has said
 * that it took it, so neither a slow line nor a slow screen makes anything grow here; the shell waits instead.
 */
import { type Exit, type Pty, spawn } from "../pty.ts";
import type { KeptShell, Sandboxes } from "../sandbox/api.ts";

export interface TerminalSize {
  readonly cols: number;
  readonly rows: number;
}

export interface ShellSink {
  /** Bytes for the screen. They are to be acknowledged by `taken`. */
  output(bytes: Uint8Array): void;
  /** The shell has ended and all of its output was given. */
  ended(exit: Exit): void;
}

/** Bytes that the other end may have not acknowledged. */
export const WINDOW = 256 * 1024;
/** What is typed, or pasted, before the terminal has taken it. */
const INPUT_MAX = 1024 * 1024;
/** After the shell's end what it left running has so long to write its last. */
const DRAIN_MS = 500;

/** Sizes as a terminal takes them. Pure. */
export function boundSize({ cols, rows }: TerminalSize): TerminalSize {
  const bound = (value: number) => Math.min(Math.max(Math.trunc(value) || 1, 1), 1000);
  return { cols: bound(cols), rows: bound(rows) };
}

/** Opens one; undefined where no sandbox of that build is kept. Throws SandboxError, PtyError. */
export async function openShell(
  sandboxes: Sandboxes,
  build: string,
  size: TerminalSize,
  sink: ShellSink,
): Promise<ShellSession | undefined> {
  const shell = await sandboxes.shell(build, "xterm-256color");
  if (shell === undefined) return undefined;
  try {
    const [file, ...args] = shell.argv;
    const pty = spawn(file, args, { cwd: "/", env: shell.environment, ...boundSize(size) });
    return new ShellSession(shell, pty, sink);
  } catch (error) {
    await shell[Symbol.asyncDispose]();
    throw error;
  }
}

export class ShellSession implements AsyncDisposable {
  readonly #shell: KeptShell;
  readonly #pty: Pty;
  readonly #sink: ShellSink;
  readonly #reading: Promise<void>;
  /** Bytes that were given out and not acknowledged. */
  #unacknowledged = 0;
  #makeRoom: (() => void) | undefined;
  #pendingInput = 0;
  #typing: Promise<void> = Promise.resolve();
  #isClosed = false;
  #closing: Promise<void> | undefined;

  constructor(shell: KeptShell, pty: Pty, sink: ShellSink) {
    this.#shell = shell;
    this.#pty = pty;
    this.#sink = sink;
    this.#reading = this.#read();
    void this.#untilEnd();
  }

  /** Types. False where more was typed than the shell takes: then nothing of it is. */
  input(bytes: Uint8Array): boolean {
    if (this.#isClosed) return true;
    if (this.#pendingInput + bytes.length > INPUT_MAX) return false;
    this.#pendingInput += bytes.length;
    this.#typing = this.#typing.then(async () => {
      if (!this.#isClosed) await this.#pty.write(bytes);
      this.#pendingInput -= bytes.length;
    });
    return true;
  }

  /** The other end has taken so many bytes. */
  taken(count: number): void {
    this.#unacknowledged = Math.max(0, this.#unacknowledged - count);
    if (this.#unacknowledged < WINDOW) this.#makeRoom?.();
  }

  resize(size: TerminalSize): void {
    const { cols, rows } = boundSize(size);
    if (!this.#isClosed) this.#pty.resize(cols, rows);
  }

  async #read(): Promise<void> {
    for await (const chunk of this.#pty.output) {
      if (this.#isClosed) continue;
      this.#unacknowledged += chunk.length;
      this.#sink.output(chunk);
      if (this.#unacknowledged < WINDOW) continue;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#makeRoom = resolve;
      await promise;
      this.#makeRoom = undefined;
    }
  }

  async #untilEnd(): Promise<void> {
    const exit = await this.#pty.exited;
    await Promise.race([this.#reading, Bun.sleep(DRAIN_MS)]);
    if (!this.#isClosed) this.#sink.ended(exit);
    await this[Symbol.asyncDispose]();
  }

  /** Ends the shell and all that it started. */
  [Symbol.asyncDispose](): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    this.#makeRoom?.();
    await this.#shell[Symbol.asyncDispose]();
    // The launcher's own starter, where it had not got as far as to say who it is.
    endGroup(this.#pty.pid);
    await this.#pty.exited;
    // The other side is closed by now, which ends the reading; only then is the number free for something else.
    await Promise.race([this.#reading, Bun.sleep(DRAIN_MS)]);
    this.#pty.close();
  }
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if ((error as { code?: string }).code !== "ESRCH") throw error;
  }
}
