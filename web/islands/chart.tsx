/** Draws the courses again as figures come in. */
import { render } from "preact";
import type { StatsSeries } from "../../src/orchestrator/api.ts";
import { Charts } from "../pages/charts.tsx";

const EACH_MS: Readonly<Record<string, number>> = { raw: 10_000, minute: 60_000 };

export function mount(element: HTMLElement): void {
  const { source = "", memory = "0", resolution = "raw" } = element.dataset;
  const draw = async () => {
    const response = await fetch(source);
    if (!response.ok) return;
    const series = (await response.json()) as StatsSeries;
    if (element.dataset["drawn"] === undefined) element.replaceChildren();
    element.dataset["drawn"] = "";
    render(<Charts series={series} memoryMb={Number(memory)} />, element);
  };
  setInterval(() => document.hidden || void draw(), EACH_MS[resolution] ?? 600_000);
}
