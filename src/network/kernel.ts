/** Looking at the kernel's networks, and doing what a plan says. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Cidr, parseCidr } from "./addresses.ts";
import { MARK, mark, markedAs } from "./names.ts";
import { NetworkError } from "./network-error.ts";
import type { Action, KernelState, Link, LinkKind, Surroundings } from "./plan.ts";
import { type Command, callProgram, complaint, parseJson, runProgram } from "./programs.ts";
import { readMarkChain } from "./ruleset.ts";

/** One interface of `ip -j -d address show`, as far as it is read here. */
export interface Interface {
  readonly ifname: string;
  readonly ifalias?: string;
  readonly address?: string;
  readonly master?: string;
  readonly flags: readonly string[];
  readonly mtu?: number;
  readonly linkinfo?: { readonly info_kind?: string };
  readonly addr_info: readonly {
    readonly local?: string;
    readonly prefixlen?: number;
    readonly broadcast?: string;
    readonly scope?: string;
  }[];
}

interface Chain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook?: string;
  readonly policy?: string;
}

/** What the kernel has, ours and others'. */
export interface Look {
  readonly interfaces: readonly Interface[];
  readonly chains: readonly Chain[];
}

export async function lookAtInterfaces(): Promise<Interface[]> {
  return parseJson(await runProgram({ program: "ip", args: ["-j", "-d", "address", "show"] })) as Interface[];
}

/** The names alone, without asking `ip`: /sys may show another network namespace's, this doesn't. */
export function interfaceNames(): Set<string> {
  const lines = readFileSync("/proc/self/net/dev", "utf8").split("\n").slice(2);
  return new Set(lines.flatMap((line) => /^\s*([^:\s]+):/.exec(line)?.[1] ?? []));
}

/** Throws NetworkError. */
export async function lookAtKernel(): Promise<Look> {
  const [interfaces, chains] = await Promise.all([
    lookAtInterfaces(),
    runProgram({ program: "nft", args: ["-j", "list", "chains"] }),
  ]);
  return { interfaces, chains: nftObjects<Chain>(chains, "chain") };
}

function nftObjects<T>(text: string, kind: string): T[] {
  const parsed = JSON.parse(text) as { nftables?: Record<string, unknown>[] };
  return (parsed.nftables ?? []).flatMap((object) => (kind in object ? [object[kind] as T] : []));
}

/** Every range that a route of any table or an interface has: where no new network can be. */
export async function usedRanges(): Promise<Cidr[]> {
  const routes = (await readJson("-4", "route", "show", "table", "all")) as { dst?: string }[];
  const fromRoutes = routes.map(({ dst = "" }) => parseCidr(dst.includes("/") ? dst : `${dst}/32`));
  const fromInterfaces = (await lookAtInterfaces()).flatMap(({ addr_info }) =>
    addr_info.map(({ local, prefixlen }) => parseCidr(`${local}/${prefixlen}`)),
  );
  return [...fromRoutes, ...fromInterfaces].filter((range) => range !== undefined);
}

export async function readJson(...args: string[]): Promise<unknown[]> {
  return parseJson(await runProgram({ program: "ip", args: ["-j", ...args] }));
}

/** The surroundings of an instance. The table is `robur` unless that belongs to somebody else. */
export function surroundingsOf(look: Look, instance: string): Surroundings {
  const chainsOf = (table: string) =>
    look.chains.filter((chain) => chain.family === "inet" && chain.table === table).map(({ name }) => name);
  const owner = readMarkChain(chainsOf(MARK))?.instance;
  const isFree = chainsOf(MARK).length === 0 || owner === instance;
  return {
    instance,
    table: isFree ? MARK : `${MARK}_${instance}`,
    hasDocker: look.chains.some(
      ({ family, table, name }) => family === "ip" && table === "filter" && name === "DOCKER-USER",
    ),
    hasIpv6: existsSync("/proc/sys/net/ipv6"),
    advertised: advertisedInterfaces(look.interfaces),
  };
}

