/** What the consoles of unikernels and of runs have in common: how lines get onto the page, and their lamp. */
import { ansiRuns } from "../components/ansi.ts";

/**
 * Adds lines to a console's element, of which so many stay; at its end, unless somebody has scrolled up. However fast
 * they come, the page is drawn once a frame, and no more than what can be seen is kept for it.
 */
export function lineAdder(element: HTMLElement, kept: number): (line: Node) => void {
  let waiting: Node[] = [];
  let isDrawing = false;
  element.scrollTop = element.scrollHeight;
  const draw = () => {
    isDrawing = false;
    const isAtEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 40;
    element.querySelector(".empty")?.remove();
    element.append(...waiting.slice(-kept));
    waiting = [];
    while (element.childElementCount > kept) element.firstElementChild?.remove();
    if (isAtEnd) element.scrollTop = element.scrollHeight;
  };
  return (line) => {
    waiting.push(line);
    if (waiting.length > 2 * kept) waiting = waiting.slice(-kept);
    if (isDrawing) return;
    isDrawing = true;
    requestAnimationFrame(draw);
  };
}

/** Shows beside a console whether it is live; a text instead when it is over. */
export function lampOf(element: HTMLElement): (state: boolean | string) => void {
  const lamp = element.parentElement?.querySelector<HTMLElement>("[data-live]");
  return (state) => {
    if (!lamp) return;
    lamp.classList.toggle("on", state === true);
    lamp.textContent = typeof state === "string" ? state : state ? "live" : "not connected";
  };
}

/** Coloured text as elements. */
export function colouredText(text: string): (string | HTMLElement)[] {
  return ansiRuns(text).map((run) =>
    run.classes === "" ? run.text : withText("span", run.classes, run.text),
  );
}

export function withText(tag: string, className: string, text: string): HTMLElement {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}
