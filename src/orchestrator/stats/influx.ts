/**
 * Statistics as albatross-influx writes them: the same measurements, tags and fields, `maxflt` included, which
 * dashboards depend on. One line each, without a time. Pure; `InfluxPush` is the connection.
 */
import { writtenName, type UnikernelName, labelOf } from "../names.ts";
import type { NetworkCounters, StatsSample } from "./sample.ts";

const PAGE = 4096;

/** Seconds with six digits behind the point, from microseconds. */
function seconds(microseconds: number): string {
  return `${Math.floor(microseconds / 1e6)}.${String(Math.floor(microseconds % 1e6)).padStart(6, "0")}`;
}

/** Commas, spaces and equal signs part the fields of a line, so they are escaped in what stands between. */
function escapeTag(text: string): string {
  return text.replaceAll(/[,= ]/g, (c) => `\\${c}`);
}

function fields(values: Readonly<Record<string, number | string>>): string {
  return Object.entries(values)
    .map(([key, value]) => `${escapeTag(key)}=${typeof value === "number" ? `${Math.trunc(value)}i` : value}`)
    .join(",");
}

function interfaceLine(vm: string, network: NetworkCounters): string {
  const { device, mtu, fromGuest, toGuest, collisions } = network;
  return `interface,vm=${vm},bridge=${escapeTag(device)} ${fields({
    send_queue_length: 0,
    max_send_queue_length: 0,
    send_queue_drops: 0,
    mtu,
    baudrate: 0,
    vm_to_host_packets: fromGuest.packets,
    vm_to_host_errors: fromGuest.errors,
    vm_to_host_bytes: fromGuest.bytes,
    vm_to_host_mcast: fromGuest.multicast,
    vm_to_host_dropped: fromGuest.dropped,
    collisions,
    host_to_vm_packets: toGuest.packets,
    host_to_vm_errors: toGuest.errors,
    host_to_vm_bytes: toGuest.bytes,
    host_to_vm_mcast: toGuest.multicast,
    host_to_vm_dropped: toGuest.dropped,
  })}`;
}

/** The lines for one unikernel, each ended by a newline. `keepPath`: the whole name, as albatross writes it. */
export function influxLines(name: UnikernelName, sample: StatsSample, keepPath = false): string {
  const vm = escapeTag(keepPath ? writtenName(name) : labelOf(name));
  const usage = fields({
    utime: seconds(sample.userTime),
    stime: seconds(sample.systemTime),
    maxrss: sample.resident / PAGE,
    ixrss: 0,
    idrss: 0,
    isrss: 0,
    minflt: sample.minorFaults,
    maxflt: sample.majorFaults,
    nswap: 0,
    inblock: 0,
    outblock: 0,
    msgsnd: 0,
    msgrcv: 0,
    nsignals: 0,
    nvcsw: sample.voluntarySwitches,
    nivcsw: sample.involuntarySwitches,
  });
  const memory = fields({
    vsize: sample.virtual,
    rss: sample.resident / PAGE,
    tsize: sample.textPages,
    dsize: sample.dataPages,
    ssize: sample.dataPages,
    cow_faults: 0,
    runtime: sample.userTime + sample.systemTime,
    uptime: ((sample.at - sample.startedAt) / 1000).toFixed(6),
  });
  const vmm =
    sample.vmExits === null && sample.hypercalls === null
      ? []
      : [`vmm,vm=${vm} ${fields({ vm_exits: sample.vmExits ?? 0, hypercalls: sample.hypercalls ?? 0 })}`];
  const lines = [
    `resource_usage,vm=${vm} ${usage}`,
    `kinfo_mem,vm=${vm} ${memory}`,
    ...vmm,
    ...sample.networks.map((network) => interfaceLine(vm, network)),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

export interface InfluxTarget {
  readonly host: string;
  /** Default: 8094, telegraf's socket listener. */
  readonly port?: number;
  readonly keepPath?: boolean;
}

const DEFAULT_PORT = 8094;
const RECONNECT_MS = 5000;

/**
 * Sends every round of samples to a listener until `signal`; a connection that is lost is made again, and what comes
 * meanwhile is not sent. `rounds` is `Orchestrator.stats.follow`.
 */
export async function pushInflux(
  target: InfluxTarget,
  rounds: AsyncIterable<ReadonlyMap<UnikernelName, StatsSample>>,
  signal: AbortSignal,
): Promise<void> {
  let socket: Bun.Socket | undefined;
  let lastAttempt = -Infinity;
  const lose = () => (socket = undefined);
  const connect = async () => {
    lastAttempt = performance.now();
    try {
      socket = await Bun.connect({
        hostname: target.host,
        port: target.port ?? DEFAULT_PORT,
        socket: { data: () => undefined, close: lose, error: lose },
      });
    } catch (error) {
      console.error(`robur: influx: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  for await (const round of rounds) {
    if (signal.aborted) break;
    if (socket === undefined && performance.now() - lastAttempt >= RECONNECT_MS) await connect();
    let text = "";
    for (const [name, sample] of round) text += influxLines(name, sample, target.keepPath ?? false);
    // What the listener doesn't take now is dropped with the connection: the next round has newer figures.
    if (socket !== undefined && text !== "" && socket.write(text) < Buffer.byteLength(text)) socket.end();
  }
  socket?.end();
}
