/**
 * Enters the guest, serves what it asks for, and enters it again, until it halts. This loop and the calls it
 * makes allocate nothing, so a guest that makes a million hypercalls a second leaves no work to the collector.
 */
import { HOST_ARCHITECTURE } from "../../lib/architecture.ts";
import { ERRNO, errnoText } from "../../linux/errno.ts";
import { type Address, lastErrno, rawIoctl, viewOf } from "../../linux/libc.ts";
import { COUNTER } from "../counter-page.ts";
import { TenderError } from "../tender-error.ts";
import type { Halt, Hypercalls } from "./hypercalls.ts";
import { EXIT, KVM_RUN, RUN, getOneReg, getRegs } from "./kvm.ts";
import { AARCH64, X86_64 } from "./layout.ts";
import { REG } from "./vcpu-aarch64.ts";
import { RIP } from "./vcpu-x86_64.ts";

const IO_OUT = 1;

/** What the tender sees of a virtual processor. */
export interface Vcpu {
  readonly fd: number;
  /** The kvm_run area, shared with the kernel. */
  readonly run: DataView;
}

/** A view of the kvm_run area mapped at `address`. */
export function mapRun(address: Address, size: number): DataView {
  return new DataView(viewOf(address, size));
}

/** Runs the guest to its end. `memorySize` tells a faulting address from a stray one. Throws TenderError. */
export function runGuest(vcpu: Vcpu, hypercalls: Hypercalls, memorySize: number): Halt {
  const { fd, run } = vcpu;
  const { counters } = hypercalls;
  for (;;) {
    const result = rawIoctl(fd, KVM_RUN, 0);
    counters[COUNTER.exits] = counters[COUNTER.exits]! + 1;
    if (result !== 0) {
      const errno = lastErrno();
      if (errno === ERRNO.EINTR || errno === ERRNO.EAGAIN) continue;
      throw errno === ERRNO.EFAULT ? translationFault(vcpu) : unhandled(vcpu, `KVM_RUN: ${errnoText(errno)}`);
    }
    const reason = run.getUint32(RUN.exitReason, true);
    if (reason === EXIT.io) {
      hypercalls.call(ioCall(run), run.getUint32(run.getUint32(RUN.ioDataOffset, true), true));
      if (hypercalls.halted !== undefined) return hypercalls.halted;
    } else if (reason === EXIT.mmio) {
      const call = mmioCall(vcpu, memorySize);
      hypercalls.call(call, run.getUint32(RUN.mmioData, true));
      if (hypercalls.halted !== undefined) return hypercalls.halted;
    } else {
      throw describeExit(vcpu, reason);
    }
  }
}

/** The number of the hypercall that an `out` makes. Only one direction, width and range of ports is valid. */
function ioCall(run: DataView): number {
  const port = run.getUint16(RUN.ioPort, true);
  const number = port - X86_64.hypercallPort;
  const isCall = run.getUint8(RUN.ioDirection) === IO_OUT && run.getUint8(RUN.ioSize) === 4;
  if (!isCall || number < 0 || number > 8) {
    throw new TenderError("guest-fault", `invalid guest port access: port 0x${port.toString(16)}`);
  }
  return number;
}

/**
 * The number of the hypercall that an aarch64 store makes. On x86_64 nothing is mapped there; a store to memory
 * that the host keeps read-only ends up here too with some versions of KVM, others fail with EFAULT.
 */
function mmioCall(vcpu: Vcpu, memorySize: number): number {
  const { run } = vcpu;
  const address =
    run.getUint32(RUN.mmioAddress, true) + run.getUint32(RUN.mmioAddress + 4, true) * 0x1_0000_0000;
  const isWrite = run.getUint8(RUN.mmioIsWrite) !== 0;
  if (isWrite && address < memorySize) throw translationFault(vcpu);
  if (HOST_ARCHITECTURE === "x86_64") throw describeExit(vcpu, EXIT.mmio);
  const offset = address - AARCH64.hypercallAddress;
  if (!isWrite || run.getUint32(RUN.mmioLength, true) !== 4 || offset < 0 || offset >= 9 * 8) {
    throw new TenderError("guest-fault", `invalid guest mmio access: address 0x${address.toString(16)}`);
  }
  return Math.floor(offset / 8);
}

function translationFault(vcpu: Vcpu): TenderError {
  return new TenderError("guest-fault", `host/guest translation fault: rip=${programCounter(vcpu)}`, {
    why: "the unikernel wrote to its own code or constants",
  });
}

function describeExit(vcpu: Vcpu, reason: number): TenderError {
  const { run } = vcpu;
  switch (reason) {
    case EXIT.failEntry: {
      const code = run.getBigUint64(RUN.failureReason, true);
      return unhandled(
        vcpu,
        `KVM: the processor refused to enter the guest: hardware reason 0x${code.toString(16)}`,
      );
    }
    case EXIT.internalError: {
      const suberror = run.getUint32(RUN.suberror, true);
      const why =
        suberror === 1
          ? "KVM could not emulate an instruction; paravirtual KVM (module kvm_pvm) has no SSE: use the .spt image there"
          : undefined;
      return unhandled(vcpu, `KVM: internal error, suberror 0x${suberror.toString(16)}`, why);
    }
    case EXIT.shutdown:
      return unhandled(
        vcpu,
        "KVM: unhandled exit 0x8",
        "triple fault: an exception before the unikernel could handle any",
      );
    default:
      return unhandled(vcpu, `KVM: unhandled exit 0x${reason.toString(16)}`);
  }
}

function unhandled(vcpu: Vcpu, what: string, why?: string): TenderError {
  return new TenderError(
    "unhandled-exit",
    `${what}, rip=${programCounter(vcpu)}`,
    why === undefined ? {} : { why },
  );
}

/** For diagnostics. A processor whose registers can't be read any more says so instead. */
function programCounter(vcpu: Vcpu): string {
  try {
    const pc =
      HOST_ARCHITECTURE === "x86_64" ? getRegs(vcpu.fd).getBigUint64(RIP, true) : getOneReg(vcpu.fd, REG.pc);
    return `0x${pc.toString(16)}`;
  } catch (error) {
    if (!(error instanceof TenderError)) throw error;
    return "unknown";
  }
}
