/** Statistics in Prometheus's text format (exposition format 0.0.4). Pure. */
import type { CallName, TenderCounters } from "../../tender/counter-page.ts";
import type { UnikernelName, UnikernelState } from "../api.ts";
import type { StatsSample } from "./sample.ts";

export interface PrometheusSubject {
  readonly name: UnikernelName;
  readonly state: UnikernelState;
  readonly restarts: number;
  readonly memoryMb: number;
  readonly sample: StatsSample | undefined;
}

type Labels = Readonly<Record<string, string>>;

interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly values: (subject: PrometheusSubject) => readonly (readonly [Labels, number | null])[];
}

const STATES: readonly UnikernelState[] = [
  ...(["created", "starting", "running", "stopping", "stopped", "failed", "backing-off"] as const),
];

function ofSample(value: (sample: StatsSample) => number | null): Metric["values"] {
  return ({ sample }) => (sample === undefined ? [] : [[{}, value(sample)]]);
}

function ofNetworks(value: (network: StatsSample["networks"][number]) => number): Metric["values"] {
  return ({ sample }) =>
    (sample?.networks ?? []).map((network) => [{ device: network.device }, value(network)] as const);
}

function ofTender(
  values: (counters: TenderCounters) => readonly (readonly [Labels, number])[],
): Metric["values"] {
  return ({ sample }) => (sample === undefined || sample.tender === null ? [] : values(sample.tender));
}

const WRITTEN_KIND: Readonly<Record<CallName, string>> = {
  walltime: "walltime",
  puts: "puts",
  poll: "poll",
  blockWrite: "block_write",
  blockRead: "block_read",
  netWrite: "net_write",
  netRead: "net_read",
  halt: "halt",
};

const PREFIX = "robur_unikernel_";

const METRICS: readonly Metric[] = [
  {
    name: "state",
    type: "gauge",
    help: "1 for the state that the unikernel is in",
    values: ({ state }) => STATES.map((each) => [{ state: each }, each === state ? 1 : 0] as const),
  },
  {
    name: "restarts_total",
    type: "counter",
    help: "Starts that nobody asked for",
    values: ({ restarts }) => [[{}, restarts]],
  },
  {
    name: "memory_limit_bytes",
    type: "gauge",
    help: "Memory of the guest",
    values: ({ memoryMb }) => [[{}, memoryMb * 1024 * 1024]],
  },
  {
    name: "start_time_seconds",
    type: "gauge",
    help: "Start of the process, since 1970",
    values: ofSample(({ startedAt }) => startedAt / 1000),
  },
  {
    name: "cpu_seconds_total",
    type: "counter",
    help: "Processor time of the tender and its guest",
    values: ({ sample }) =>
      sample === undefined
        ? []
        : [
            [{ mode: "user" }, sample.userTime / 1e6],
            [{ mode: "system" }, sample.systemTime / 1e6],
          ],
  },
  {
    name: "resident_bytes",
    type: "gauge",
    help: "Memory in use",
    values: ofSample(({ resident }) => resident),
  },
  {
    name: "page_faults_total",
    type: "counter",
    help: "Page faults",
    values: ({ sample }) =>
      sample === undefined
        ? []
        : [
            [{ kind: "minor" }, sample.minorFaults],
            [{ kind: "major" }, sample.majorFaults],
          ],
  },
  {
    name: "context_switches_total",
    type: "counter",
    help: "Context switches",
    values: ({ sample }) =>
      sample === undefined
        ? []
        : [
            [{ kind: "voluntary" }, sample.voluntarySwitches],
            [{ kind: "involuntary" }, sample.involuntarySwitches],
          ],
  },
  {
    name: "read_bytes_total",
    type: "counter",
    help: "Bytes read by the tender",
    values: ofSample(({ readBytes }) => readBytes),
  },
  {
    name: "written_bytes_total",
    type: "counter",
    help: "Bytes written by the tender, the console included",
    values: ofSample(({ writtenBytes }) => writtenBytes),
  },
  {
    name: "network_sent_bytes_total",
    type: "counter",
    help: "Bytes that the guest sent",
    values: ofNetworks(({ fromGuest }) => fromGuest.bytes),
  },
  {
    name: "network_received_bytes_total",
    type: "counter",
    help: "Bytes that the guest received",
    values: ofNetworks(({ toGuest }) => toGuest.bytes),
  },
  {
    name: "network_sent_packets_total",
    type: "counter",
    help: "Packets that the guest sent",
    values: ofNetworks(({ fromGuest }) => fromGuest.packets),
  },
  {
    name: "network_received_packets_total",
    type: "counter",
    help: "Packets that the guest received",
    values: ofNetworks(({ toGuest }) => toGuest.packets),
  },
  {
    name: "vm_exits_total",
    type: "counter",
    help: "Exits of the guest to its tender",
    values: ofSample(({ vmExits }) => vmExits),
  },
  {
    name: "hypercalls_total",
    type: "counter",
    help: "Calls of the guest to its tender",
    values: ofTender(({ calls }) =>
      Object.entries(calls).map(
        ([kind, count]) => [{ kind: WRITTEN_KIND[kind as CallName] }, count] as const,
      ),
    ),
  },
  {
    name: "block_requests_total",
    type: "counter",
    help: "Requests of the guest to its block devices",
    values: ofTender(({ blockRead, blockWritten }) => [
      [{ kind: "read" }, blockRead.requests],
      [{ kind: "write" }, blockWritten.requests],
    ]),
  },
  {
    name: "block_bytes_total",
    type: "counter",
    help: "Bytes that the guest read from its block devices and wrote to them",
    values: ofTender(({ blockRead, blockWritten }) => [
      [{ kind: "read" }, blockRead.bytes],
      [{ kind: "write" }, blockWritten.bytes],
    ]),
  },
  {
    name: "frames_total",
    type: "counter",
    help: "Network frames that the tender moved",
    values: ofTender(({ netReceived, netSent }) => [
      [{ kind: "received" }, netReceived.requests],
      [{ kind: "sent" }, netSent.requests],
    ]),
  },
  {
    name: "frame_bytes_total",
    type: "counter",
    help: "Bytes of those frames",
    values: ofTender(({ netReceived, netSent }) => [
      [{ kind: "received" }, netReceived.bytes],
      [{ kind: "sent" }, netSent.bytes],
    ]),
  },
];

function labelText(labels: Labels): string {
  const escape = (value: string) =>
    value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  return Object.entries(labels)
    .map(([key, value]) => `${key}="${escape(value)}"`)
    .join(",");
}

/** All metrics of all unikernels; those without a value are left out. Ends with a newline unless empty. */
export function prometheusText(subjects: readonly PrometheusSubject[]): string {
  const blocks = METRICS.map(({ name, type, help, values }) => {
    const lines = subjects.flatMap((subject) =>
      values(subject).flatMap(([labels, value]) =>
        value === null
          ? []
          : [`${PREFIX}${name}{${labelText({ name: subject.name, ...labels })}} ${value}\n`],
      ),
    );
    if (lines.length === 0) return "";
    return `# HELP ${PREFIX}${name} ${help}\n# TYPE ${PREFIX}${name} ${type}\n${lines.join("")}`;
  });
  return blocks.join("");
}
