/** The console of a run: adds lines as they come, and ends with it. */
import { colouredText, lampOf, lineAdder, withText } from "./console-lines.ts";
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
  const add = lineAdder(element, KEPT);
  const lamp = lampOf(element);
  let isOver = false;
  const end = openLive({
    address: () => `${element.dataset["source"]}?from=${from}`,
    on: {
      line: (data) => {
        const line = data as RunLineJson;
        if (line.index < from) return;
        from = line.index + 1;
        add(lineElement(line));
      },
      end: () => {
        isOver = true;
        end();
        lamp("ended");
        refreshSoon();
      },
    },
    state: (isOpen) => {
      if (!isOver) lamp(isOpen);
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
  words.append(...colouredText(text.slice(0, LONGEST)));
  line.append(words);
  return line;
}
