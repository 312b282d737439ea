/**
 * What else judges packets on this host, and whether networks of robur's get along with it. Facts are collected in
 * `lookAround`; `judgeNetworks` is pure. An accept in our table doesn't overrule a drop in another one, so whoever
 * drops is named, with the command that makes an exception.
 */
import { existsSync } from "node:fs";
import { readSmallFile } from "../linux/libc.ts";
import { mayMakeNetworks, maySeeFrames } from "./capabilities.ts";
import { type Look, lookAtKernel, readSysctl } from "./kernel.ts";
import { findProgram } from "./programs.ts";

export interface NetworkCheck {
  readonly name: string;
  readonly verdict: "PASS" | "WARN" | "FAIL";
  readonly found: string;
  readonly mend?: string;
}

export interface Around {
  readonly programs: ReadonlySet<string>;
  readonly mayMake: boolean;
  readonly maySee: boolean;
  readonly hasTun: boolean;
  /** Base chains of others that drop what is forwarded unless a rule lets it pass. */
  readonly dropping: readonly { readonly family: string; readonly table: string; readonly name: string }[];
  readonly hasDocker: boolean;
  readonly hasFirewalld: boolean;
  readonly hasUfw: boolean;
  /** The older iptables, whose rules nft can't see, has tables of its own. */
  readonly hasLegacyTables: boolean;
  readonly bridgeFilter: boolean;
  readonly bridges: readonly string[];
}

/** Looks; changes nothing. `bridges`: ours. */
export async function lookAround(bridges: readonly string[]): Promise<Around> {
  const programs = new Set(["ip", "nft", "passt"].filter((name) => findProgram(name) !== undefined));
  const mayMake = mayMakeNetworks();
  const canLook = mayMake && programs.has("ip") && programs.has("nft");
  const look = canLook ? await lookAtKernel() : { interfaces: [], chains: [] };
  return {
    programs,
    mayMake,
    maySee: maySeeFrames(),
    hasTun: existsSync("/dev/net/tun"),
    ...readFirewalls(look),
    hasLegacyTables: (readSmallFile("/proc/self/net/ip_tables_names") ?? "").trim() !== "",
    bridgeFilter: readSysctl("net/bridge/bridge-nf-call-iptables") === "1",
    bridges,
  };
}

/** Who has chains. Pure. */
export function readFirewalls({
  chains,
}: Pick<Look, "chains">): Pick<Around, "dropping" | "hasDocker" | "hasFirewalld" | "hasUfw"> {
  const isOthers = ({ table }: { table: string }) => table !== "robur" && !table.startsWith("robur_");
  return {
    dropping: chains.filter(
      (chain) => isOthers(chain) && chain.hook === "forward" && chain.policy === "drop",
    ),
    hasDocker: chains.some(({ name }) => name === "DOCKER-USER"),
    hasFirewalld: chains.some(({ table }) => table === "firewalld"),
    hasUfw: chains.some(({ name }) => name.startsWith("ufw-")),
  };
}

/** The checks of `robur network doctor`. */
export function judgeNetworks(around: Around): NetworkCheck[] {
  return [...judgeMeans(around), ...judgeFirewalls(around)];
}

function judgeMeans({ programs, mayMake, maySee, hasTun }: Around): NetworkCheck[] {
  const missing = ["ip", "nft"].filter((name) => !programs.has(name));
  const hasPasst = programs.has("passt");
  const instead = hasPasst ? "; passt stands in" : "";
  const checks: NetworkCheck[] = [
    mayMake && maySee
      ? { name: "rights", verdict: "PASS", found: "networks may be made" }
      : {
          name: "rights",
          verdict: hasPasst ? "WARN" : "FAIL",
          found: `this user may not make networks (CAP_NET_ADMIN, CAP_NET_RAW)${instead}`,
          mend: "sudo robur …; for a service: AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW",
        },
    missing.length === 0
      ? { name: "programs", verdict: "PASS", found: "ip and nft are installed" }
      : {
          name: "programs",
          verdict: hasPasst ? "WARN" : "FAIL",
          found: `not installed: ${missing.join(", ")}${instead}`,
          mend: "sudo apt-get install iproute2 nftables",
        },
    hasTun
      ? { name: "/dev/net/tun", verdict: "PASS", found: "is there" }
      : { name: "/dev/net/tun", verdict: "FAIL", found: "does not exist", mend: "sudo modprobe tun" },
    hasPasst
      ? { name: "passt", verdict: "PASS", found: "is installed: networks without rights" }
      : {
          name: "passt",
          verdict: mayMake ? "PASS" : "WARN",
          found: "is not installed: networks need rights",
          mend: "sudo apt-get install passt",
        },
  ];
  return checks;
}

function judgeFirewalls(around: Around): NetworkCheck[] {
  const { dropping, hasDocker, hasFirewalld, hasUfw, hasLegacyTables, bridgeFilter, bridges } = around;
  const names = bridges.length === 0 ? ["rb-service"] : bridges;
  const each = (command: (bridge: string) => string) => names.map(command).join("; ");
  const checks: NetworkCheck[] = [];
  if (hasDocker) {
    checks.push({
      name: "Docker",
      verdict: "PASS",
      found: "drops what is forwarded; robur's bridges are let pass in its chain DOCKER-USER",
    });
  } else if (hasLegacyTables) {
    checks.push({
      name: "iptables",
      verdict: "WARN",
      found:
        "the older iptables has rules that nft can't see; if they drop what is forwarded, unikernels have no way out",
      mend: each(
        (bridge) =>
          `sudo iptables-legacy -I FORWARD -i ${bridge} -j ACCEPT; sudo iptables-legacy -I FORWARD -o ${bridge} -j ACCEPT`,
      ),
    });
  }
  if (hasFirewalld) {
    checks.push({
      name: "firewalld",
      verdict: "WARN",
      found: "runs: it refuses what comes from bridges that no zone has",
      mend:
        each((bridge) => `sudo firewall-cmd --permanent --zone=trusted --add-interface=${bridge}`) +
        "; sudo firewall-cmd --reload",
    });
  }
  if (hasUfw) {
    checks.push({
      name: "ufw",
      verdict: "WARN",
      found: "runs: it refuses what is forwarded and questions to the DNS of the bridge",
      mend: each(
        (bridge) =>
          `sudo ufw allow in on ${bridge}; sudo ufw route allow in on ${bridge}; sudo ufw route allow out on ${bridge}`,
      ),
    });
  }
  const unknown = hasDocker || hasUfw || hasFirewalld ? [] : dropping;
  for (const { family, table, name } of unknown) {
    checks.push({
      name: "packet filter",
      verdict: "WARN",
      found: `the chain ${name} of the table ${family} ${table} drops what is forwarded`,
      mend: each(
        (bridge) =>
          `sudo nft insert rule ${family} ${table} ${name} iifname ${bridge} accept; sudo nft insert rule ${family} ${table} ${name} oifname ${bridge} accept`,
      ),
    });
  }
  if (bridgeFilter && !hasDocker && (dropping.length > 0 || hasLegacyTables)) {
    checks.push({
      name: "br_netfilter",
      verdict: "WARN",
      found: "frames between unikernels of one bridge are judged by the packet filter too",
      mend: "sudo sysctl -w net.bridge.bridge-nf-call-iptables=0, unless containers need it",
    });
  }
  if (checks.length === 0) {
    checks.push({ name: "packet filter", verdict: "PASS", found: "nobody else drops what is forwarded" });
  }
  return checks;
}
