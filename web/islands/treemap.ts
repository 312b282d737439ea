/** Opens boxes in place, tells of the one that is pointed at, and finds names. Links do the same without it. */
import { addSearch, replaceFrom } from "./picture-parts.ts";

export function mount(element: HTMLElement): void {
  prepare(element);
  element.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    const link = (event.target as Element).closest("a[href]");
    if (link === null) return;
    event.preventDefault();
    void go(element, link.getAttribute("href") ?? "");
  });
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.target instanceof HTMLInputElement) return;
    const up = [
      ...element.querySelectorAll<HTMLAnchorElement>(
        ".treemap-path > a:not(.treemap-detail), .treemap-path > span > a",
      ),
    ].at(-1);
    if (up !== undefined) void go(element, up.getAttribute("href") ?? "");
  });
  // Pointing, tapping and walking by keys all say what a box is.
  for (const kind of ["pointerover", "focusin", "pointerdown"] as const) {
    element.addEventListener(kind, ({ target }) => tell(element, target as Element));
  }
}

async function go(element: HTMLElement, address: string): Promise<void> {
  if (await replaceFrom(element, address, ".treemap")) {
    prepare(element);
    element.querySelector<HTMLElement>(".treemap-path a")?.focus({ preventScroll: true });
  }
}

/** What the server doesn't send: a place to search in. */
function prepare(element: HTMLElement): void {
  const first = element.querySelector(".treemap-picture");
  if (first === null) return;
  addSearch(first, "Find a part", (text) => {
    for (const picture of element.querySelectorAll(".treemap-picture")) {
      picture.classList.toggle("searching", text !== "");
      for (const box of picture.querySelectorAll<SVGElement>(".box")) {
        const name = box.dataset["name"]?.split(" / ").at(-1)?.toLowerCase() ?? "";
        box.classList.toggle("found", text !== "" && name.includes(text));
      }
    }
    return element.querySelectorAll(".treemap-picture.wide .found").length;
  });
}

function tell(element: HTMLElement, target: Element): void {
  const title = target.closest(".box")?.querySelector("title")?.textContent;
  const note = element.querySelector(".treemap-note");
  if (note !== null && title !== undefined && note.textContent !== title) note.textContent = title;
}
