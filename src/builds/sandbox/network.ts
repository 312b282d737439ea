/**
 * The network of a job. Nothing but a loopback, unless it was given more: then pasta, which carries connections by
 * ordinary sockets of its own, so the host's interfaces, routes and firewall stay as they are. To the host these would
 * be its own connections, so rules inside the job's network, which the job has no right to change, keep it away from
 * all of the host's addresses, and from those that only a host has to do with; the host's loopback is not reached at
 * all, but for ports that were named. For some hosts only, the rules refuse everything else, and the job finds the
 * hosts in its /etc/hosts: no name server answers it.
 */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { existsSync, readFileSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { readSmallFile } from "../../linux/libc.ts";
import { MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, mount } from "../../linux/mounts.ts";
import type { JobNetwork } from "./api.ts";
import { HOSTNAME, type NetworkPlan } from "./layout.ts";
import { call, needProgram } from "./programs.ts";
import { SandboxError } from "./sandbox-error.ts";

/** What a job may speak with a host that it may reach: HTTP, HTTPS and git. */
export const DEFAULT_PORTS = [80, 443, 9418] as const;
/** The name server's address inside (RFC 5737), which pasta carries to the host's. */
const RESOLVER = "198.51.100.53";
const READY_LIMIT_MS = 10_000;
/** A directory that every system has; in the launcher's own mounts nobody else uses it. */
const NAMES = "/dev/shm";

export interface HostWish {
  readonly name: string;
  readonly ports: readonly number[];
}

/** NAME, NAME:PORT, ADDRESS, [ADDRESS]:PORT. Undefined for anything else. */
export function parseHost(text: string): HostWish | undefined {
  const [, bracketed, plain, port] =
    /^(?:\[([0-9a-fA-F:.]+)\]|([^\s[\]]+?))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const isBareIpv6 = bracketed === undefined && isIP(text) === 6;
  const name = isBareIpv6 ? text : (bracketed ?? plain);
  if (name === undefined) return undefined;
  const isName = /^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/.test(
    name,
  );
  if (isIP(name) === 0 && !isName) return undefined;
  if (isBareIpv6 || port === undefined) return { name: name.toLowerCase(), ports: DEFAULT_PORTS };
  const number = Number(port);
  return number >= 1 && number <= 65_535 ? { name: name.toLowerCase(), ports: [number] } : undefined;
}

/** A plan, and what /etc/hosts says. */
export interface ResolvedNetwork {
  readonly plan: NetworkPlan;
  readonly hostsFile: string;
  readonly resolvConf: string;
}

const isLoopback = (address: string) => address === "::1" || address.startsWith("127.");

/** Looks the hosts up. Throws SandboxError unknown-host. */
export async function resolveNetwork(
  network: JobNetwork,
  hostname: string = HOSTNAME,
  resolve: (name: string) => Promise<readonly string[]> = resolveName,
  own: () => readonly string[] = hostAddresses,
): Promise<ResolvedNetwork> {
  const known = `127.0.0.1 localhost\n::1 localhost\n127.0.1.1 ${hostname}\n`;
  if (network.kind === "none") return { plan: { kind: "none" }, hostsFile: known, resolvConf: "" };
  if (network.kind === "all") {
    const plan = { kind: "all", refused: own() } as const;
    return { plan, hostsFile: known, resolvConf: `nameserver ${RESOLVER}\n` };
  }
  const allowed = new Map<string, Set<number>>();
  const loopbackPorts = new Set<number>();
  const lines: string[] = [];
  for (const text of network.hosts) {
    const wish = parseHost(text);
    if (wish === undefined) throw new SandboxError("unknown-host", `${JSON.stringify(text)} is no host`);
    const addresses = isIP(wish.name) === 0 ? await resolve(wish.name) : [wish.name];
    if (addresses.length === 0) {
      throw new SandboxError("unknown-host", `${wish.name} has no address`, {
        why: "the job may reach it, so it is looked up before the job begins",
      });
    }
    for (const address of addresses) {
      if (isLoopback(address)) for (const port of wish.ports) loopbackPorts.add(port);
      else allowed.set(address, new Set([...(allowed.get(address) ?? []), ...wish.ports]));
      const isKnown = wish.name === address || wish.name === "localhost";
      if (!isKnown) lines.push(`${address} ${wish.name}\n`);
    }
  }
  return {
    plan: {
      kind: "hosts",
      allowed: [...allowed].map(([address, ports]) => ({
        address,
        ports: [...ports].toSorted((a, b) => a - b),
      })),
      loopbackPorts: [...loopbackPorts],
    },
    hostsFile: known + [...new Set(lines)].join(""),
    resolvConf: "",
  };
}

async function resolveName(name: string): Promise<string[]> {
  try {
    return (await lookup(name, { all: true })).map(({ address }) => address);
  } catch (error) {
    if (["ENOTFOUND", "EAI_AGAIN", "ENODATA"].includes((error as { code?: string }).code ?? "")) return [];
    throw error;
  }
}

/**
 * The host's addresses, from the kernel's tables: local ones of IPv4 stand above a line `/32 host LOCAL`, those of IPv6
 * have a line each, in hexadecimal. Loopback's are left out, since a namespace has one of its own.
 */
export function hostAddresses(
  trie = readSmallFile("/proc/self/net/fib_trie") ?? "",
  inet6 = readSmallFile("/proc/self/net/if_inet6") ?? "",
): string[] {
  const ipv4 = [...trie.matchAll(/\|-- (\S+)\n(?: +\/\d+ (?!host LOCAL).*\n)* +\/32 host LOCAL/g)].map(
    ([, address = ""]) => address,
  );
  const ipv6 = [...inet6.matchAll(/^([0-9a-f]{32}) /gm)].map(([, digits = ""]) =>
    digits.match(/.{4}/g)!.join(":"),
  );
  return [...new Set([...ipv4, ...ipv6])].filter(
    (address) => !address.startsWith("127.") && !/^(0000:){7}0001$/.test(address),
  );
}

/** Also where the hosts of clouds and routers answer: addresses that mean "whoever is next to me". */
const LINK_LOCAL = ["169.254.0.0/16", "fe80::/10"];

/** Rules for the job's network namespace: what it may not send is refused at once. Pure. */
export function jobRules(plan: Exclude<NetworkPlan, { kind: "none" }>): string {
  const to = (address: string) => `${address.includes(":") ? "ip6" : "ip"} daddr ${address}`;
  const lines =
    plan.kind === "all"
      ? [...[...LINK_LOCAL, ...plan.refused].map((address) => `${to(address)} goto refuse`), "accept"]
      : [
          ...plan.allowed.map(
            ({ address, ports }) => `${to(address)} tcp dport { ${ports.join(", ")} } accept`,
          ),
          "goto refuse",
        ];
  // Of a refusal by ICMP a connection that is about to be made hears only when it has tried again, a second later.
  return `table inet job {
  chain refuse {
    meta l4proto tcp reject with tcp reset
    reject
  }
  chain output {
    type filter hook output priority filter; policy drop;
    oifname "lo" accept
    ct state established,related accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept
${lines.map((line) => `    ${line}\n`).join("")}  }
}
`;
}

/** pasta's arguments. By default it forwards ports both ways and shows the host's loopback at the router's address. */
export function pastaArguments(plan: NetworkPlan, namespace: string): string[] {
  const ports = plan.kind === "hosts" ? plan.loopbackPorts : [];
  return [
    ...["--foreground", "--quiet", "--netns-only", "--config-net", "--no-map-gw"],
    ...["--tcp-ports", "none", "--udp-ports", "none", "--udp-ns", "none"],
    ...["--tcp-ns", ports.length === 0 ? "none" : ports.join(",")],
    ...(plan.kind === "all" ? ["--dns-forward", RESOLVER] : []),
    ...["--netns", namespace],
  ];
}

/**
 * Gives the network namespace of process `pid` its network. The caller has mounts of its own: a place in them becomes
 * the namespace's name. Throws SandboxError.
 */
export async function startNetwork(pid: number, plan: Exclude<NetworkPlan, { kind: "none" }>): Promise<void> {
  const nsenter = needProgram("nsenter");
  await waitFor("the network namespace", () => namespaceOf(pid) !== readlinkSync("/proc/self/ns/net"));
  // pasta may not look into the process, nor into the sandbox's directory.
  mount("tmpfs", NAMES, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755,size=64k");
  const at = `${NAMES}/network`;
  writeFileSync(at, "");
  mount(`/proc/${pid}/ns/net`, at, "", MS_BIND, "");
  await openTunDevice();
  await nft([nsenter, `--net=${at}`, "--", needProgram("nft"), "-f", "-"], jobRules(plan));
  const pasta = Bun.spawn(
    [nsenter, "--user", "--target", String(pid), "--", needProgram("pasta"), ...pastaArguments(plan, at)],
    { cwd: "/", stdin: "ignore", stdout: "ignore", stderr: "pipe", env: {} },
  );
  const said = pasta.stderr.text();
  await waitFor("pasta", async () => {
    if (pasta.exitCode !== null) {
      const lines = (await said).split("\n").filter((line) => !line.startsWith("Failed to send"));
      throw new SandboxError("failed", "pasta could not give the job a network", {
        why: lines.join("\n").trim(),
      });
    }
    return hasRoute(pid) && listensOn(pid, plan.kind === "hosts" ? plan.loopbackPorts : []);
  });
}

/** pasta runs as one of the job's users; where /dev/net/tun isn't for everybody, it gets one of its own to open. */
async function openTunDevice(): Promise<void> {
  const forAll = 0o006;
  const isOpen = existsSync("/dev/net/tun") && (statSync("/dev/net/tun").mode & forAll) === forAll;
  if (isOpen || !existsSync("/dev/net")) return;
  mount("tmpfs", "/dev/net", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k");
  const { status, stderr } = await call(["mknod", "--mode=666", "/dev/net/tun", "c", "10", "200"]);
  if (status === 0) return;
  throw new SandboxError("no-sandbox", "this user may not open /dev/net/tun", {
    why: stderr.trim(),
    hint: "sudo chmod 666 /dev/net/tun, as most systems have it; or a job without a network",
  });
}

async function nft(argv: readonly string[], rules: string): Promise<void> {
  const { status, stderr } = await call(argv, { input: rules });
  if (status !== 0) throw new SandboxError("failed", "nft refused the job's rules", { why: stderr.trim() });
}

const namespaceOf = (pid: number) => readlinkSync(`/proc/${pid}/ns/net`);

/** Whether the namespace has a route that leads out: pasta adds it last. */
function hasRoute(pid: number): boolean {
  const routes = readFileSync(`/proc/${pid}/net/route`, "utf8").split("\n").slice(1);
  const ipv6 = readFileSync(`/proc/${pid}/net/ipv6_route`, "utf8");
  return routes.some((line) => line.split("\t")[1] === "00000000") || /^0{32} 00 .* (?!lo)\S+$/m.test(ipv6);
}

/** Whether pasta takes connections at these ports of the namespace's loopback: lines of /proc/net/tcp in state 0A. */
function listensOn(pid: number, ports: readonly number[]): boolean {
  const lines = readFileSync(`/proc/${pid}/net/tcp`, "utf8").split("\n");
  return ports.every((port) => {
    const end = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
    return lines.some((line) => {
      const [, local = "", , state] = line.trim().split(/ +/);
      return local.endsWith(end) && state === "0A";
    });
  });
}

async function waitFor(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + READY_LIMIT_MS;
  while (!(await condition())) {
    if (performance.now() > deadline)
      throw new SandboxError("failed", `${what} is not there after ten seconds`);
    await Bun.sleep(2);
  }
}
