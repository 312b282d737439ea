/** The operating system's packages: listing them as system-packages, and installing what such a list says. */
import { say } from "./opam.ts";
import type { SystemVariables } from "./system-variables.ts";

const isDebian = ({ os, osFamily, osDistribution }: SystemVariables) =>
  os === "linux" && [osFamily, osDistribution].some((name) => name === "debian" || name === "ubuntu");

/** NAME=VERSION lines in dpkg's order. Undefined on other systems, and where dpkg-query fails. */
export function systemPackages(system: SystemVariables): string | undefined {
  if (!isDebian(system)) return undefined;
  const program = Bun.which("dpkg-query", { PATH: "/usr/bin:/bin" });
  if (program === null) return undefined;
  const format = "--showformat=${Package}=${Version}\\n";
  const asked = Bun.spawnSync([program, format, "-W"], { stdin: "ignore", stderr: "ignore", env: {} });
  return asked.success ? asked.stdout.toString() : undefined;
}

/** Installs exactly these versions. What can't be is told, and left to the comparison. */
export async function installSystemPackages(
  list: string,
  system: SystemVariables,
  path: string,
): Promise<void> {
  const apt = Bun.which("apt-get", { PATH: path });
  if (!isDebian(system) || apt === null) {
    say("the recorded system packages can't be installed here");
    return;
  }
  const present = new Set((systemPackages(system) ?? "").split("\n"));
  const wanted = list.split("\n").filter((line) => /^[a-z0-9][a-z0-9+.-]*=[A-Za-z0-9.+:~-]+$/.test(line));
  const missing = wanted.filter((line) => !present.has(line));
  if (missing.length === 0) return;
  say(`installing ${missing.length} system packages`);
  const child = Bun.spawn([apt, "-qq", "-yy", "install", "--allow-downgrades", "--", ...missing], {
    stdio: ["ignore", "inherit", "inherit"],
    env: { PATH: path, DEBIAN_FRONTEND: "noninteractive" },
  });
  if ((await child.exited) !== 0) say(`not all of these could be installed: ${missing.join(" ")}`);
}
