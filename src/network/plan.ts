/**
 * What must be in the kernel for the records, and the steps from what is there to it. Pure.
 *
 * `wantedState` and `kernel.ts` (which looks at the kernel) answer in the same terms, so the way back is the same
 * function with its arguments exchanged, and "nothing of ours is left" is the way to the empty state.
 */
import { bridgeMac, dummyName, mark } from "./names.ts";
import { type NetworkRecord, type Records, isActive } from "./records.ts";
import { type Ruleset, replaceTable, removeTable, rulesetFor } from "./ruleset.ts";

export type LinkKind = "bridge" | "dummy" | "tap";

/** An interface of ours. */
export interface Link {
  readonly name: string;
  readonly kind: LinkKind;
  /** Its alias. */
  readonly mark: string;
  /** Bridges and dummies: the address it is made with. */
  readonly mac?: string;
  readonly master?: string;
  /** With prefix length. The kernel's own (link-local) are left out. */
  readonly addresses: readonly string[];
  readonly isUp: boolean;
  /** Without it things work too: not every kernel has dummy interfaces. */
  readonly isOptional?: boolean;
}

export interface KernelState {
  readonly links: readonly Link[];
  readonly ruleset: { readonly table: string; readonly markChain: string } | undefined;
  /** Bridges that Docker's chain for its users' own rules lets pass, by a rule of ours. */
  readonly letPass: readonly string[];
  /** By their path below /proc/sys. */
  readonly sysctls: ReadonlyMap<string, string>;
}

/** The wanted state; its ruleset has a text. */
export interface WantedState extends KernelState {
  readonly ruleset: Ruleset | undefined;
}

export type Action =
  | { readonly do: "add-link"; readonly link: Link }
  | { readonly do: "set-link"; readonly link: Link }
  | { readonly do: "remove-link"; readonly name: string; readonly kind: LinkKind }
  | { readonly do: "add-address" | "remove-address"; readonly link: string; readonly address: string }
  | { readonly do: "set-sysctl"; readonly path: string; readonly value: string }
  | { readonly do: "nft"; readonly text: string }
  | { readonly do: "let-pass" | "stop-passing"; readonly bridge: string };

/** Whether things work without it. */
export function isOptional(action: Action): boolean {
  return "link" in action && typeof action.link !== "string" && action.link.isOptional === true;
}

/** What the machine is like, as far as the plan depends on it. */
export interface Surroundings {
  readonly instance: string;
  /** The name that our nft table has or will have. */
  readonly table: string;
  /** Docker's chain DOCKER-USER exists. */
  readonly hasDocker: boolean;
  /** The kernel does IPv6. */
  readonly hasIpv6: boolean;
  /** Interfaces that take their IPv6 routes from router advertisements (accept_ra is 1). */
  readonly advertised: readonly string[];
}

/** What must be there. */
export function wantedState(records: Records, around: Surroundings): WantedState {
  const networks = records.networks.filter((network) => isActive(records, network) && !network.adopted);
  const taps = records.taps.flatMap(({ tap, network, unikernel, device }): Link[] => {
    const bridge = records.networks.find(({ name }) => name === network)?.bridge;
    if (bridge === undefined) return [];
    const text = mark(around.instance, `tap ${unikernel} ${device}`);
    return [{ name: tap, kind: "tap", mark: text, master: bridge, addresses: [], isUp: true }];
  });
  return {
    links: [...networks.flatMap((network) => bridgeLinks(network, around.instance)), ...taps],
    ruleset: rulesetFor(records, around.instance, around.table),
    letPass: around.hasDocker ? networks.map(({ bridge }) => bridge) : [],
    sysctls: sysctlsFor(networks, around),
  };
}

function bridgeLinks(network: NetworkRecord, instance: string): Link[] {
  const { name, bridge, ipv4, ipv6, uplink, moved } = network;
  const mac = moved?.mac ?? bridgeMac(instance, name);
  const addresses = [
    ...(moved?.addresses ?? []).map(({ address }) => address),
    ...[ipv4, ipv6].filter((address) => address !== null),
  ];
  const link: Link = {
    name: bridge,
    kind: "bridge",
    mark: mark(instance, `network ${name}`),
    mac,
    addresses,
    isUp: true,
  };
  // With an interface of the host in it, the bridge needs no other to be up.
  if (uplink !== null) return [link];
  const dummy: Link = {
    name: dummyName(name),
    kind: "dummy",
    mark: mark(instance, `carrier ${name}`),
    mac,
    master: bridge,
    addresses: [],
    isUp: true,
    isOptional: true,
  };
  return [link, dummy];
}

/** Settings below /proc/sys that belong to the whole machine: what they were is recorded and comes back. */
const GLOBAL = new Set(["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"]);
export function isGlobalSysctl(path: string): boolean {
  return GLOBAL.has(path) || path.endsWith("/accept_ra");
}

