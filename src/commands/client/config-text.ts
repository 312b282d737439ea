/** How people write what a unikernel's configuration consists of: on command lines, and in unikernels.toml. Pure. */
import { UsageError } from "../../lib/errors.ts";
import { MIB, parseSize } from "../../lib/units.ts";
import type { BlockConfig, NetworkConfig, PublishConfig, RestartPolicy } from "../../orchestrator/api.ts";

/** `64M`, `1G`; a bare number is MiB. Throws UsageError for what isn't a whole number of MiB. */
export function parseMemory(text: string): number {
  const bytes = parseSize(text, "M");
  if (bytes !== undefined && bytes % MIB === 0) return bytes / MIB;
  throw new UsageError(`${text} is not an amount of memory`, { why: "it is whole MiB", hint: "64M, or 1G" });
}

/** `0,2-4`, or `any` for null. Throws UsageError. */
export function parseCpus(text: string): number[] | null {
  if (text === "any") return null;
  const cpus = new Set<number>();
  for (const part of text.split(",")) {
    const [, from, to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim()) ?? [];
    if (from === undefined || Number(to) < Number(from)) {
      throw new UsageError(`${text} are no processors`, { hint: "0, or 0,2-4, or any" });
    }
    for (let cpu = Number(from); cpu <= Number(to); cpu++) cpus.add(cpu);
  }
  return [...cpus].sort((a, b) => a - b);
}

/** `0,2-4`; `any` for null. */
export function formatCpus(cpus: readonly number[] | null): string {
  if (cpus === null) return "any";
  const sorted = [...cpus].sort((a, b) => a - b);
  const spans: string[] = [];
  for (let i = 0; i < sorted.length;) {
    let end = i;
    while (sorted[end + 1] === sorted[end]! + 1) end++;
    spans.push(end === i ? `${sorted[i]}` : `${sorted[i]}-${sorted[end]}`);
    i = end + 1;
  }
  return spans.join(",");
}

/** `no`, `on-failure`, `on-failure:5`, `always`, `albatross`, `albatross:1,64`. Throws UsageError. */
export function parseRestart(text: string): RestartPolicy {
  const [, kind, more] = /^([a-z-]+)(?::(.+))?$/.exec(text) ?? [];
  if ((kind === "no" || kind === "always") && more === undefined) return { kind };
  if (kind === "on-failure" && (more === undefined || /^[1-9]\d{0,8}$/.test(more))) {
    return { kind, limit: more === undefined ? null : Number(more) };
  }
  if (kind === "albatross" && (more === undefined || /^\d{1,3}(,\d{1,3})*$/.test(more))) {
    return { kind, codes: more === undefined ? null : more.split(",").map(Number) };
  }
  throw new UsageError(`${text} is no restart policy`, { hint: "no, on-failure, on-failure:5, or always" });
}

/** As parseRestart reads it. */
export function formatRestart(policy: RestartPolicy): string {
  switch (policy.kind) {
    case "on-failure":
      return policy.limit === null ? policy.kind : `${policy.kind}:${policy.limit}`;
    case "albatross":
      return policy.codes === null ? policy.kind : `${policy.kind}:${policy.codes.join(",")}`;
    default:
      return policy.kind;
  }
}

/** `[ADDRESS:]HOST:GUEST[/udp]`. Throws UsageError. */
export function parsePublish(text: string): PublishConfig {
  const [, bracketed, plain, host = "", guest = "", protocol = "tcp"] =
    /^(?:(?:\[([0-9a-f:]+)\]|([0-9.]+)):)?(\d{1,5}):(\d{1,5})(?:\/(tcp|udp))?$/i.exec(text) ?? [];
  const ports = [host, guest].map(Number);
  if (ports.every((port) => port >= 1 && port <= 65_535)) {
    return {
      protocol: protocol.toLowerCase() === "udp" ? "udp" : "tcp",
      hostAddress: bracketed ?? plain ?? null,
      hostPort: ports[0]!,
      guestPort: ports[1]!,
    };
  }
  throw new UsageError(`${text} is no port to publish`, {
    why: "it is [ADDRESS:]HOST:GUEST, with /udp behind for UDP",
    hint: "8080:80",
  });
}

/** As parsePublish reads it. */
export function formatPublish({ protocol, hostAddress, hostPort, guestPort }: PublishConfig): string {
  const address =
    hostAddress === null ? "" : hostAddress.includes(":") ? `[${hostAddress}]:` : `${hostAddress}:`;
  return `${address}${hostPort}:${guestPort}${protocol === "udp" ? "/udp" : ""}`;
}

/** `DEVICE=NETWORK[,ip=ADDRESS][,mac=MAC]`. Throws UsageError. */
export function parseNetwork(text: string): NetworkConfig {
  const { device, value, more } = parseDevice(text, "net", "NETWORK[,ip=ADDRESS][,mac=MAC]", ["ip", "mac"]);
  return { device, network: value, mac: more.get("mac") ?? null, address: more.get("ip") ?? null };
}

/** `DEVICE=VOLUME[,sector=BYTES]`. Throws UsageError. */
export function parseBlock(text: string): BlockConfig {
  const { device, value, more } = parseDevice(text, "block", "VOLUME[,sector=BYTES]", ["sector"]);
  const sector = more.get("sector");
  if (sector !== undefined && !/^\d{3,5}$/.test(sector)) {
    throw new UsageError(`--block ${text}: ${sector} is no sector size`, { hint: "sector=512" });
  }
  return { device, volume: value, sectorSize: sector === undefined ? null : Number(sector) };
}

function parseDevice(text: string, flag: string, form: string, known: readonly string[]) {
  const [first = "", ...rest] = text.split(",");
  const equals = first.indexOf("=");
  const device = first.slice(0, Math.max(0, equals));
  const value = first.slice(equals + 1);
  const more = new Map(
    rest.map((part) => [part.slice(0, Math.max(0, part.indexOf("="))), part.slice(part.indexOf("=") + 1)]),
  );
  if (
    device === "" ||
    value === "" ||
    [...more].some(([key, value]) => !known.includes(key) || value === "")
  ) {
    throw new UsageError(`--${flag} ${text}: wrong form`, { why: `it is --${flag} DEVICE=${form}` });
  }
  return { device, value, more };
}

/** `key=value`. Throws UsageError. */
export function parseLabel(text: string): [key: string, value: string] {
  const equals = text.indexOf("=");
  if (equals > 0) return [text.slice(0, equals), text.slice(equals + 1)];
  throw new UsageError(`--label ${text}: wrong form`, { why: "it is --label KEY=VALUE" });
}
