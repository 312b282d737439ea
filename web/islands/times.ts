/** Times as the visitor's clock has them; the server writes them in UTC. */
import { relative } from "../components/format.ts";

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

export function localClock(at: number): string {
  return clock.format(at);
}

/** Rewrites the times of a part of the page. */
export function rewriteTimes(within: ParentNode): void {
  for (const element of within.querySelectorAll<HTMLTimeElement>("time")) {
    const at = Date.parse(element.dateTime);
    if (element.dataset["ago"] !== undefined) {
      const text = relative(at, Date.now());
      if (element.textContent !== text) element.textContent = text;
    } else if (element.dataset["local"] === undefined) {
      element.textContent = clock.format(at);
      element.dataset["local"] = "";
    }
    element.title = full.format(at);
  }
}

/** Rewrites all times, and the relative ones again and again. */
export function keepTimes(): void {
  rewriteTimes(document);
  setInterval(() => document.hidden || rewriteTimes(document), 5000);
}
