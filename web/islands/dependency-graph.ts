/** Follows the packages that are pointed at, chooses one in place, and finds names. Links do the same without it. */
import { addSearch, replaceFrom } from "./picture-parts.ts";

export function mount(element: HTMLElement): void {
  prepare(element);
  showChosen(element);
  element.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    const link = (event.target as Element).closest("a[href]");
    if (link === null) return;
    event.preventDefault();
    void choose(element, link.getAttribute("href") ?? "", (link as SVGElement).dataset["name"]);
  });
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || event.target instanceof HTMLInputElement) return;
    const none = element.querySelector<HTMLAnchorElement>(".graph-note a");
    if (none !== null) void choose(element, none.getAttribute("href") ?? "", undefined);
  });
  element.addEventListener("pointerover", ({ target, pointerType }) => {
    if (pointerType === "mouse") follow(element, (target as Element).closest<SVGElement>(".package"));
  });
  element.addEventListener("pointerleave", () => follow(element, null));
  element.addEventListener("focusin", ({ target }) =>
    follow(element, (target as Element).closest<SVGElement>(".package")),
  );
}

/** The place in the columns stays where it is, and the focus on the package. */
async function choose(element: HTMLElement, address: string, name: string | undefined): Promise<void> {
  const columns = () => element.querySelector<HTMLElement>(".graph-scroll");
  const left = columns()?.scrollLeft ?? 0;
  if (!(await replaceFrom(element, address, ".graph"))) return;
  prepare(element);
  columns()?.scrollTo({ left });
  const chosen =
    name === undefined ? undefined : element.querySelector<SVGElement>(`[data-name="${CSS.escape(name)}"]`);
  chosen?.focus({ preventScroll: true });
}

function prepare(element: HTMLElement): void {
  const columns = element.querySelector(".graph-scroll");
  if (columns === null) return;
  addSearch(columns, "Find a package", (text) => {
    const packages = [...element.querySelectorAll<SVGElement>(".package")];
    const found = packages.filter((one) => {
      const isFound = text !== "" && (one.dataset["name"] ?? "").toLowerCase().includes(text);
      one.classList.toggle("found", isFound);
      return isFound;
    });
    const first = found[0]?.getBoundingClientRect();
    const view = columns.getBoundingClientRect();
    if (first !== undefined && (first.left < view.left || first.right > view.right))
      columns.scrollBy({ left: first.left - view.left - view.width / 3 });
    return found.length;
  });
}

/** A package that an address names may stand in a column that is out of sight. */
function showChosen(element: HTMLElement): void {
  const chosen = element.querySelector(".package.chosen")?.getBoundingClientRect();
  const columns = element.querySelector(".graph-scroll");
  const view = columns?.getBoundingClientRect();
  if (chosen === undefined || view === undefined || chosen.right <= view.right) return;
  columns?.scrollTo({ left: chosen.left - view.left - view.width / 3 });
}

/** Lines to and from a package while it is pointed at. A chosen one keeps its own. */
function follow(element: HTMLElement, target: SVGElement | null): void {
  const picture = element.querySelector(".graph-picture");
  if (picture === null || element.querySelector(".package.chosen") !== null) return;
  const place = target?.dataset["place"];
  const packages = element.querySelectorAll<SVGElement>(".package");
  picture.classList.toggle("choosing", place !== undefined);
  for (const one of packages) one.classList.remove("up", "down");
  target?.classList.add("down");
  for (const edge of picture.querySelectorAll<SVGElement>(".edge")) {
    const { from, to } = edge.dataset;
    edge.classList.toggle("down", place !== undefined && from === place);
    edge.classList.toggle("up", place !== undefined && to === place);
    if (place === undefined) continue;
    if (from === place) packages[Number(to)]?.classList.add("down");
    if (to === place) packages[Number(from)]?.classList.add("up");
  }
}
