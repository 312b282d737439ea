import type { GapJson } from "../../src/server/routes/console-json.ts";

/** What stands in a console for lines that are gone. */
export function gapText({ from, to }: GapJson["gap"]): string {
  return `… ${to - from} bytes are not kept any more …`;
}
