/**
 * Statistics as albatross-influx writes them: the same measurements, tags and fields, `maxflt` included, which
 * dashboards depend on. One line each, without a time. Pure; influx-push.ts is the
 * connection.
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
