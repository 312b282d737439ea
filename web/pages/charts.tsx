/** The courses of a unikernel. */
import type { StatsSeries } from "../../src/orchestrator/api.ts";
import { Chart } from "../components/chart.tsx";

/** Both courses; the island draws the same again. */
export function Charts({ series, memoryMb }: { series: StatsSeries; memoryMb: number }) {
  return (
    <div class="charts">
      <Chart
        title="Processor"
        format="percent"
        least={0.1}
        points={series.points.map(({ at, cpu }) => ({ at, value: cpu }))}
      />
      <Chart
        title="Memory"
        format="size"
        least={Math.min(memoryMb, 16) * 1024 * 1024}
        isSecond
        points={series.points.map(({ at, resident }) => ({ at, value: resident }))}
      />
    </div>
  );
}
