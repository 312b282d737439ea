/**
 * The command line of qemu-system-x86_64 for a virtio unikernel. Such a unikernel is a multiboot kernel for a PC
 * with a serial port, legacy virtio-pci devices and QEMU's debug exit device, and finds its devices by their
 * order on the PCI bus, which must be the manifest's.
 */
import { KIB } from "../../lib/units.ts";
import { formatMac } from "../attach.ts";
import { TenderError } from "../tender-error.ts";

export type QemuDevice =
  | {
      readonly kind: "net";
      /** A tap that QEMU attaches to itself, or a tap's descriptor as QEMU's process numbers it. */
      readonly tap: { readonly name: string } | { readonly fd: number };
      readonly mac: Uint8Array;
      /** Told to the guest where known. */
      readonly mtu?: number;
    }
  | { readonly kind: "block"; readonly path: string };

export interface QemuSpec {
  readonly image: string;
  /** Guest memory in bytes. */
  readonly memory: number;
  readonly args: readonly string[];
  /** In the manifest's order. */
  readonly devices: readonly QemuDevice[];
  /** The processor runs the guest, by KVM; otherwise QEMU translates its code. */
  readonly hasKvm: boolean;
}

/** Slots 0 and 1 are the PC's own. */
const FIRST_SLOT = 2;
const SLOTS = 32;

/** What QEMU's debug exit device makes of the 41 that a Solo5 guest writes to it, whatever its own status is. */
const GUEST_EXIT = 83;

/** QEMU's arguments. Throws TenderError bad-option for more devices than a PC has slots. */
export function qemuArguments({ image, memory, args, devices, hasKvm }: QemuSpec): string[] {
  if (devices.length > SLOTS - FIRST_SLOT) {
    throw new TenderError(
      "bad-option",
      `${devices.length} devices, a virtio machine has ${SLOTS - FIRST_SLOT} slots`,
    );
  }
  return [
    ...(hasKvm ? ["-accel", "kvm", "-cpu", "host"] : ["-accel", "tcg", "-cpu", "Westmere"]),
    ...["-machine", "pc,acpi=off", "-m", `${Math.ceil(memory / KIB)}k`],
    ...["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio"],
    ...["-device", "isa-debug-exit"],
    ...devices.flatMap((device, i) => deviceArguments(device, i + FIRST_SLOT)),
    ...["-kernel", image, "-append", args.join(" ")],
  ];
}

function deviceArguments(device: QemuDevice, slot: number): string[] {
  const id = `${device.kind}${slot}`;
  const place = `bus=pci.0,addr=0x${slot.toString(16)}`;
  if (device.kind === "block") {
    const drive = `if=none,id=${id},format=raw,file=${escapeCommas(device.path)}`;
    return ["-drive", drive, "-device", `virtio-blk-pci,drive=${id},${place}`];
  }
  const { tap, mac, mtu } = device;
  const backend = "fd" in tap ? `fd=${tap.fd}` : `ifname=${escapeCommas(tap.name)},script=no,downscript=no`;
  const host = mtu === undefined ? "" : `,host_mtu=${mtu}`;
  return [
    ...["-netdev", `tap,id=${id},${backend}`],
    ...["-device", `virtio-net-pci,netdev=${id},mac=${formatMac(mac)}${host},${place}`],
  ];
}

/** A comma in a value is written twice where commas part values (but not in -append, which has one value). */
function escapeCommas(value: string): string {
  return value.replaceAll(",", ",,");
}

/**
 * The status that stands for QEMU's. A virtio guest can't tell its own: having ended at all is all it can say, so
 * that is success; everything else is QEMU's failure.
 */
export function guestStatus(qemuStatus: number): number {
  return qemuStatus === GUEST_EXIT ? 0 : qemuStatus;
}
