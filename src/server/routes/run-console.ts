/** The console of a run that ended some time ago: its build has it. */
import type { ConsoleLine, Run } from "../../builds/api.ts";
import type { ServerContext } from "../context.ts";

/** `1.500s:text` */
const LINE = /^(\d+)\.(\d{3})s:/;
const NEWLINE = 10;
const CONSOLE_LIMIT = 128 * 1024 * 1024;

/** The last attempt's lines from `from` on; those of attempts before it are in builds of their own. */
export async function storedLines(
  { builds, contents }: Pick<ServerContext, "builds" | "contents">,
  run: Run,
  from: number,
): Promise<readonly ConsoleLine[]> {
  const build = run.uuid === null ? undefined : builds.build(run.uuid);
  if (build === undefined) return [];
  const bytes = await contents.bytes(build.console, CONSOLE_LIMIT);
  const lines: ConsoleLine[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf(NEWLINE, at);
    const line = bytes.subarray(at, end < 0 ? bytes.length : end);
    const match = LINE.exec(new TextDecoder("latin1").decode(line.subarray(0, 32)));
    const text = match === null ? line : line.subarray(match[0].length);
    const delta = match === null ? 0n : BigInt(match[1]!) * 1_000_000_000n + BigInt(match[2]!) * 1_000_000n;
    lines.push({ index: 0, delta, text });
    at += line.length + 1;
  }
  const first = Math.max(0, run.lines - lines.length);
  return lines.map((line, i) => ({ ...line, index: first + i })).filter(({ index }) => index >= from);
}
