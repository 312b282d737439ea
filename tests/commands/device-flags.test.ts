// --net, --net-mac, --block and --block-sector-size of robur's own commands.
import { describe, expect, test } from "bun:test";
import { DEVICE_FLAGS, readDeviceFlags } from "../../src/commands/device-flags.ts";
import { scanFlags } from "../../src/commands/flags.ts";
import { UsageError } from "../../src/lib/errors.ts";

const read = (...argv: string[]) => readDeviceFlags(scanFlags(DEVICE_FLAGS, argv)!);
const refusal = (...argv: string[]): UsageError => {
  try {
    read(...argv);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error("accepted");
};

describe("device flags", () => {
  test("none are given: nothing is asked for", () => {
    const { nets, macs, blocks, sectorSizes } = read();
    expect([nets.size, macs.size, blocks.size, sectorSizes.size]).toEqual([0, 0, 0, 0]);
  });

  test("each goes where it belongs, in order", () => {
    const { nets, macs, blocks, sectorSizes } = read(
      ...["--net=service=tap0", "--net", "uplink=@7", "--net-mac=service=2:0:0:0:0:1"],
      ...["--block=storage=/a b=c.img", "--block-sector-size=storage=4096"],
    );
    expect([...nets]).toEqual([
      ["service", { tap: "tap0" }],
      ["uplink", { fd: 7 }],
    ]);
    expect([...macs]).toEqual([["service", new Uint8Array([2, 0, 0, 0, 0, 1])]]);
    expect([...blocks]).toEqual([["storage", "/a b=c.img"]]);
    expect([...sectorSizes]).toEqual([["storage", 4096]]);
  });

  test("a value in another form is refused, and the right form said", () => {
    const wrong: [flag: string, values: string[], form: string][] = [
      [
        "net",
        ["", "tap0", "=tap0", "a=", "a=@", "a=@x", "a b=tap0", `${"a".repeat(68)}=t`],
        "NAME=TAP or NAME=@FD",
      ],
      ["net-mac", ["a", "a=", "a=1:2:3", "a=02-00-00-00-00-01", "=1:2:3:4:5:6"], "NAME=xx:xx:xx:xx:xx:xx"],
      ["block", ["", "/x", "a=", "=x", "a.b=x"], "NAME=FILE"],
      ["block-sector-size", ["a=", "a=511", "a=0", "a=65536", "a=512x", "a=-512", "512"], "a power of two"],
    ];
    for (const [flag, values, form] of wrong) {
      for (const value of values) {
        const error = refusal(`--${flag}=${value}`);
        expect(error.message).toBe(`--${flag} ${value}: wrong form`);
        expect(error.why).toContain(form);
      }
    }
  });

  test("one device given twice is refused, with the two kinds apart", () => {
    expect(refusal("--net=a=tap0", "--net=a=tap1").message).toBe("--net a= is given twice");
    expect(refusal("--block=a=x", "--block=a=x").message).toBe("--block a= is given twice");
    const { nets, blocks } = read("--net=a=tap0", "--block=a=x");
    expect([nets.size, blocks.size]).toEqual([1, 1]);
  });
});
