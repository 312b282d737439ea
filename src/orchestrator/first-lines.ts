/** What a unikernel says when it is started: the answer to whoever started it. */
import type { ConsoleLine } from "./api.ts";
import type { ConsoleCursor } from "./console/line.ts";
import type { ConsoleStore } from "./console/store.ts";
import { mayHaveProcess } from "./lifecycle.ts";
import type { Unit } from "./unit.ts";

/** After the guest runs, how long to wait for its first line, and after that for more. */
const FIRST_LINE_MS = 250;
const MORE_LINES_MS = 15;
const MOST = 200;

/** The first lines of the last start. A guest that says nothing isn't waited for. */
export async function firstLines(unit: Unit, consoles: ConsoleStore): Promise<ConsoleLine[]> {
  const { id } = unit.record;
  const start = unit.consoleStart;
  const isAlive = () => !unit.isGone && mayHaveProcess(unit.record.lifecycle);
  const deadline = performance.now() + FIRST_LINE_MS;
  while (isAlive() && consoles.end(id) <= start && performance.now() < deadline) await Bun.sleep(2);
  if (isAlive()) await Bun.sleep(MORE_LINES_MS);
  if (unit.isGone) return [];
  const { items } = consoles.read(id, { after: start as ConsoleCursor, limit: MOST }, !isAlive());
  return items.flatMap((item) => (item.kind === "line" ? [item.line] : []));
}
