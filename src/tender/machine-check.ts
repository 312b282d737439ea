/**
 * What this machine can run. Looking is apart from judging: `lookAtMachine` collects facts, `judgeMachine` turns
 * them into checks, each with what mends it.
 */
import { existsSync, readFileSync, rmSync, statSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { KIB, GIB, formatSize } from "../lib/units.ts";
import { ERRNO, errnoText } from "../linux/errno.ts";
import {
  MAP_PRIVATE,
  O_CLOEXEC,
  O_RDONLY,
  O_RDWR,
  OsError,
  PROT_EXEC,
  PROT_READ,
  close,
  ioctl,
  mmap,
  munmap,
  open,
  syscall,
} from "../linux/libc.ts";
import { syscallNumber } from "../linux/syscalls.ts";
import { findUser } from "../linux/users.ts";
import { API_VERSION } from "./hvt/kvm.ts";

export interface Check {
  readonly name: string;
  readonly verdict: "PASS" | "WARN" | "FAIL";
  /** What was found. */
  readonly found: string;
  /** A command that mends it. */
  readonly mend?: string;
}

export interface MachineFacts {
  /** `uname -r`. */
  readonly kernel: string;
  /** 0 where it could be opened for reading and writing, else -errno. */
  readonly kvm: number;
  /** KVM's API version, where it could be opened. */
  readonly kvmVersion: number | undefined;
  /** The paravirtual KVM that emulates what a guest's kernel mode does. */
  readonly kvmIsParavirtual: boolean;
  readonly cpuFlags: ReadonlySet<string>;
  readonly tun: number;
  readonly user: string;
  readonly isRoot: boolean;
  /** The groups of the user, by name. */
  readonly groups: readonly string[];
  /** The group that owns /dev/kvm, by name. */
  readonly kvmGroup: string | undefined;
  readonly temporaryDirectory: string;
  /** 0 where code from it can be run, else -errno. */
  readonly temporaryExecutable: number;
  readonly dataDirectory: string;
  readonly freeBytes: number;
  /** Lowest address that a process may map. */
  readonly mmapMinAddress: number;
  /** Whether seccomp filters can end a process. */
  readonly seccomp: boolean;
  readonly qemu: string | undefined;
}

/** Filters that end a process; and close_range, without which an spt process would keep descriptors. */
const LOWEST_KERNEL = [4, 14] as const;
const LOWEST_FOR_SPT = [5, 9] as const;
const SPT_LOWEST_ADDRESS = 0x1_0000;
const SECCOMP_GET_ACTION_AVAIL = 2;
const SECCOMP_RET_KILL_PROCESS = 0x8000_0000;
const KVM_GET_API_VERSION = 0xae00;

/** Looks at the machine. Changes nothing but a small file in the temporary directory, removed again. */
export function lookAtMachine(dataDirectory: string, temporaryDirectory: string): MachineFacts {
  const kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  const kvmVersion = kvm < 0 ? undefined : ioctl(kvm, KVM_GET_API_VERSION);
  if (kvm >= 0) close(kvm);
  const groups = groupsOf(process.getgroups?.() ?? []);
  const action = new Uint32Array([SECCOMP_RET_KILL_PROCESS]);
  return {
    kernel: readText("/proc/sys/kernel/osrelease"),
    kvm: Math.min(kvm, 0),
    kvmVersion,
    kvmIsParavirtual:
      existsSync("/sys/module/kvm_pvm") &&
      !existsSync("/sys/module/kvm_intel") &&
      !existsSync("/sys/module/kvm_amd"),
    cpuFlags: new Set(
      /^(?:flags|Features)\s*:(.*)$/m.exec(readText("/proc/cpuinfo"))?.[1]?.trim().split(/\s+/) ?? [],
    ),
    tun: probe("/dev/net/tun"),
    user: nameOfUser(),
    isRoot: process.getuid?.() === 0,
    groups,
    kvmGroup: ownerGroup("/dev/kvm"),
    temporaryDirectory,
    temporaryExecutable: tryExecutable(temporaryDirectory),
    dataDirectory,
    freeBytes: freeBytes(dataDirectory),
    mmapMinAddress: Number(readText("/proc/sys/vm/mmap_min_addr") || 0),
    seccomp: syscall(syscallNumber("seccomp"), SECCOMP_GET_ACTION_AVAIL, 0, action) === 0,
    qemu: Bun.which("qemu-system-x86_64") ?? undefined,
  };
}

function probe(path: string): number {
  const fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd >= 0) close(fd);
  return Math.min(fd, 0);
}

