/** The programs that tests use beside robur's own, and the Debian packages that bring them. */
import { existsSync } from "node:fs";

/** By the file whose absence tells that the package is missing: a command on PATH, or an absolute path. */
const PACKAGES: Readonly<Record<string, string>> = {
  gcc: "gcc",
  readelf: "binutils",
  ocamlopt: "ocaml-nox",
  // libc.a, for a static Linux program
  "/usr/include/stdio.h": "libc6-dev",
  git: "git",
  curl: "curl",
  openssl: "openssl",
  busybox: "busybox",
  setpriv: "util-linux",
  gdb: "gdb",
  ip: "iproute2",
  ping: "iputils-ping",
  ps: "procps",
  "qemu-system-x86_64": "qemu-system-x86",
  "qemu-aarch64": "qemu-user",
  "aarch64-linux-gnu-as": "binutils-aarch64-linux-gnu",
  nft: "nftables",
  passt: "passt",
  "mkfs.ext4": "e2fsprogs",
  unzip: "unzip",
  opam: "opam",
  // opam copies pinned sources with it
  rsync: "rsync",
  mmdebstrap: "mmdebstrap",
  podman: "podman",
  // where control groups are of both versions, podman's own runtime gives up
  runc: "runc",
  bwrap: "bubblewrap",
  newuidmap: "uidmap",
  udhcpc: "udhcpc",
  dhclient: "isc-dhcp-client",
  dig: "bind9-dnsutils",
  "mkfs.btrfs": "btrfs-progs",
  "mkfs.xfs": "xfsprogs",
  "systemd-analyze": "systemd",
  wget: "wget",
  zsh: "zsh",
  fish: "fish",
  "/usr/bin/chromium": "chromium",
  "dpkg-deb": "dpkg",
  gpgv: "gpgv",
  xz: "xz-utils",
};

/**
 * Installs what is missing, where that is possible: on Debian and its kin, for root. Never fails; tests that then
 * lack something are skipped and say what.
 */
export function installPackages(): void {
  const missing = Object.entries(PACKAGES)
    .filter(([file]) => (file.startsWith("/") ? !existsSync(file) : Bun.which(file) === null))
    .map(([, name]) => name);
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0 || Bun.which("apt-get") === null) {
    console.log(`not installed, which skips tests: ${missing.join(" ")}`);
    return;
  }
  console.log(`installing for the tests: ${missing.join(" ")}`);
  if (!apt("install", ...missing)) {
    // The package lists of a fresh system are empty or old.
    apt("update");
    // One that this system doesn't know must not keep the others away.
    if (!apt("install", ...missing)) for (const name of missing) apt("install", name);
  }
}

function apt(verb: "install" | "update", ...names: string[]): boolean {
  const options = verb === "install" ? ["--yes", "--no-install-recommends", ...names] : [];
  const { exitCode, stderr } = Bun.spawnSync(["apt-get", "-qq", verb, ...options], {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    timeout: 10 * 60_000,
  });
  if (exitCode !== 0) console.log(`apt-get ${verb} ${names.join(" ")}: ${stderr.toString().trim()}`);
  return exitCode === 0;
}
