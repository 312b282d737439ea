/** What diffoscope says of two files, where it is installed: bounded in time and length. */

const LIMIT_MS = 5 * 60_000;
const REPORT_MAX = 256 * 1024;

/** Its text; undefined where it isn't installed, or says nothing. */
export async function diffoscope(left: string, right: string): Promise<string | undefined> {
  const program = Bun.which("diffoscope");
  if (program === null) return undefined;
  const child = Bun.spawn(
    [program, "--text", "-", "--max-text-report-size", String(REPORT_MAX), "--", left, right],
    { stdin: "ignore", stdout: "pipe", stderr: "ignore", timeout: LIMIT_MS, killSignal: "SIGKILL" },
  );
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of child.stdout) {
    // All is read, or it would wait for ever.
    if (size < REPORT_MAX * 2) parts.push(part);
    size += part.length;
  }
  await child.exited;
  const text = Buffer.concat(parts).toString("utf8");
  return text.trim() === "" ? undefined : text;
}