function sysctlsFor(
  networks: readonly NetworkRecord[],
  { hasIpv6, advertised }: Surroundings,
): Map<string, string> {
  const sysctls = new Map<string, string>();
  const routing = networks.filter(({ mode }) => mode === "nat" || mode === "routed");
  if (hasIpv6 && routing.some(({ ipv6 }) => ipv6 !== null)) {
    // A host that forwards takes no more router advertisements unless told to (2), and would lose its own way out.
    for (const name of advertised) sysctls.set(`net/ipv6/conf/${name}/accept_ra`, "2");
    sysctls.set("net/ipv6/conf/all/forwarding", "1");
  }
  if (routing.length > 0) sysctls.set("net/ipv4/ip_forward", "1");
  for (const { bridge, ipv4, ipv6, mode } of networks) {
    if (ipv4 !== null) sysctls.set(`net/ipv4/conf/${bridge}/route_localnet`, "1");
    if (!hasIpv6 || mode === "bridged") continue;
    // Not even a guest's advertisement makes it this host's router.
    if (ipv6 === null) sysctls.set(`net/ipv6/conf/${bridge}/disable_ipv6`, "1");
    else sysctls.set(`net/ipv6/conf/${bridge}/accept_ra`, "0");
  }
  return sysctls;
}

const TEARDOWN: readonly LinkKind[] = ["tap", "dummy", "bridge"];
const SETUP: readonly LinkKind[] = ["bridge", "dummy", "tap"];

/**
 * The steps from one state to another, in an order in which each finds what it needs: rules are there before the
 * first tap is up, and go after the last one. `to` has the text of its rules. `restore` are settings of the whole
 * machine that nothing wants any more, with their values from before.
 */
export function planChanges(
  from: KernelState,
  to: WantedState,
  restore: ReadonlyMap<string, string> = new Map(),
): Action[] {
  const wanted = new Map(to.links.map((link) => [link.name, link]));
  const found = new Map(from.links.map((link) => [link.name, link]));
  const isSame = ({ name, kind }: Link) => wanted.get(name)?.kind === kind && found.get(name)?.kind === kind;
  const gone = from.links.filter((link) => !isSame(link));
  const byKind = (order: readonly LinkKind[], links: readonly Link[]) =>
    order.flatMap((kind) => links.filter((link) => link.kind === kind));

  const actions: Action[] = [];
  for (const { name, kind } of byKind(TEARDOWN, gone)) actions.push({ do: "remove-link", name, kind });
  const [taps, others] = [
    to.links.filter(({ kind }) => kind === "tap"),
    to.links.filter(({ kind }) => kind !== "tap"),
  ];
  for (const link of byKind(SETUP, others)) actions.push(...planLink(found.get(link.name), link));
  for (const [path, value] of to.sysctls) {
    if (from.sysctls.get(path) !== value) actions.push({ do: "set-sysctl", path, value });
  }
  actions.push(...planRules(from, to));
  for (const link of taps) actions.push(...planLink(found.get(link.name), link));
  for (const [path, value] of restore) actions.push({ do: "set-sysctl", path, value });
  return actions;
}

function planLink(found: Link | undefined, link: Link): Action[] {
  const there = found?.kind === link.kind ? found : undefined;
  const actions: Action[] = [];
  if (there === undefined) actions.push({ do: "add-link", link });
  // The bridge first gets its addresses and then comes up, so that nobody sees it half made.
  const addresses = there?.addresses ?? [];
  for (const address of addresses.filter((old) => !link.addresses.includes(old))) {
    actions.push({ do: "remove-address", link: link.name, address });
  }
  for (const address of link.addresses.filter((wanted) => !addresses.includes(wanted))) {
    actions.push({ do: "add-address", link: link.name, address });
  }
  const isSet = there !== undefined && there.mark === link.mark && there.master === link.master && there.isUp;
  if (!isSet) actions.push({ do: "set-link", link });
  return actions;
}

function planRules(from: KernelState, to: WantedState): Action[] {
  const actions: Action[] = [];
  if (to.ruleset === undefined) {
    if (from.ruleset !== undefined) actions.push({ do: "nft", text: removeTable(from.ruleset.table) });
  } else if (from.ruleset?.markChain !== to.ruleset.markChain || from.ruleset.table !== to.ruleset.table) {
    if (from.ruleset !== undefined && from.ruleset.table !== to.ruleset.table) {
      actions.push({ do: "nft", text: removeTable(from.ruleset.table) });
    }
    actions.push({ do: "nft", text: replaceTable(to.ruleset) });
  }
  for (const bridge of from.letPass.filter((old) => !to.letPass.includes(old))) {
    actions.push({ do: "stop-passing", bridge });
  }
  for (const bridge of to.letPass.filter((wanted) => !from.letPass.includes(wanted))) {
    actions.push({ do: "let-pass", bridge });
  }
  return actions;
}

/** Nothing of ours. */
export const NOTHING: WantedState = {
  links: [],
  ruleset: undefined,
  letPass: [],
  sysctls: new Map(),
};
