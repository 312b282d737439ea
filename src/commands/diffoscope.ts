/** What diffoscope says of two files, where it is installed: bounded in time and length. */
import { visible } from "../lib/errors.ts";

const LIMIT_MS = 5 * 60_000;
const REPORT_MAX = 256 * 1024;
/** It ends with 1 where it found differences, with 2 in trouble. */
const DIFFERENT = 1;

/**
 * Its text, in which nothing moves a terminal's cursor; undefined where it isn't installed or finds nothing. `limitMs`:
 * it is ended then.
 */
export async function diffoscope(
  left: string,
  right: string,
  limitMs = LIMIT_MS,
): Promise<string | undefined> {
  const program = Bun.which("diffoscope");
  if (program === null) return undefined;
  const child = Bun.spawn(
    [program, "--text", "-", "--max-text-report-size", String(REPORT_MAX), "--", left, right],
    { stdin: "ignore", stdout: "pipe", stderr: "ignore", timeout: limitMs, killSignal: "SIGKILL" },
  );
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of child.stdout) {
    // All is read, or it would wait for ever.
    if (size < REPORT_MAX) parts.push(part);
    size += part.length;
  }
  await child.exited;
  const text = visible(Buffer.concat(parts).toString("utf8").slice(0, REPORT_MAX).replaceAll("\t", "    "));
  const notes = [
    ...(size > REPORT_MAX ? ["… and more"] : []),
    ...(child.signalCode === null ? [] : [`it was ended after ${limitMs / 1000} s`]),
    ...(child.exitCode === null || child.exitCode <= DIFFERENT ? [] : [`it ended with ${child.exitCode}`]),
  ];
  const all = [text.trimEnd(), ...notes].filter((part) => part !== "");
  return all.length === 0 ? undefined : `${all.join("\n")}\n`;
}
