/**
 * Boots one hvt unikernel in this process and never returns: the process's end is the guest's end.
 *
 * Everything is opened and checked first; then the process gives up what it doesn't need any more, for good
 * (signals, user, new privileges, system calls), and only then the guest's first instruction runs.
 */
import { HOST_ARCHITECTURE } from "../../lib/architecture.ts";
import { errorLine } from "../../lib/errors.ts";
import { GIB, formatSize } from "../../lib/units.ts";
import { type Attachment, encodeManifest } from "../../image/manifest.ts";
import type { OpenImage } from "../image-file.ts";
import { type LoadPlan, type Segment, planLoad } from "../../image/segments.ts";
import { PF_W, PF_X } from "../../image/elf.ts";
import type { Unikernel } from "../../image/unikernel.ts";
import {
  MAP_ANONYMOUS,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_EXEC,
  PROT_READ,
  PROT_WRITE,
  cString,
  exitGroup,
  isReadOnly,
  mmap,
  mprotect,
  preadInto,
  viewOf,
  writeFrom,
} from "../../linux/libc.ts";
import { CFunction } from "bun:ffi";
import type { User } from "../../linux/users.ts";
import { encodeCommandLine } from "../command-line.ts";
import { createCounters } from "../counters.ts";
import { tapPort } from "../devices/port.ts";
import { dropPrivileges, endWithParent } from "../privileges.ts";
import { endOnSignals } from "../stop-signals.ts";
import { TenderError } from "../tender-error.ts";
import { encodeBootInfo } from "./boot-info.ts";
import { confine } from "./confinement.ts";
import { type CoreDirectory, dumpCore, encodeCoreHeaders } from "./core-dump.ts";
import { GuestMemory } from "./guest-memory.ts";
import { type Halt, Hypercalls } from "./hypercalls.ts";
import * as kvm from "./kvm.ts";
import { BOOT_INFO, FIRST_MAPPED, MEMORY_GRANULE, MEMORY_MAX } from "./layout.ts";
import { writeTables as writeX86Tables } from "./page-tables-x86_64.ts";
import { type Vcpu, mapRun, runGuest } from "./run-loop.ts";
import {
  READ_COUNTER_FREQUENCY,
  REG,
  initialRegisters,
  writeTables as writeArmTables,
} from "./vcpu-aarch64.ts";
import { initialRegs, initialSregs } from "./vcpu-x86_64.ts";

/** The status that a Solo5 guest halts with when it aborts. */
const ABORTED = 255;
const STDERR = 2;

export interface HvtStart {
  readonly image: OpenImage;
  readonly unikernel: Unikernel;
  /** Bytes, from `hvtMemory`. */
  readonly memory: number;
  readonly args: readonly string[];
  /** Opened devices, from `openDevices`. */
  readonly attachments: readonly Attachment[];
  /** The name that begins every line of the tender's own. */
  readonly program: string;
  /** Whom to become before the guest runs. */
  readonly user: User | undefined;
  /** The process's status when a signal ends it. */
  readonly signalStatus: (signal: number) => number;
  readonly coreDirectory?: CoreDirectory;
  /** The guest is killed when the thread that started this process ends. */
  readonly dieWithParent?: boolean;
}

/**
 * Guest memory in bytes as hvt can give it: whole 2 MiB pages, rounded down, at least one.
 * Throws TenderError bad-memory above 4 GiB.
 */
export function hvtMemory(wanted: number): number {
  const rounded = Math.max(MEMORY_GRANULE, wanted - (wanted % MEMORY_GRANULE));
  if (rounded > MEMORY_MAX) {
    throw new TenderError("bad-memory", `guest memory of ${formatSize(rounded)} exceeds the maximum size`, {
      why: `an hvt unikernel can have at most ${MEMORY_MAX / GIB} GiB`,
    });
  }
  return rounded;
}

/**
 * Boots the guest. Errors before its first instruction are thrown (ImageError, TenderError); from then on they
 * are printed and end the process with status 1.
 */
