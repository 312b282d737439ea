/** The console of a run: adds lines as they come, and ends with it. */
import { ansiRuns } from "../components/ansi.ts";
import { openLive } from "./live.ts";
import { refreshSoon } from "./refresh.ts";

/** As the stream gives it: no control sequences but colours. */
interface RunLineJson {
  readonly index: number;
  readonly seconds: number;
  readonly text: string;
}

/** Lines on the page; all of them are on the console's own page. */
const KEPT = 10_000;
/** Characters of a line that are shown. */
const LONGEST = 4000;

export function mount(element: HTMLElement): void {
  let from = Number(element.dataset["from"] ?? "0");
  let waiting: Node[] = [];
  let isDrawing = false;
  element.scrollTop = element.scrollHeight;

  // However fast lines come, the page is drawn once a frame.
  const draw = () => {
    isDrawing = false;
    const isAtEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 40;
    element.querySelector(".empty")?.remove();
    element.append(...waiting.slice(-KEPT));
    waiting = [];
    while (element.childElementCount > KEPT) element.firstElementChild?.remove();
    if (isAtEnd) element.scrollTop = element.scrollHeight;
  };
  const lamp = element.parentElement?.querySelector<HTMLElement>("[data-live]");
  let isOver = false;
  const end = openLive({
    address: () => `${element.dataset["source"]}?from=${from}`,
    on: {
      line: (data) => {
        const line = data as RunLineJson;
        if (line.index < from) return;
        from = line.index + 1;
        waiting.push(lineElement(line));
        if (waiting.length > 2 * KEPT) waiting = waiting.slice(-KEPT);
        if (isDrawing) return;
        isDrawing = true;
        requestAnimationFrame(draw);
      },
      end: () => {
        isOver = true;
        end();
        if (lamp) lamp.textContent = "ended";
        refreshSoon();
      },
    },
    state: (isOpen) => {
      if (isOver) return;
      lamp?.classList.toggle("on", isOpen);
      if (lamp) lamp.textContent = isOpen ? "live" : "not connected";
    },
  });
}

/** The same as Lines makes on the server. */
function lineElement({ index, seconds, text }: RunLineJson): HTMLElement {
  const line = withText("span", "line", "");
  line.id = `L${index + 1}`;
  const number = document.createElement("a");
  number.className = "number";
  number.href = `#L${index + 1}`;
  number.ariaLabel = `Line ${index + 1}`;
  number.textContent = String(index + 1);
  line.append(number, withText("span", "stamp", `${seconds.toFixed(3)}s`));
  const words = withText("span", "text", "");
  for (const run of ansiRuns(text.slice(0, LONGEST))) {
    words.append(run.classes === "" ? run.text : withText("span", run.classes, run.text));
  }
  line.append(words);
  return line;
}

function withText(tag: string, className: string, text: string): HTMLElement {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}
