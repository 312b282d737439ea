/** Starts spt guests for tests in both forms: in the place of a process called solo5-spt, and as a child of ours. */
import { type SptSpec, prepareSpt } from "../../../src/tender/spt/prepare.ts";
import { type RunningSpt, spawnSpt } from "../../../src/tender/spt/spawn.ts";
import { exitStatus } from "../../../src/tender/foreground.ts";
import { close } from "../../../src/linux/libc.ts";
import { start } from "../../robur.ts";
import { readSpec } from "./spec.ts";

export interface Ended {
  /** As a shell has it: 128 + n for signal n. */
  readonly status: number;
  readonly signal: string | number | null;
  /** Standard output, then standard error. */
  readonly output: string;
}

export const FORMS = ["in the place of solo5-spt", "as a child process"] as const;
export type Form = (typeof FORMS)[number];

/** Runs a guest to its end with arguments as solo5-spt takes them. */
export async function runGuest(form: Form, args: readonly string[]): Promise<Ended> {
  return endOf(await startGuest(form, args));
}

export async function startGuest(form: Form, args: readonly string[]): Promise<RunningSpt> {
  return form === "as a child process" ? startChild(args) : startSolo5Spt(args);
}

/** The executable called as solo5-spt; `under` is a command that starts it. */
export async function startSolo5Spt(args: readonly string[], under: string[] = []): Promise<RunningSpt> {
  const child = await start(args, { as: "solo5-spt", under });
  const exited = child.exited.then(() => ({ code: child.exitCode, signal: child.signalCode }));
  return { pid: child.pid, exited, process: child };
}

export async function runSolo5Spt(args: readonly string[], under: string[] = []): Promise<Ended> {
  return endOf(await startSolo5Spt(args, under));
}

/**
 * The same guest from this process, by the form that a server uses. `meanwhile` is called when the guest is
 * prepared and not yet started.
 */
export function startChild(
  args: readonly string[],
  more: Partial<SptSpec> = {},
  meanwhile: () => void = () => {},
): RunningSpt {
  const spec = readSpec(args);
  try {
    const prepared = prepareSpt({ ...spec, ...more });
    meanwhile();
    return spawnSpt(prepared, { stdout: "pipe", stderr: "pipe" });
  } finally {
    spec.image.close();
    for (const { hostFd } of spec.attachments) close(hostFd);
  }
}

export async function endOf(guest: RunningSpt): Promise<Ended> {
  const text = (stream: unknown) => new Response(stream as ReadableStream).text();
  const [stdout, stderr, exit] = await Promise.all([
    text(guest.process.stdout),
    text(guest.process.stderr),
    guest.exited,
  ]);
  return { status: exitStatus(exit), signal: exit.signal, output: stdout + stderr };
}

/** Reads a process's standard output until it has said something. */
export async function untilOutput(child: Bun.Subprocess, wanted: string): Promise<string> {
  const text = await readOutput(child, (text) => text.includes(wanted));
  if (!text.includes(wanted)) throw new Error(`the guest ended, having said: ${text}`);
  return text;
}

/** Reads on to the end, or to where it is enough. */
export async function readOutput(
  child: Bun.Subprocess,
  isEnough: (text: string) => boolean,
): Promise<string> {
  const reader = (child.stdout as ReadableStream<Uint8Array>).getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (!isEnough(text)) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
  }
  reader.releaseLock();
  return text;
}
