/**
 * A part of a page that follows what happens: the page is fetched again, and the part of the same id is put in its
 * place. So the server alone knows how it looks. All parts of a page share one stream and one fetch.
 */
import { openLive } from "./live.ts";
import { rewriteTimes } from "./times.ts";

/** Events that come together are answered together; figures change without an event. */
const COLLECT_MS = 150;
const FIGURES_MS = 10_000;

const parts: HTMLElement[] = [];
let timer: ReturnType<typeof setTimeout> | undefined;
let last = "";

export function mount(element: HTMLElement): void {
  parts.push(element);
  if (parts.length > 1) return;
  // What no event tells of is looked at again and again.
  const every = Number(element.dataset["every"] ?? 0);
  if (every > 0) {
    setInterval(() => document.hidden || refreshSoon(), every);
    return;
  }
  const name = element.dataset["name"];
  const query = name === undefined ? "" : `name=${encodeURIComponent(name)}&`;
  openLive({
    address: () => `/api/v1/events/stream?${query}${last === "" ? "" : `after=${last}`}`,
    on: {
      event: (_, id) => {
        last = id;
        timer ??= setTimeout(refresh, COLLECT_MS);
      },
    },
  });
  setInterval(() => document.hidden || (timer ??= setTimeout(refresh, 0)), FIGURES_MS);
  // What happened between the page's making and the stream's beginning.
  timer ??= setTimeout(refresh, COLLECT_MS);
}

/** Fetches the page again in a moment. */
export function refreshSoon(): void {
  timer ??= setTimeout(refresh, 0);
}

async function refresh(): Promise<void> {
  timer = undefined;
  const response = await fetch(location.href, { headers: { accept: "text/html" } });
  if (response.redirected || response.status === 404) {
    // The session ended, or what the page is about is gone.
    location.reload();
    return;
  }
  if (!response.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const part of parts) {
    const fresh = page.getElementById(part.id);
    if (fresh !== null) replace(part, fresh);
  }
}

/** Focus stays on the button that had it, or on what has taken its place. */
function replace(part: HTMLElement, fresh: HTMLElement): void {
  rewriteTimes(fresh);
  rewriteTimes(part);
  if (part.innerHTML === fresh.innerHTML) return;
  const focusable = "a, button, input, select, textarea, summary";
  const index = [...part.querySelectorAll(focusable)].indexOf(document.activeElement as Element);
  part.replaceChildren(...fresh.childNodes);
  if (index < 0) return;
  const targets = part.querySelectorAll<HTMLElement>(focusable);
  targets[Math.min(index, targets.length - 1)]?.focus();
}