/** Where programs can't be run from memory, spt guests begin as a file there; noexec forbids exactly this mapping. */
function tryExecutable(directory: string): number {
  const path = join(directory, `robur-doctor-${process.pid}`);
  try {
    writeFileSync(path, new Uint8Array(4096), { mode: 0o600, flag: "wx" });
  } catch (error) {
    return -((error as { errno?: number }).errno ?? ERRNO.EIO);
  }
  const fd = open(path, O_RDONLY | O_CLOEXEC);
  try {
    munmap(mmap(4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd), 4096);
    return 0;
  } catch (error) {
    if (!(error instanceof OsError)) throw error;
    return -error.errno;
  } finally {
    close(fd);
    rmSync(path);
  }
}

/** Of the nearest directory above that exists. */
function freeBytes(path: string): number {
  let existing = path;
  while (!existsSync(existing)) existing = join(existing, "..");
  const { bavail, bsize } = statfsSync(existing);
  return bavail * bsize;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}

function nameOfUser(): string {
  const uid = String(process.getuid?.());
  return findUser(readText("/etc/passwd"), uid)?.name ?? `user ${uid}`;
}

function groupsOf(gids: readonly number[]): string[] {
  const names = new Map(
    readText("/etc/group")
      .split("\n")
      .map((line) => line.split(":"))
      .map(([name = "", , gid = ""]) => [Number(gid), name]),
  );
  return gids.map((gid) => names.get(gid) ?? String(gid));
}

function ownerGroup(path: string): string | undefined {
  if (!existsSync(path)) return undefined;
  return groupsOf([statSync(path).gid])[0];
}

/** The checks, in the order in which they matter to somebody who wants to run a first unikernel. */
export function judgeMachine(facts: MachineFacts): Check[] {
  return [
    judgeKernel(facts),
    judgeKvm(facts),
    judgeProcessor(facts),
    judgeSandbox(facts),
    judgeTun(facts),
    judgeUser(facts),
    judgeTemporary(facts),
    judgeDisk(facts),
    judgeQemu(facts),
  ];
}

function judgeKernel({ kernel }: MachineFacts): Check {
  const [major = 0, minor = 0] = kernel.split(".").map(Number);
  const isAtLeast = ([wantedMajor, wantedMinor]: readonly [number, number]) =>
    major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
  const name = "kernel";
  const found = `Linux ${kernel}`;
  if (isAtLeast(LOWEST_FOR_SPT)) return { name, verdict: "PASS", found };
  if (isAtLeast(LOWEST_KERNEL)) {
    return {
      name,
      verdict: "WARN",
      found: `${found}: .hvt unikernels run, .spt don't`,
      mend: "use Linux 5.9 or newer",
    };
  }
  return { name, verdict: "FAIL", found, mend: "use Linux 5.9 or newer" };
}

function judgeKvm(facts: MachineFacts): Check {
  const name = "/dev/kvm";
  const { kvm, kvmVersion } = facts;
  if (kvm === -ERRNO.ENOENT) {
    const hasExtension = facts.cpuFlags.has("vmx") || facts.cpuFlags.has("svm");
    return {
      name,
      verdict: "WARN",
      found: `does not exist${hasExtension ? ", though the processor could" : ""}: .spt unikernels run, .hvt don't`,
      mend: hasExtension
        ? "sudo modprobe kvm_intel || sudo modprobe kvm_amd"
        : "switch virtualisation on in the firmware; in a virtual machine, allow nested virtualisation",
    };
  }
  if (kvm < 0) {
    const group = facts.kvmGroup ?? "kvm";
    return {
      name,
      verdict: "WARN",
      found: `${errnoText(-kvm)} (it belongs to the group ${group}): .spt unikernels run, .hvt don't`,
      mend:
        group === "root"
          ? `sudo chgrp kvm /dev/kvm; sudo chmod 660 /dev/kvm; sudo usermod -aG kvm ${facts.user}`
          : `sudo usermod -aG ${group} ${facts.user}, then log in again`,
    };
  }
  if (kvmVersion !== API_VERSION) {
    return {
      name,
      verdict: "FAIL",
      found: `API version ${kvmVersion}, needed is ${API_VERSION}`,
      mend: "use Linux's own KVM",
    };
  }
  if (facts.kvmIsParavirtual) {
    return {
      name,
      verdict: "WARN",
      found: `opens, API version ${kvmVersion}, but it is the paravirtual kind (kvm_pvm): slow, and no SSE in .hvt unikernels`,
      mend: "use .spt unikernels on this machine",
    };
  }
  return { name, verdict: "PASS", found: `opens, API version ${kvmVersion}` };
}