export function startHvt(start: HvtStart): never {
  if (HOST_ARCHITECTURE === "aarch64") {
    print(start.program, "warning: hvt on aarch64 has not been tried on hardware yet");
  }
  const plan = planLoad(start.unikernel.elf, start.memory, start.image.source.size);
  const commandLine = encodeCommandLine(start.args);
  endOnSignals(start.program, start.signalStatus);

  const fd = kvm.openKvm();
  const vm = kvm.createVm(fd);
  const vcpu = createVcpu(fd, vm);
  const base = mmap(start.memory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
  const memory = new GuestMemory(base, start.memory);
  kvm.setMemory(fd, vm, base, start.memory);

  load(memory, start.image.fd, plan);
  const cycleFrequency = setUpVcpu(fd, vm, vcpu, memory, plan.entry);
  const manifest = encodeManifest(start.unikernel.manifest, start.attachments);
  memory.bytes.set(
    encodeBootInfo({
      memory: start.memory,
      kernelEnd: plan.kernelEnd,
      cycleFrequency,
      manifest,
      commandLine,
    }),
    BOOT_INFO,
  );
  const nets = start.attachments.filter((device) => device.kind === "net");
  const blocks = start.attachments.filter((device) => device.kind === "block");
  const hypercalls = new Hypercalls(
    memory,
    nets.map(({ handle, hostFd }) => tapPort(handle, hostFd)),
    blocks.map(({ handle, hostFd, capacity }) => ({
      handle,
      fd: hostFd,
      capacity,
      isReadOnly: isReadOnly(hostFd),
    })),
    createCounters(),
  );
  dropPrivileges(start.user);
  // After the change of user, which would undo it.
  if (start.dieWithParent === true) endWithParent();
  confine(start.coreDirectory?.fd);
  return runToEnd(start, vcpu, hypercalls, memory);
}

function createVcpu(fd: number, vm: number): Vcpu {
  const vcpu = kvm.createVcpu(vm);
  const size = kvm.vcpuMapSize(fd);
  return { fd: vcpu, run: mapRun(mmap(size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu), size) };
}

/** Reads the image into guest memory and then, when nothing needs writing any more, protects its pages. */
function load(memory: GuestMemory, fd: number, plan: LoadPlan): void {
  for (const { vaddr, fileSize, offset } of plan.segments) {
    for (let done = 0; done < fileSize;) {
      const count = preadInto(fd, memory.base + vaddr + done, fileSize - done, offset + done);
      if (count <= 0) throw new TenderError("device-failed", "the image file changed while it was read");
      done += count;
    }
  }
  for (const segment of plan.segments) protect(memory, segment);
}

/**
 * Linux's KVM has no execute permission of its own to take away, but it honours the host's write permission:
 * code and constants become read-only to the guest, and an execute-only segment becomes readable here.
 */
function protect(memory: GuestMemory, { start, end, flags }: Segment): void {
  if ((flags & PF_W) !== 0 || start === end) return;
  const readable = (flags & (PF_X | 4)) !== 0;
  mprotect(memory.base + start, end - start, readable ? PROT_READ : 0);
  memory.protect({ start, end });
}

/** Tables and registers. Answers the frequency of the guest's counter in Hz. */
function setUpVcpu(fd: number, vm: number, vcpu: Vcpu, memory: GuestMemory, entry: number): number {
  if (HOST_ARCHITECTURE === "x86_64") {
    writeX86Tables(new Uint32Array(memory.bytes.buffer, 0, FIRST_MAPPED / 4), memory.size);
    kvm.setCpuid(fd, vcpu.fd);
    kvm.setSregs(vcpu.fd, initialSregs());
    kvm.setRegs(vcpu.fd, initialRegs(entry, memory.size));
    return kvm.tscKhz(fd, vcpu.fd) * 1000;
  }
  writeArmTables(new DataView(memory.bytes.buffer, 0, FIRST_MAPPED), memory.size);
  kvm.initArmVcpu(vm, vcpu.fd);
  const cpacr = kvm.getOneReg(vcpu.fd, REG.cpacr);
  for (const [id, value] of initialRegisters(entry, memory.size, cpacr)) kvm.setOneReg(vcpu.fd, id, value);
  return armCounterFrequency();
}

function armCounterFrequency(): number {
  const page = mmap(4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  new Uint32Array(viewOf(page, READ_COUNTER_FREQUENCY.byteLength)).set(READ_COUNTER_FREQUENCY);
  mprotect(page, 4096, PROT_READ | PROT_EXEC);
  return Number(CFunction({ ptr: page as never, args: [], returns: "u64" })());
}

function runToEnd(start: HvtStart, vcpu: Vcpu, hypercalls: Hypercalls, memory: GuestMemory): never {
  try {
    const halt = runGuest(vcpu, hypercalls, memory.size);
    if (halt.status === ABORTED && start.coreDirectory !== undefined) {
      for (const line of dump(start.coreDirectory, vcpu, memory, halt)) print(start.program, line);
    }
    exitGroup(halt.status);
  } catch (error) {
    print(start.program, errorLine(error));
    exitGroup(1);
  }
}

function dump(directory: CoreDirectory, vcpu: Vcpu, memory: GuestMemory, halt: Halt): string[] {
  if (HOST_ARCHITECTURE !== "x86_64") return ["dumpcore: not available on this architecture"];
  const trap =
    halt.cookie === 0
      ? undefined
      : new BigUint64Array(memory.bytes.slice(halt.cookie, halt.cookie + 56).buffer);
  const headers = encodeCoreHeaders(kvm.getRegs(vcpu.fd), kvm.getSregs(vcpu.fd), memory.size, trap);
  return dumpCore(directory, headers, memory);
}

/** Straight to the descriptor: the runtime's own streams may need system calls that are gone by now. */
function print(program: string, line: string): void {
  const bytes = cString(`${program}: ${line}\n`);
  writeFrom(STDERR, bytes, bytes.length - 1);
}