function advertisedInterfaces(interfaces: readonly Interface[]): string[] {
  const others = interfaces.filter(
    ({ ifalias, ifname }) => !ifalias?.startsWith(`${MARK} `) && ifname !== "lo",
  );
  return others
    .map(({ ifname }) => ifname)
    .filter((name) => readSysctl(`net/ipv6/conf/${name}/accept_ra`) === "1");
}

/**
 * What is there of ours. `known` are names from the records: an interface of such a name is ours even without the
 * mark, since robur may have been killed between making it and marking it. `sysctls` are the settings to look at.
 */
export async function stateOf(
  look: Look,
  instance: string,
  known: ReadonlyMap<string, LinkKind>,
  sysctls: Iterable<string>,
): Promise<KernelState> {
  const links = look.interfaces.flatMap((found) => linkOf(found, instance, known) ?? []);
  const tables = new Map<string, string[]>();
  for (const { family, table, name } of look.chains) {
    if (family === "inet") tables.set(table, [...(tables.get(table) ?? []), name]);
  }
  let ruleset: KernelState["ruleset"];
  for (const [table, chains] of tables) {
    const found = readMarkChain(chains);
    if (found?.instance === instance) ruleset = { table, markChain: found.name };
  }
  const values = [...sysctls].map((path) => [path, readSysctl(path)] as const);
  return {
    links,
    ruleset,
    letPass: (await readPassing(look, instance)).map(({ bridge }) => bridge),
    sysctls: new Map(
      values.flatMap(([path, value]) => (value === undefined ? [] : [[path, value] as const])),
    ),
  };
}

const KINDS: Readonly<Record<string, LinkKind>> = { bridge: "bridge", dummy: "dummy", tun: "tap" };

function linkOf(found: Interface, instance: string, known: ReadonlyMap<string, LinkKind>): Link | undefined {
  const kind = KINDS[found.linkinfo?.info_kind ?? ""];
  const isOurs =
    markedAs(instance, found.ifalias) !== undefined ||
    (found.ifalias === undefined && kind !== undefined && known.get(found.ifname) === kind);
  if (kind === undefined || !isOurs) return undefined;
  return {
    name: found.ifname,
    kind,
    mark: found.ifalias ?? "",
    addresses: found.addr_info
      .filter(({ scope }) => scope !== "link")
      .map(({ local, prefixlen }) => `${local}/${prefixlen}`),
    isUp: found.flags.includes("UP"),
    ...(found.address === undefined ? {} : { mac: found.address }),
    ...(found.master === undefined ? {} : { master: found.master }),
  };
}

interface PassingRule {
  readonly bridge: string;
  readonly handle: number;
}

/** Our rules in Docker's chain, one for each bridge and direction. */
async function readPassing(look: Look, instance: string): Promise<PassingRule[]> {
  if (!surroundingsOf(look, instance).hasDocker) return [];
  const rules = nftObjects<{ comment?: string; handle: number }>(
    await runProgram({ program: "nft", args: ["-j", "-a", "list", "chain", "ip", "filter", "DOCKER-USER"] }),
    "rule",
  );
  return rules.flatMap(({ comment, handle }) => {
    const bridge = /^pass (.+) (?:in|out)$/.exec(markedAs(instance, comment) ?? "")?.[1];
    return bridge === undefined ? [] : [{ bridge, handle }];
  });
}

/** A setting below /proc/sys; undefined where this kernel doesn't have it. */
export function readSysctl(path: string): string | undefined {
  try {
    return readFileSync(join("/proc/sys", path), "utf8").trim();
  } catch (error) {
    if (["ENOENT", "EACCES"].includes((error as { code?: string }).code ?? "")) return undefined;
    throw error;
  }
}

/** The boot's id: what was recorded before a restart of the machine is void. */
export function bootId(): string {
  return readSysctl("kernel/random/boot_id") ?? "";
}

