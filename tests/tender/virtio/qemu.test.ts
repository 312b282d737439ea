import { describe, expect, test } from "bun:test";
import {
  type QemuDevice,
  type QemuSpec,
  guestStatus,
  qemuArguments,
} from "../../../src/tender/virtio/qemu.ts";

const MIB = 1024 * 1024;
const MAC = new Uint8Array([2, 0, 0, 0, 0, 10]);

function argumentsOf(more: Partial<QemuSpec>): string[] {
  return qemuArguments({
    image: "a.virtio",
    memory: 128 * MIB,
    args: [],
    devices: [],
    hasKvm: false,
    ...more,
  });
}

/** What follows each occurrence of an option. */
function valuesOf(args: readonly string[], option: string): string[] {
  return args.flatMap((word, i) => (word === option ? [args[i + 1] ?? ""] : []));
}

describe("the command line of QEMU", () => {
  test("makes a PC with a serial port, an exit device, and nothing else", () => {
    expect(argumentsOf({ args: ["--name", "x"] })).toEqual(
      [
        "-accel tcg -cpu Westmere",
        "-machine pc,acpi=off -m 131072k",
        "-nodefaults -no-user-config -no-reboot -display none -serial stdio",
        "-device isa-debug-exit -kernel a.virtio",
        "-append",
      ]
        .flatMap((line) => line.split(" "))
        .concat("--name x"),
    );
  });

  test("lets the processor run the guest where it can", () => {
    const args = argumentsOf({ hasKvm: true });
    expect(valuesOf(args, "-accel")).toEqual(["kvm"]);
    expect(valuesOf(args, "-cpu")).toEqual(["host"]);
  });

  test("puts the devices into slots in the manifest's order", () => {
    const devices: QemuDevice[] = [
      { kind: "block", path: "/srv/one.img" },
      { kind: "net", tap: { name: "tap0" }, mac: MAC },
      { kind: "net", tap: { fd: 7 }, mac: MAC, mtu: 9000 },
      { kind: "block", path: "/srv/two.img" },
    ];
    const args = argumentsOf({ devices });
    expect(valuesOf(args, "-device")).toEqual([
      "isa-debug-exit",
      "virtio-blk-pci,drive=block2,bus=pci.0,addr=0x2",
      "virtio-net-pci,netdev=net3,mac=02:00:00:00:00:0a,bus=pci.0,addr=0x3",
      "virtio-net-pci,netdev=net4,mac=02:00:00:00:00:0a,host_mtu=9000,bus=pci.0,addr=0x4",
      "virtio-blk-pci,drive=block5,bus=pci.0,addr=0x5",
    ]);
    expect(valuesOf(args, "-drive")).toEqual([
      "if=none,id=block2,format=raw,file=/srv/one.img",
      "if=none,id=block5,format=raw,file=/srv/two.img",
    ]);
    expect(valuesOf(args, "-netdev")).toEqual([
      "tap,id=net3,ifname=tap0,script=no,downscript=no",
      "tap,id=net4,fd=7",
    ]);
  });

  test("protects commas where QEMU would take them for separators, and only there", () => {
    const args = argumentsOf({
      args: ["--list=a,b"],
      devices: [{ kind: "block", path: "/srv/a,readonly=on" }],
    });
    expect(valuesOf(args, "-append")).toEqual(["--list=a,b"]);
    expect(valuesOf(args, "-drive")).toEqual(["if=none,id=block2,format=raw,file=/srv/a,,readonly=on"]);
  });

  test("has no place for more devices than a PC has slots", () => {
    const devices = (count: number) =>
      Array.from({ length: count }, (): QemuDevice => ({ kind: "block", path: "/srv/x" }));
    expect(valuesOf(argumentsOf({ devices: devices(30) }), "-device").at(-1)).toContain("addr=0x1f");
    expect(() => argumentsOf({ devices: devices(31) })).toThrow("30 slots");
  });
});

test("the exit device's status is the guest's end, QEMU's own are failures", () => {
  expect([83, 0, 1, 2].map(guestStatus)).toEqual([0, 0, 1, 2]);
});
