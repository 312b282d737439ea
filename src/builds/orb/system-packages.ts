/** The operating system's packages: listing them as system-packages, and installing what such a list says. */
import { readdirSync } from "node:fs";
import { say } from "./opam.ts";
import type { SystemVariables } from "./system-variables.ts";

const isDebian = ({ os, osFamily, osDistribution }: SystemVariables) =>
  os === "linux" && [osFamily, osDistribution].some((name) => name === "debian" || name === "ubuntu");

/** Where apt keeps what it knows of archives. */
const LISTS = "/var/lib/apt/lists";

/** NAME=VERSION lines in dpkg's order. Undefined on other systems, and where dpkg-query fails. */
export function systemPackages(system: SystemVariables): string | undefined {
  if (!isDebian(system)) return undefined;
  const program = Bun.which("dpkg-query", { PATH: "/usr/bin:/bin" });
  if (program === null) return undefined;
  const format = "--showformat=${Package}=${Version}\\n";
  const asked = Bun.spawnSync([program, format, "-W"], { stdin: "ignore", stderr: "ignore", env: {} });
  return asked.success ? asked.stdout.toString() : undefined;
}

/**
 * Installs exactly these versions, as far as the archive still has them, and says which it hasn't. What can't be had is
 * left to the comparison.
 */
export async function installSystemPackages(
  list: string,
  system: SystemVariables,
  path: string,
): Promise<void> {
  const [apt, cache] = [Bun.which("apt-get", { PATH: path }), Bun.which("apt-cache", { PATH: path })];
  if (!isDebian(system) || apt === null || cache === null) {
    say("the recorded system packages can't be installed here");
    return;
  }
  const present = new Set((systemPackages(system) ?? "").split("\n"));
  const missing = missingPackages(list, present);
  if (missing.length === 0) return;
  await fetchLists(apt, path);
  const names = missing.map((line) => line.slice(0, line.indexOf("=")));
  const asked = Bun.spawnSync([cache, "madison", "--", ...names], {
    ...{ stdin: "ignore", stderr: "ignore", env: { PATH: path } },
  });
  const known = knownVersions(asked.stdout.toString());
  const [had, gone] = [missing.filter((line) => known.has(line)), missing.filter((line) => !known.has(line))];
  if (gone.length > 0) say(`the archive doesn't have these system packages (any more): ${gone.join(" ")}`);
  if (had.length === 0) return;
  say(`installing ${had.length} system packages`);
  if (await install(apt, path, had)) return;
  // One that can't be had with another's version must not keep all the others away.
  const refused: string[] = [];
  for (const one of had) if (!(await install(apt, path, [one]))) refused.push(one);
  if (refused.length > 0) say(`these system packages could not be installed: ${refused.join(" ")}`);
}

/** What of a recorded list isn't there in that version; lines that are none are left out. */
export function missingPackages(list: string, present: ReadonlySet<string>): string[] {
  return list
    .split("\n")
    .filter((line) => /^[a-z0-9][a-z0-9+.-]*=[A-Za-z0-9.+:~-]+$/.test(line) && !present.has(line));
}

/** NAME=VERSION of each line `NAME | VERSION | where it is from`. */
export function knownVersions(madison: string): Set<string> {
  return new Set(
    madison.split("\n").flatMap((line) => {
      const [name, version] = line.split("|").map((part) => part.trim());
      return name && version ? [`${name}=${version}`] : [];
    }),
  );
}

/**
 * Has apt know what there is, where a fresh root file system doesn't: opam takes a system package that apt doesn't know
 * for one that can't be had. For root, on Debian's kin, and only where `isNeeded` says so.
 */
export async function knowSystemPackages(
  system: SystemVariables,
  path: string,
  isNeeded: () => Promise<boolean>,
): Promise<void> {
  const apt = Bun.which("apt-get", { PATH: path });
  if (!isDebian(system) || apt === null || process.geteuid?.() !== 0 || knowsSystemPackages()) return;
  if (await isNeeded()) await fetchLists(apt, path);
}

/** Whether apt knows any archive's contents. */
function knowsSystemPackages(): boolean {
  try {
    return readdirSync(LISTS).some((name) => /_Packages(\.\w+)?$/.test(name));
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return false;
    throw error;
  }
}

async function fetchLists(apt: string, path: string): Promise<void> {
  if (knowsSystemPackages()) return;
  say("fetching the lists of system packages");
  const child = Bun.spawn([apt, "-qq", "update"], {
    stdio: ["ignore", "inherit", "inherit"],
    env: { PATH: path },
  });
  if ((await child.exited) !== 0) say("the lists could not be fetched");
}

async function install(apt: string, path: string, packages: readonly string[]): Promise<boolean> {
  const options = ["-qq", "-yy", "--no-install-recommends", "--allow-downgrades"];
  const child = Bun.spawn([apt, ...options, "install", "--", ...packages], {
    stdio: ["ignore", "inherit", "inherit"],
    env: { PATH: path, DEBIAN_FRONTEND: "noninteractive" },
  });
  return (await child.exited) === 0;
}
