/** Runs a virtio unikernel in QEMU, in the foreground. */
import { existsSync } from "node:fs";
import { O_CLOEXEC, O_RDWR, close, open } from "../../linux/libc.ts";
import { type PlannedDevice, openDevices } from "../attach.ts";
import { encodeCommandLine } from "../command-line.ts";
import { DEFAULT_SECTOR_SIZE } from "../devices/block-file.ts";
import { exitStatus, waitInForeground } from "../foreground.ts";
import type { OpenImage } from "../image-file.ts";
import { TenderError } from "../tender-error.ts";
import { type QemuDevice, guestStatus, qemuArguments } from "./qemu.ts";

const QEMU = "qemu-system-x86_64";
/** The first descriptor of a child's that isn't a standard one. */
const FIRST_PASSED = 3;

export interface VirtioSpec {
  readonly image: OpenImage;
  /** Guest memory in bytes; a virtio guest uses at most 1 GiB of it. */
  readonly memory: number;
  readonly args: readonly string[];
  /** From `planDevices`, in the manifest's order. */
  readonly devices: readonly PlannedDevice[];
}

/**
 * Runs the guest with its serial port on standard output, and answers the exit status: 0 once it ended by
 * itself, however it did, which is all that a virtio guest can say. Throws TenderError qemu-missing, bad-option,
 * arguments-too-long, net-device, block-device.
 */
export async function runVirtio(spec: VirtioSpec): Promise<number> {
  const program = Bun.which(QEMU);
  if (program === null) {
    throw new TenderError("qemu-missing", `a virtio unikernel needs ${QEMU}, which is not installed`, {
      hint: "sudo apt install qemu-system-x86  (other systems: qemu-system-x86, qemu-full or qemu)",
    });
  }
  encodeCommandLine(spec.args);
  const passed = [spec.image.fd];
  const devices = openForQemu(spec.devices, passed);
  const args = qemuArguments({
    image: `/proc/self/fd/${FIRST_PASSED}`,
    memory: spec.memory,
    args: spec.args,
    devices,
    hasKvm: hasHardwareKvm(),
  });
  const child = Bun.spawn([program, ...args], { stdio: ["ignore", "inherit", "inherit", ...passed] });
  const exit = await waitInForeground(child);
  return exit.code === null ? exitStatus(exit) : guestStatus(exit.code);
}

/**
 * Opens every device, so that what is wrong with one is told as for the other targets. Taps are handed to QEMU
 * open (`passed` grows); block files are opened again by QEMU, which locks them.
 */
function openForQemu(planned: readonly PlannedDevice[], passed: number[]): QemuDevice[] {
  return planned.map((device): QemuDevice => {
    if (device.kind === "block" && device.sectorSize !== DEFAULT_SECTOR_SIZE) {
      throw new TenderError(
        "bad-option",
        `block device ${device.name}: virtio has sectors of 512 bytes only`,
      );
    }
    const [attachment] = openDevices([device]);
    if (attachment?.kind === "net") {
      const fd = FIRST_PASSED + passed.push(attachment.hostFd) - 1;
      return { kind: "net", tap: { fd }, mac: attachment.mac, mtu: attachment.mtu };
    }
    if (device.kind !== "block" || attachment === undefined) throw new TypeError("a device of another kind");
    close(attachment.hostFd);
    return { kind: "block", path: device.path };
  });
}

/** QEMU needs a KVM that virtualises the whole processor: it ends with an assertion on a paravirtual one. */
function hasHardwareKvm(): boolean {
  if (!["kvm_intel", "kvm_amd"].some((module) => existsSync(`/sys/module/${module}`))) return false;
  const fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (fd < 0) return false;
  close(fd);
  return true;
}
