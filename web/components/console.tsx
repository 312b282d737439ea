/** The lines of a console on a page. The island draws further ones the same way. */
import type { GapJson, LineJson } from "../../src/server/routes/console-json.ts";
import { ansiRuns } from "./ansi.ts";
import { clock, moment } from "./format.ts";
import { gapText } from "./gap-text.ts";

export function ConsoleLines({ items }: { items: readonly (LineJson | GapJson)[] }) {
  if (items.length === 0) return <span class="line empty">Nothing was written yet.</span>;
  return (
    <>
      {items.map((item) =>
        "gap" in item ? (
          <span key={`gap ${item.gap.to}`} class="gap">
            {gapText(item.gap)}
          </span>
        ) : (
          <span key={item.cursor} class="line">
            <time dateTime={new Date(item.at).toISOString()} title={moment(item.at)}>
              {clock(item.at)}
            </time>
            {ansiRuns(item.text).map(({ text, classes }, i) =>
              classes === "" ? (
                text
              ) : (
                <span key={i} class={classes}>
                  {text}
                </span>
              ),
            )}
          </span>
        ),
      )}
    </>
  );
}