/** The commands of one action; none where it is done otherwise. */
function commandsOf(action: Action, instance: string): Command[] {
  const ip = (...args: string[]): Command => ({ program: "ip", args });
  switch (action.do) {
    case "add-link":
      return [addLink(action.link)];
    case "set-link": {
      const { name, mark, master } = action.link;
      return [ip("link", "set", "dev", name, "alias", mark, ...(master ? ["master", master] : []), "up")];
    }
    case "remove-link":
      return [ip("link", "delete", "dev", action.name)];
    case "add-address": {
      const isIpv6 = action.address.includes(":");
      return [
        ip("address", "replace", action.address, ...(isIpv6 ? ["nodad"] : ["brd", "+"]), "dev", action.link),
      ];
    }
    case "remove-address":
      return [ip("address", "delete", action.address, "dev", action.link)];
    case "nft":
      return [{ program: "nft", args: ["-f", "-"], input: action.text }];
    case "let-pass":
      // Both rules or none.
      return [
        {
          program: "nft",
          args: ["-f", "-"],
          input: (["in", "out"] as const)
            .map((direction) => {
              const comment = mark(instance, `pass ${action.bridge} ${direction}`);
              const match = `${direction === "in" ? "i" : "o"}ifname "${action.bridge}"`;
              return `insert rule ip filter DOCKER-USER ${match} accept comment "${comment}"\n`;
            })
            .join(""),
        },
      ];
    case "stop-passing":
    case "set-sysctl":
      return [];
  }
}

function addLink({ name, kind, mac }: Link): Command {
  if (kind === "tap") return { program: "ip", args: ["tuntap", "add", "dev", name, "mode", "tap"] };
  const address = mac === undefined ? [] : ["address", mac];
  const bridge = kind === "bridge" ? ["stp_state", "0", "forward_delay", "0"] : [];
  return { program: "ip", args: ["link", "add", "name", name, ...address, "type", kind, ...bridge] };
}

/** Optional kinds of interfaces that this kernel turned out not to have. */
const missingKinds = new Set<LinkKind>();

/**
 * Does what was planned, one step after the other. Throws NetworkError at the first that fails; what was done until
 * then stays, and the next plan starts from there.
 */
export async function perform(actions: readonly Action[], instance: string): Promise<void> {
  for (const action of actions) {
    if ("link" in action && typeof action.link !== "string") {
      const { isOptional = false, kind } = action.link;
      if (isOptional && missingKinds.has(kind)) continue;
      if (isOptional && action.do === "add-link" && !(await tryKind(action, instance))) {
        missingKinds.add(kind);
        continue;
      }
      if (isOptional && action.do === "add-link") continue;
    }
    if (action.do === "set-sysctl") setSysctl(action.path, action.value);
    else if (action.do === "stop-passing") await stopPassing(action.bridge, instance);
    else for (const command of commandsOf(action, instance)) await carryOut(command);
  }
}

async function tryKind(action: Action, instance: string): Promise<boolean> {
  for (const command of commandsOf(action, instance)) {
    const ended = await callProgram(command);
    if (ended.status === 0) continue;
    if (/Unknown device type|Operation not supported/.test(ended.stderr)) return false;
    throw complaint(command, ended);
  }
  return true;
}

/** To remove what is gone already is no mistake: a tap goes with its network namespace, a bridge by hand. */
async function carryOut(command: Command): Promise<void> {
  const ended = await callProgram(command);
  if (ended.status === 0) return;
  const isRemoval = command.args[1] === "delete";
  if (isRemoval && /Cannot find device|does not exist|Cannot assign requested/.test(ended.stderr)) return;
  throw complaint(command, ended);
}

async function stopPassing(bridge: string, instance: string): Promise<void> {
  const rules = await readPassing(await lookAtKernel(), instance);
  for (const { handle } of rules.filter((rule) => rule.bridge === bridge)) {
    const where = ["ip", "filter", "DOCKER-USER", "handle", String(handle)];
    await runProgram({ program: "nft", args: ["delete", "rule", ...where] });
  }
}

function setSysctl(path: string, value: string): void {
  try {
    writeFileSync(join("/proc/sys", path), value);
  } catch (error) {
    const code = (error as { code?: string }).code;
    // A bridge's own settings go with it, and some kernels lack one.
    if (code === "ENOENT") return;
    throw new NetworkError(
      code === "EACCES" || code === "EPERM" || code === "EROFS" ? "not-permitted" : "program-failed",
      `could not set ${path.replaceAll("/", ".")} to ${value}`,
      { why: (error as Error).message, hint: `sudo sysctl -w ${path.replaceAll("/", ".")}=${value}` },
    );
  }
}
