/** The live console: adds lines as they come, and stays at the end unless somebody has scrolled up. */
import type { GapJson, LineJson } from "../../src/server/routes/console-json.ts";
import { gapText } from "../components/gap-text.ts";
import { colouredText, lampOf, lineAdder, withText } from "./console-lines.ts";
import { openLive } from "./live.ts";
import { localClock } from "./times.ts";

/** Lines on the page; older ones are on the console's own page. */
const KEPT = 2000;

export function mount(element: HTMLElement): void {
  let cursor = element.dataset["after"] ?? "0";
  const add = lineAdder(element, KEPT);
  const lamp = lampOf(element);
  openLive({
    address: () => `${element.dataset["source"]}?after=${cursor}`,
    on: {
      line: (data, id) => {
        cursor = id;
        add(lineElement(data as LineJson));
      },
      gap: (data, id) => {
        cursor = id;
        add(withText("span", "gap", gapText((data as GapJson).gap)));
      },
    },
    state: lamp,
  });
}

/** The same as ConsoleLines makes on the server. */
function lineElement({ at, text }: LineJson): HTMLElement {
  const line = withText("span", "line", "");
  const time = document.createElement("time");
  time.dateTime = new Date(at).toISOString();
  time.textContent = localClock(at);
  line.append(time);
  line.append(...colouredText(text));
  return line;
}
