/** Figures for Prometheus, in its text format (https://prometheus.io/docs/instrumenting/exposition_formats/). */
import { Elysia } from "elysia";
import type { UnikernelState, UnikernelView } from "../../orchestrator/api.ts";
import { ROOT_PATH } from "../../orchestrator/names.ts";
import { COMMIT, VERSION } from "../../lib/version.ts";
import { visitOf } from "../access/visit.ts";
import type { ServerContext } from "../context.ts";
import { actorFor } from "./ask.ts";

interface Metric {
  readonly name: string;
  readonly type: "gauge" | "counter";
  readonly help: string;
  readonly values: readonly (readonly [labels: Readonly<Record<string, string>>, value: number])[];
}

const STATES: readonly UnikernelState[] = [
  "created",
  "starting",
  "running",
  "stopping",
  "stopped",
  "failed",
  "backing-off",
];

/** The text of some metrics. Pure. */
export function formatMetrics(metrics: readonly Metric[]): string {
  return metrics
    .map(({ name, type, help, values }) => {
      const lines = values.map(([labels, value]) => `${name}${formatLabels(labels)} ${value}\n`);
      return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
    })
    .join("");
}

function formatLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function unikernelMetrics(unikernels: readonly UnikernelView[]): Metric[] {
  const count = (wanted: UnikernelState) => unikernels.filter(({ state }) => state === wanted).length;
  return [
    {
      name: "robur_unikernels",
      type: "gauge",
      help: "Unikernels by state.",
      values: STATES.map((state) => [{ state }, count(state)]),
    },
    {
      name: "robur_unikernel_up",
      type: "gauge",
      help: "Whether a unikernel runs.",
      values: unikernels.map(({ name, state }) => [{ name }, state === "running" ? 1 : 0]),
    },
    {
      name: "robur_unikernel_restarts_total",
      type: "counter",
      help: "Starts that nobody asked for.",
      values: unikernels.map(({ name, restarts }) => [{ name }, restarts]),
    },
  ];
}

function serverMetrics(startedAt: number): Metric[] {
  const { rss } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  return [
    {
      name: "robur_build_info",
      type: "gauge",
      help: "Version.",
      values: [[{ version: VERSION, commit: COMMIT }, 1]],
    },
    {
      name: "process_resident_memory_bytes",
      type: "gauge",
      help: "Memory of the server.",
      values: [[{}, rss]],
    },
    {
      name: "process_cpu_seconds_total",
      type: "counter",
      help: "Processor time of the server.",
      values: [[{}, (user + system) / 1e6]],
    },
    {
      name: "process_start_time_seconds",
      type: "gauge",
      help: "When the server was started.",
      values: [[{}, startedAt / 1000]],
    },
  ];
}

export function metricRoutes({ orchestrator, now }: ServerContext) {
  const startedAt = now();
  return new Elysia({ name: "metrics" }).get(
    "/metrics",
    ({ request }) => {
      const metrics = [
        ...serverMetrics(startedAt),
        ...unikernelMetrics(orchestrator.list(actorFor(request))),
      ];
      // The orchestrator's own text is of all unikernels: for those who may see all.
      const isAll = visitOf(request).principal.path === ROOT_PATH;
      return new Response(formatMetrics(metrics) + (isAll ? orchestrator.stats.prometheus() : ""), {
        headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
      });
    },
    { detail: { tags: ["system"], summary: "Figures for Prometheus" } },
  );
}
