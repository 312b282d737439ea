/** The live console: adds lines as they come, and stays at the end unless somebody has scrolled up. */
import type { GapJson, LineJson } from "../../src/server/routes/console-json.ts";
import { ansiRuns } from "../components/ansi.ts";
import { gapText } from "../components/gap-text.ts";
import { openLive } from "./live.ts";
import { localClock } from "./times.ts";

/** Lines on the page; older ones are on the console's own page. */
const KEPT = 2000;

export function mount(element: HTMLElement): void {
  let cursor = element.dataset["after"] ?? "0";
  let waiting: Node[] = [];
  let isDrawing = false;
  element.scrollTop = element.scrollHeight;

  // However fast lines come, the page is drawn once a frame, and no more than what can be seen is kept for it.
  const draw = () => {
    isDrawing = false;
    const isAtEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 40;
    element.querySelector(".empty")?.remove();
    element.append(...waiting.slice(-KEPT));
    waiting = [];
    while (element.childElementCount > KEPT) element.firstElementChild?.remove();
    if (isAtEnd) element.scrollTop = element.scrollHeight;
  };
  const add = (node: Node) => {
    waiting.push(node);
    if (waiting.length > 2 * KEPT) waiting = waiting.slice(-KEPT);
    if (isDrawing) return;
    isDrawing = true;
    requestAnimationFrame(draw);
  };

  const lamp = element.parentElement?.querySelector<HTMLElement>("[data-live]");
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
    state: (isOpen) => {
      lamp?.classList.toggle("on", isOpen);
      if (lamp) lamp.textContent = isOpen ? "live" : "not connected";
    },
  });
}

/** The same as ConsoleLines makes on the server. */
function lineElement({ at, text }: LineJson): HTMLElement {
  const line = withText("span", "line", "");
  const time = document.createElement("time");
  time.dateTime = new Date(at).toISOString();
  time.textContent = localClock(at);
  line.append(time);
  for (const run of ansiRuns(text)) {
    line.append(run.classes === "" ? run.text : withText("span", run.classes, run.text));
  }
  return line;
}

function withText(tag: string, className: string, text: string): HTMLElement {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}
