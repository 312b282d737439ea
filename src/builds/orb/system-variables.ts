/** What opam calls arch, os, os-distribution, os-version and os-family, found out in opam's own order. */
import { release } from "node:os";
import { readSmallFile } from "../../linux/libc.ts";

export interface SystemVariables {
  readonly arch: string | undefined;
  readonly os: string | undefined;
  readonly osDistribution: string | undefined;
  readonly osVersion: string | undefined;
  readonly osFamily: string | undefined;
}

/** opam's name of a machine: uname's, normalised. */
export function normaliseArch(machine: string): string {
  const name = machine.toLowerCase();
  if (name === "x86" || /^i\d86$/.test(name)) return "x86_32";
  if (name === "amd64") return "x86_64";
  if (name === "aarch64") return "arm64";
  if (/^armv[567]/.test(name)) return "arm32";
  if (name === "ppc64le" || name === "powerpc64le") return "ppc64";
  return name;
}

/** Of Linux. `lsb` is what lsb_release says of the version, which opam prefers: installing it can change the record. */
export function linuxVariables(
  machine: string,
  osRelease: string | undefined,
  lsb: string | undefined,
  kernel: string,
): SystemVariables {
  const field = (name: string) => {
    const value = new RegExp(`^${name}=["']?([^"'\\n]*)`, "m")
      .exec(osRelease ?? "")?.[1]
      ?.trim()
      .toLowerCase();
    return value === "" ? undefined : value;
  };
  const osDistribution = field("ID") ?? "linux";
  return {
    arch: normaliseArch(machine),
    os: "linux",
    osDistribution,
    osVersion: lsb?.trim().toLowerCase() || (field("VERSION_ID") ?? kernel.toLowerCase()),
    osFamily: field("ID_LIKE")?.split(" ")[0] ?? osDistribution,
  };
}

/** Of this system, with a PATH to look for lsb_release on. */
export function systemVariables(path: string): SystemVariables {
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  const program = Bun.which("lsb_release", { PATH: path });
  const asked =
    program === null
      ? undefined
      : Bun.spawnSync([program, "-s", "-r"], { stdin: "ignore", stderr: "ignore" });
  const lsb = asked?.success === true ? asked.stdout.toString() : undefined;
  const osRelease = readSmallFile("/etc/os-release") ?? readSmallFile("/usr/lib/os-release");
  return linuxVariables(machine, osRelease, lsb, release());
}
