/**
 * KVM's numbers and structures, and one function an ioctl. Source: Linux Documentation/virt/kvm/api.rst and
 * include/uapi/linux/kvm.h; sections of api.rst are named where they help.
 */
import { O_CLOEXEC, O_RDWR, addressOf, ioctl, open } from "../../linux/libc.ts";
import { ERRNO, errnoText } from "../../linux/errno.ts";
import { TenderError } from "../tender-error.ts";

const KVM_GET_API_VERSION = 0xae00;
const KVM_CREATE_VM = 0xae01;
const KVM_CHECK_EXTENSION = 0xae03;
const KVM_GET_VCPU_MMAP_SIZE = 0xae04;
const KVM_GET_SUPPORTED_CPUID = 0xc008_ae05;
const KVM_CREATE_VCPU = 0xae41;
const KVM_SET_USER_MEMORY_REGION = 0x4020_ae46;
const KVM_GET_REGS = 0x8090_ae81;
const KVM_SET_REGS = 0x4090_ae82;
const KVM_GET_SREGS = 0x8138_ae83;
const KVM_SET_SREGS = 0x4138_ae84;
const KVM_SET_CPUID2 = 0x4008_ae90;
const KVM_GET_TSC_KHZ = 0xaea3;
const KVM_GET_ONE_REG = 0x4010_aeab;
const KVM_SET_ONE_REG = 0x4010_aeac;
const KVM_ARM_VCPU_INIT = 0x4020_aeae;
const KVM_ARM_PREFERRED_TARGET = 0x8020_aeaf;
/** Run the virtual processor until it needs the tender. The one ioctl of the hot loop. */
export const KVM_RUN = 0xae80;

const KVM_CAP_USER_MEMORY = 3;
const KVM_CAP_GET_TSC_KHZ = 61;

export const API_VERSION = 12;

/** Why KVM_RUN came back (kvm_run.exit_reason). */
export const EXIT = {
  io: 2,
  debug: 4,
  hlt: 5,
  mmio: 6,
  shutdown: 8,
  failEntry: 9,
  internalError: 17,
} as const;

/** Offsets in struct kvm_run, equal on both architectures. */
export const RUN = {
  exitReason: 8,
  ioDirection: 32,
  ioSize: 33,
  ioPort: 34,
  ioDataOffset: 40,
  mmioAddress: 32,
  mmioData: 40,
  mmioLength: 48,
  mmioIsWrite: 52,
  failureReason: 32,
  suberror: 32,
} as const;

export const REGS_SIZE = 144;
export const SREGS_SIZE = 312;

/** Opens /dev/kvm and checks that it speaks the one version there is. Throws TenderError. */
export function openKvm(path = "/dev/kvm"): number {
  const fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd === -ERRNO.ENOENT || fd === -ERRNO.ENXIO || fd === -ERRNO.ENODEV) {
    throw new TenderError("kvm-missing", `${path} does not exist`, {
      why: "the processor's virtualisation is switched off in the firmware, the kvm module isn't loaded, or this is a virtual machine or container without it",
      hint: "modprobe kvm_intel || modprobe kvm_amd; or use the .spt image, which needs no hypervisor",
    });
  }
  if (fd === -ERRNO.EACCES || fd === -ERRNO.EPERM) {
    throw new TenderError("kvm-not-permitted", `${path}: permission denied`, {
      why: "users of it belong to its group, kvm on most systems",
      hint: "sudo usermod -aG kvm $USER, then log in again; or use the .spt image",
    });
  }
  if (fd < 0) throw new TenderError("kvm-failed", `${path}: ${errnoText(-fd)}`);
  const version = ioctl(fd, KVM_GET_API_VERSION);
  if (version !== API_VERSION) {
    throw new TenderError("kvm-failed", `${path} has API version ${version}, needed is ${API_VERSION}`);
  }
  return fd;
}

function check(what: string, result: number): number {
  if (result < 0) throw new TenderError("kvm-failed", `KVM: ${what}: ${errnoText(-result)}`);
  return result;
}

