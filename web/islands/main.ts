/**
 * What runs in the browser. Pages are whole without it; an element that says `data-island="name"` becomes more by
 * the file of that name, which is loaded only where it is needed.
 */

type Island = (element: HTMLElement) => void;

const ISLANDS: Readonly<Record<string, () => Promise<{ readonly mount: Island }>>> = {
  chart: () => import("./chart.tsx"),
  console: () => import("./console.ts"),
  copy: () => import("./copy.ts"),
  "dependency-graph": () => import("./dependency-graph.ts"),
  fill: () => import("./fill.ts"),
  refresh: () => import("./refresh.ts"),
  "run-console": () => import("./run-console.ts"),
  setup: () => import("./setup.ts"),
  terminal: () => import("./terminal.ts"),
  theme: () => import("./theme.ts"),
  treemap: () => import("./treemap.ts"),
  upload: () => import("./upload.ts"),
};

for (const element of document.querySelectorAll<HTMLElement>("[data-island]")) {
  const load = ISLANDS[element.dataset["island"] ?? ""];
  if (load !== undefined) void load().then(({ mount }) => mount(element));
}

if (document.querySelector("time") !== null) void import("./times.ts").then(({ keepTimes }) => keepTimes());
