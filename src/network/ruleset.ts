/**
 * The nft table that follows from the records. It is always replaced whole, in one transaction of the kernel:
 * there is no moment with half of the rules, and connections that are under way stay as they are.
 *
 * The table only ever drops what would get into or out of networks of ours, so it is in nobody's way. A verdict
 * "accept" in it doesn't overrule a drop in another table (Docker's, firewalld's, ufw's): see firewalls.ts.
 *
 * Published ports reach the host's own programs, localhost too, by the same rules as everybody else: nothing has to
 * run for them, so they outlive whoever made them. For 127.0.0.1 the bridge needs route_localnet, and with it
 * a guest could send to the host's loopback: the chain `guard` drops that before anything else is done with it.
 * IPv6 has no such setting, so ::1 is left alone; programs that ask for localhost go on to 127.0.0.1.
 */
import { cidr, formatCidr, rangeOf } from "./addresses.ts";
import { type NetworkRecord, type PortRecord, type Records, isActive, leaseOf } from "./records.ts";

export interface Ruleset {
  /** The table's name: `robur`, or `robur_INSTANCE` where another instance has that one. */
  readonly table: string;
  /** What `nft -f` reads: the table without its head. */
  readonly body: string;
  /** Name of the chain without a use of its own by which instance and contents are known again. */
  readonly markChain: string;
}

/** The chain's name for a table's contents. */
export function markChainFor(instance: string, body: string): string {
  return `mark_${instance}_${new Bun.CryptoHasher("sha256").update(body).digest("hex").slice(0, 16)}`;
}

/** What a table's chains say of it: whose it is and what is in it. Undefined: it isn't a table of robur's. */
export function readMarkChain(
  chains: readonly string[],
): { readonly instance: string; readonly name: string } | undefined {
  for (const name of chains) {
    const instance = /^mark_([0-9a-f]{8})_[0-9a-f]{16}$/.exec(name)?.[1];
    if (instance !== undefined) return { instance, name };
  }
  return undefined;
}

/** The table for these records; undefined where no rules are needed. */
export function rulesetFor(records: Records, instance: string, table: string): Ruleset | undefined {
  const networks = records.networks.filter((network) => isActive(records, network));
  const ours = networks.filter(({ adopted }) => !adopted);
  const published = records.ports.flatMap((port) => targetsOf(records, networks, port));
  if (ours.length === 0 && published.length === 0) return undefined;
  const body = [
    chain("guard", "type filter hook prerouting priority raw", ours.map(guard)),
    chain("forward", "type filter hook forward priority filter", forward(ours)),
    chain("prerouting", "type nat hook prerouting priority dstnat", published.map(redirect)),
    // The name dstnat is not known for this hook; -100 is what it means.
    chain("output", "type nat hook output priority -100", published.map(redirect)),
    chain("postrouting", "type nat hook postrouting priority srcnat", postrouting(networks)),
  ].join("");
  return { table, body, markChain: markChainFor(instance, body) };
}

/** What `nft -f -` is given: the table as it was is removed and the new one is made, in one step. */
export function replaceTable({ table, body, markChain }: Ruleset): string {
  return `${removeTable(table)}table inet ${table} {\n  chain ${markChain} { }\n${body}}\n`;
}

/** Removes the table; it need not exist. */
export function removeTable(table: string): string {
  return `table inet ${table}\ndelete table inet ${table}\n`;
}

function chain(name: string, hook: string, rules: readonly string[]): string {
  const lines = rules.map((rule) => `    ${rule}\n`).join("");
  return rules.length === 0 ? "" : `  chain ${name} {\n    ${hook}; policy accept;\n${lines}  }\n`;
}

function guard({ bridge }: NetworkRecord): string {
  return `iifname "${bridge}" ip daddr 127.0.0.0/8 drop`;
}

/**
 * Who may reach whom through this host. `closed` networks are entered by answers and through published ports
 * only; `isolated` ones are neither entered nor left. Frames between guests of one bridge come by here only where
 * the bridge asks the packet filter (br_netfilter), and pass.
 */
function forward(networks: readonly NetworkRecord[]): string[] {
  const closed = set(networks.filter(({ mode }) => mode === "nat"));
  const isolated = networks.filter(({ mode }) => mode === "isolated");
  const rules = networks.map(({ bridge }) => `iifname "${bridge}" oifname "${bridge}" accept`);
  for (const { bridge } of isolated) rules.push(`iifname "${bridge}" ct status dnat accept`);
  for (const { bridge } of isolated) rules.push(`iifname "${bridge}" drop`);
  for (const { bridge } of isolated) {
    rules.push(`oifname "${bridge}" ct status dnat accept`, `oifname "${bridge}" drop`);
  }
  if (closed !== undefined) {
    rules.push(
      `oifname ${closed} ct state established,related accept`,
      `oifname ${closed} ct status dnat accept`,
      `oifname ${closed} drop`,
    );
  }
  return rules;
}

function set(networks: readonly NetworkRecord[]): string | undefined {
  if (networks.length === 0) return undefined;
  return `{ ${networks.map(({ bridge }) => `"${bridge}"`).join(", ")} }`;
}

interface Target {
  readonly port: PortRecord;
  /** `ip` or `ip6`. */
  readonly family: "ip" | "ip6";
  readonly to: string;
}

/** Where a published port leads: the unikernel's addresses, while it is there. */
function targetsOf(records: Records, networks: readonly NetworkRecord[], port: PortRecord): Target[] {
  const { unikernel, device, network, address, guestPort } = port;
  const isUp = records.taps.some((tap) => tap.unikernel === unikernel && tap.device === device);
  const lease = leaseOf(records, unikernel, device);
  if (!isUp || lease === undefined || !networks.some(({ name }) => name === network)) return [];
  const targets: Target[] = [];
  if (lease.ipv4 !== null && !address.includes(":")) {
    targets.push({ port, family: "ip", to: `${lease.ipv4}:${guestPort}` });
  }
  if (lease.ipv6 !== null && (address === "" || address.includes(":"))) {
    targets.push({ port, family: "ip6", to: `[${lease.ipv6}]:${guestPort}` });
  }
  return targets;
}

function redirect({ port, family, to }: Target): string {
  const { address, protocol, hostPort, unikernel } = port;
  const version = family === "ip" ? "ipv4" : "ipv6";
  const where =
    address === "" ? `meta nfproto ${version} fib daddr type local` : `${family} daddr ${address}`;
  return `${where} ${protocol} dport ${hostPort} dnat ${family} to ${to} comment "${unikernel}"`;
}

function postrouting(networks: readonly NetworkRecord[]): string[] {
  return networks.flatMap((network) => {
    const { bridge, mode, ipv4, ipv6 } = network;
    // What comes from the host itself may have an address that the guest has no way back to, such as 127.0.0.1.
    const rules = [`oifname "${bridge}" ct status dnat fib saddr type local masquerade`];
    // On a bridge that leads elsewhere, the guest would answer the client directly, past this host.
    if (mode === "bridged") return [`oifname "${bridge}" ct status dnat masquerade`];
    for (const [family, address] of [
      ["ip", ipv4],
      ["ip6", ipv6],
    ] as const) {
      if (address === null) continue;
      const range = formatCidr(rangeOf(cidr(address)));
      // A guest that uses a port published by its neighbour: the answer has to come back through here.
      rules.push(`${family} saddr ${range} oifname "${bridge}" ct status dnat masquerade`);
      if (mode === "nat") rules.push(`${family} saddr ${range} oifname != "${bridge}" masquerade`);
    }
    return rules;
  });
}
