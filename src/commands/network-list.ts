/** What `robur network` shows. */
import { styleText } from "node:util";
import { print } from "../linux/libc.ts";
import { mayMakeNetworks } from "../network/capabilities.ts";
import { type NetworkCheck, judgeNetworks, lookAround } from "../network/firewalls.ts";
import { findNetwork } from "../network/manage.ts";
import { DOMAIN, dnsLabel } from "../network/names.ts";
import type { Networks } from "../network/networks.ts";
import { openNetworks } from "../network/open-networks.ts";
import { formatPort } from "../network/ports.ts";
import { findProgram } from "../network/programs.ts";
import { type NetworkRecord, type Records, isActive } from "../network/records.ts";
import { type Column, formatTable } from "./table.ts";

/** One network as JSON shows it. */
export interface NetworkView {
  readonly name: string;
  readonly mode: string;
  readonly bridge: string;
  readonly adopted: boolean;
  /** Whether the bridge is meant to be there now. */
  readonly active: boolean;
  readonly onDemand: boolean;
  readonly ipv4: string | null;
  readonly ipv6: string | null;
  readonly uplink: string | null;
  readonly unikernels: readonly {
    readonly name: string;
    readonly device: string;
    readonly running: boolean;
    readonly tap: string | null;
    readonly mac: string;
    readonly ipv4: string | null;
    readonly ipv6: string | null;
    readonly dnsName: string;
  }[];
  readonly ports: readonly {
    readonly unikernel: string;
    /** As `-p` takes it. */
    readonly port: string;
    readonly kept: boolean;
  }[];
}

function viewOf(records: Records, network: NetworkRecord): NetworkView {
  const { name, mode, bridge, adopted, onDemand, ipv4, ipv6, uplink } = network;
  const leases = records.leases.filter((lease) => lease.network === name);
  return {
    ...{ name, mode, bridge, adopted, active: isActive(records, network), onDemand, ipv4, ipv6, uplink },
    unikernels: leases.map((lease) => {
      const tap = records.taps.find(
        (other) => other.unikernel === lease.unikernel && other.device === lease.device,
      );
      return {
        name: lease.unikernel,
        device: lease.device,
        running: tap !== undefined,
        tap: tap?.tap ?? null,
        mac: lease.mac,
        ipv4: lease.ipv4,
        ipv6: lease.ipv6,
        dnsName: `${dnsLabel(lease.unikernel)}.${DOMAIN}`,
      };
    }),
    ports: records.ports
      .filter((port) => port.network === name)
      .map((port) => {
        return { unikernel: port.unikernel, port: formatPort(port), kept: port.kept };
      }),
  };
}

const COLUMNS: readonly Column<NetworkView>[] = [
  { title: "NAME", text: ({ name }) => name },
  { title: "MODE", text: ({ mode, adopted }) => (adopted ? `${mode}, adopted` : mode) },
  { title: "BRIDGE", text: ({ bridge, active }) => (active ? bridge : "-") },
  {
    title: "ADDRESS",
    text: ({ ipv4, ipv6 }) => [ipv4, ipv6].filter((address) => address !== null).join(" ") || "-",
  },
  {
    title: "RUNNING",
    text: ({ unikernels }) =>
      unikernels
        .filter(({ running }) => running)
        .map(({ name }) => name)
        .join(" ") || "-",
  },
];

/** `robur network ls`. */
export async function list(
  dataDirectory: string,
  { format, json, quiet }: { format: "table" | "json" | "jsonl"; json: boolean; quiet: boolean },
): Promise<void> {
  const records = await freshRecords(dataDirectory);
  const views = records.networks.map((network) => viewOf(records, network));
  if (quiet) print(views.map(({ name }) => `${name}\n`).join(""));
  else if (json || format === "json") print(`${JSON.stringify(views, null, 2)}\n`);
  else if (format === "jsonl") print(views.map((view) => `${JSON.stringify(view)}\n`).join(""));
  else print(formatTable(COLUMNS, views));
}

/** `robur network inspect`. */
export async function inspect(dataDirectory: string, names: readonly string[], json: boolean): Promise<void> {
  const records = await freshRecords(dataDirectory);
  const views = names.map((name) => viewOf(records, findNetwork(records, name)));
  print(json ? `${JSON.stringify(views, null, 2)}\n` : views.map(describe).join("\n"));
}

function describe(view: NetworkView): string {
  const { name, mode, bridge, active, adopted, onDemand, ipv4, ipv6, uplink } = view;
  const state = active ? bridge : `${bridge}, while a unikernel is on it`;
  const lines = [
    `${name}: ${mode}${adopted ? ", adopted" : ""}${onDemand ? ", made on demand" : ""}`,
    `  bridge   ${state}${uplink === null ? "" : `, with ${uplink}`}`,
    ...[ipv4, ipv6].filter((address) => address !== null).map((address) => `  host     ${address}`),
    ...view.unikernels.map(
      ({ name: unikernel, device, ipv4: own, mac, running, dnsName }) =>
        `  ${running ? "running" : "stopped"}  ${unikernel} (${device})  ${own ?? "-"}  ${mac}  ${dnsName}`,
    ),
    ...view.ports.map(
      ({ unikernel, port, kept }) => `  port     ${port} of ${unikernel}${kept ? "" : ", for its run"}`,
    ),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

/** The records, cleaned of what killed processes left where that is permitted. */
async function freshRecords(dataDirectory: string): Promise<Records> {
  using open = openNetworks(dataDirectory);
  await recoverIfPossible(open.networks);
  return open.networks.records();
}

async function recoverIfPossible(networks: Networks): Promise<string[]> {
  const canLook = mayMakeNetworks() && ["ip", "nft"].every((program) => findProgram(program) !== undefined);
  if (!canLook) return [];
  const pending = await networks.plan();
  const { taps } = await networks.recover();
  if (taps.length > 0) return taps.map((tap) => `${tap}: its unikernel was killed`);
  return pending.length === 0 ? [] : ["what was in the kernel did not agree with the records"];
}

const COLOUR = { PASS: "green", WARN: "yellow", FAIL: "red" } as const;

/** `robur network doctor`. Exit status 1 when a check fails; warnings don't count. */
export async function doctor(dataDirectory: string, json: boolean): Promise<void> {
  using open = openNetworks(dataDirectory);
  const cleaned = await recoverIfPossible(open.networks);
  const bridges = open.networks.records().networks.filter(({ adopted }) => !adopted);
  const checks: NetworkCheck[] = [
    ...judgeNetworks(await lookAround(bridges.map(({ bridge }) => bridge))),
    cleaned.length === 0
      ? { name: "left behind", verdict: "PASS", found: "nothing" }
      : { name: "left behind", verdict: "PASS", found: `cleaned up: ${cleaned.join("; ")}` },
  ];
  print(json ? `${JSON.stringify({ checks }, null, 2)}\n` : checks.map(line).join(""));
  if (checks.some(({ verdict }) => verdict === "FAIL")) process.exitCode = 1;
}

function line({ name, verdict, found, mend }: NetworkCheck): string {
  const mark = styleText(COLOUR[verdict], verdict, { stream: process.stdout });
  return `${mark}  ${name}: ${found}\n${mend === undefined || verdict === "PASS" ? "" : `      try: ${mend}\n`}`;
}