function judgeProcessor({ cpuFlags }: MachineFacts): Check {
  const known = ["vmx", "svm", "hypervisor", "constant_tsc", "nonstop_tsc", "avx2"].filter((flag) =>
    cpuFlags.has(flag),
  );
  const stable = cpuFlags.has("constant_tsc") || !cpuFlags.has("tsc");
  const found = known.length === 0 ? "none of the flags that matter" : known.join(" ");
  if (stable) return { name: "processor", verdict: "PASS", found };
  return {
    name: "processor",
    verdict: "WARN",
    found: `${found}; its time stamp counter may change speed`,
    mend: "dmesg | grep -i tsc",
  };
}

function judgeSandbox({ seccomp, mmapMinAddress }: MachineFacts): Check {
  const name = "sandbox";
  if (!seccomp) {
    return {
      name,
      verdict: "FAIL",
      found: "no seccomp filters: no unikernel can be confined",
      mend: "use a kernel with CONFIG_SECCOMP_FILTER",
    };
  }
  if (mmapMinAddress > SPT_LOWEST_ADDRESS) {
    return {
      name,
      verdict: "WARN",
      found: `vm.mmap_min_addr is ${mmapMinAddress}: .spt unikernels need ${SPT_LOWEST_ADDRESS}`,
      mend: `sudo sysctl -w vm.mmap_min_addr=${SPT_LOWEST_ADDRESS}`,
    };
  }
  return { name, verdict: "PASS", found: "seccomp filters" };
}

function judgeTun({ tun }: MachineFacts): Check {
  const name = "/dev/net/tun";
  if (tun === 0) return { name, verdict: "PASS", found: "opens" };
  if (tun === -ERRNO.ENOENT) {
    return { name, verdict: "WARN", found: "does not exist: no networks", mend: "sudo modprobe tun" };
  }
  return {
    name,
    verdict: "WARN",
    found: `${errnoText(-tun)}: no networks`,
    mend: "sudo chmod 666 /dev/net/tun, which is safe: making interfaces needs other rights",
  };
}

function judgeUser({ user, isRoot, groups }: MachineFacts): Check {
  const found = `${user}${groups.length === 0 ? "" : `, groups ${groups.join(" ")}`}`;
  if (!isRoot) return { name: "user", verdict: "PASS", found };
  return { name: "user", verdict: "PASS", found: `${found}; unikernels run as robur or nobody` };
}

function judgeTemporary({ temporaryDirectory, temporaryExecutable }: MachineFacts): Check {
  const name = "temporary directory";
  if (temporaryExecutable === 0)
    return { name, verdict: "PASS", found: `${temporaryDirectory} holds code that can run` };
  return {
    name,
    verdict: "WARN",
    found: `${temporaryDirectory}: ${errnoText(-temporaryExecutable)}: programs can't be run from it`,
    mend: "TMPDIR=$HOME/.cache robur …, or mount it without noexec",
  };
}

function judgeDisk({ dataDirectory, freeBytes }: MachineFacts): Check {
  const found = `${formatSize(freeBytes)} free for ${dataDirectory}`;
  if (freeBytes >= GIB) return { name: "disk", verdict: "PASS", found };
  return {
    name: "disk",
    verdict: freeBytes < 64 * KIB * KIB ? "FAIL" : "WARN",
    found,
    mend: `df -h ${dataDirectory}`,
  };
}

function judgeQemu({ qemu }: MachineFacts): Check {
  if (qemu !== undefined) return { name: "qemu", verdict: "PASS", found: qemu };
  return {
    name: "qemu",
    verdict: "WARN",
    found: "qemu-system-x86_64 is not installed: .virtio unikernels don't run",
    mend: "sudo apt install qemu-system-x86",
  };
}