/** A new virtual machine. It belongs to this process: no other can drive it (api.rst 4.2). */
export function createVm(kvm: number): number {
  return check("creating a virtual machine", ioctl(kvm, KVM_CREATE_VM, 0));
}

export function createVcpu(vm: number): number {
  return check("creating a virtual processor", ioctl(vm, KVM_CREATE_VCPU, 0));
}

/** The size of the shared kvm_run area of a virtual processor. */
export function vcpuMapSize(kvm: number): number {
  return check("asking for the size of kvm_run", ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE));
}

/** Gives the machine `size` bytes of memory from guest address 0, which lie at `address` here (api.rst 4.35). */
export function setMemory(kvm: number, vm: number, address: number, size: number): void {
  if (ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY) !== 1) {
    throw new TenderError("kvm-failed", "KVM can't use this process's memory for a guest");
  }
  const region = new BigUint64Array([0n, 0n, BigInt(size), BigInt(address)]);
  check("giving the guest memory", ioctl(vm, KVM_SET_USER_MEMORY_REGION, region));
}

/** Shows the guest the processor that KVM supports, unchanged. Before any register is set (api.rst 4.20). */
export function setCpuid(kvm: number, vcpu: number): void {
  for (let room = 256; ; room *= 2) {
    const cpuid = new Uint32Array(2 + room * 10);
    cpuid[0] = room;
    const result = ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
    if (result === -ERRNO.E2BIG && room < 65536) continue;
    check("asking for CPUID", result);
    check("setting CPUID", ioctl(vcpu, KVM_SET_CPUID2, cpuid));
    return;
  }
}

/** The frequency of the guest's time stamp counter in kHz. Throws where it isn't stable. */
export function tscKhz(kvm: number, vcpu: number): number {
  if (ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_GET_TSC_KHZ) !== 1) {
    throw new TenderError("kvm-failed", "KVM can't tell the frequency of the time stamp counter");
  }
  const result = ioctl(vcpu, KVM_GET_TSC_KHZ);
  if (result === -ERRNO.EIO) {
    throw new TenderError(
      "kvm-failed",
      "the host's time stamp counter is unstable: a guest could not tell time by it",
    );
  }
  return check("asking for the frequency of the time stamp counter", result);
}

export function getRegs(vcpu: number): DataView {
  const regs = new DataView(new ArrayBuffer(REGS_SIZE));
  check("reading registers", ioctl(vcpu, KVM_GET_REGS, regs));
  return regs;
}

export function setRegs(vcpu: number, regs: DataView): void {
  check("setting registers", ioctl(vcpu, KVM_SET_REGS, regs));
}

export function getSregs(vcpu: number): DataView {
  const sregs = new DataView(new ArrayBuffer(SREGS_SIZE));
  check("reading special registers", ioctl(vcpu, KVM_GET_SREGS, sregs));
  return sregs;
}

export function setSregs(vcpu: number, sregs: DataView): void {
  check("setting special registers", ioctl(vcpu, KVM_SET_SREGS, sregs));
}

/** aarch64: initialises the virtual processor as the host prefers it (api.rst 4.82, 4.83). */
export function initArmVcpu(vm: number, vcpu: number): void {
  const init = new Uint32Array(8);
  check("asking for the preferred target", ioctl(vm, KVM_ARM_PREFERRED_TARGET, init));
  check("initialising the virtual processor", ioctl(vcpu, KVM_ARM_VCPU_INIT, init));
}

/** aarch64: one register by its id (api.rst 4.68). */
export function setOneReg(vcpu: number, id: bigint, value: bigint): void {
  const cell = new BigUint64Array([value]);
  check(`setting register 0x${id.toString(16)}`, withCell(vcpu, KVM_SET_ONE_REG, id, cell));
}

export function getOneReg(vcpu: number, id: bigint): bigint {
  const cell = new BigUint64Array(1);
  check(`reading register 0x${id.toString(16)}`, withCell(vcpu, KVM_GET_ONE_REG, id, cell));
  return cell[0]!;
}

function withCell(vcpu: number, request: number, id: bigint, cell: BigUint64Array): number {
  return ioctl(vcpu, request, new BigUint64Array([id, BigInt(addressOf(cell))]));
}
