/** The console of a run that ended some time ago: its build has it. */
import type { ConsoleLine, Run } from "../../builds/api.ts";
import { Turns } from "../../lib/turns.ts";
import type { ServerContext } from "../context.ts";

/** `1.500s:text` */
const LINE = /^(\d+)\.(\d{3})s:/;
const NEWLINE = 10;

/**
 * The last attempt's lines from `from` on, some together; those of attempts before it are in builds of their own.
 * Memory is a piece of the console.
 */
export async function* storedLines(
  { builds, contents, buildService }: Pick<ServerContext, "builds" | "contents" | "buildService">,
  run: Run,
  from: number,
): AsyncGenerator<readonly ConsoleLine[], void> {
  const build = run.uuid === null ? undefined : builds.build(run.uuid);
  if (build === undefined) return;
  let index = buildService.firstLine(run);
  let rest: Uint8Array = new Uint8Array();
  const turns = new Turns();
  for await (const piece of contents.read(build.console)) {
    await turns.give();
    const bytes = rest.length === 0 ? piece : new Uint8Array(Buffer.concat([rest, piece]));
    const lines: ConsoleLine[] = [];
    let at = 0;
    for (let end; (end = bytes.indexOf(NEWLINE, at)) >= 0; at = end + 1, index++) {
      if (index >= from) lines.push(readLine(bytes.subarray(at, end), index));
    }
    rest = bytes.slice(at);
    if (lines.length > 0) yield lines;
  }
  if (rest.length > 0 && index >= from) yield [readLine(rest, index)];
}

/** The lines that a run has now, from `from` on, some together: of a run that goes on, or of its build. */
export async function* linesOf(
  context: ServerContext,
  run: Run,
  from: number,
): AsyncGenerator<readonly ConsoleLine[], void> {
  let next = from;
  for (const lines of context.buildService.lines(run.id, from)) {
    yield lines;
    next += lines.length;
  }
  if (next < run.lines) yield* storedLines(context, run, next);
}

function readLine(line: Uint8Array, index: number): ConsoleLine {
  const match = LINE.exec(new TextDecoder("latin1").decode(line.subarray(0, 32)));
  if (match === null) return { index, delta: 0n, text: line };
  const delta = BigInt(match[1]!) * 1_000_000_000n + BigInt(match[2]!) * 1_000_000n;
  return { index, delta, text: line.subarray(match[0].length) };
}
