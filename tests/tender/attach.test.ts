// Matching declared devices with given ones, before anything is opened, and the opening of block files.
import { afterAll, describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseManifest } from "../../src/image/manifest.ts";
import {
  type DeviceRequest,
  formatMac,
  openDevices,
  parseMac,
  parseNetSource,
  planDevices,
} from "../../src/tender/attach.ts";
import { TenderError } from "../../src/tender/tender-error.ts";
import { close, sizeOf } from "../../src/linux/libc.ts";
import { BLOCK, type DeviceSpec, NET, RESERVED, manifestContent } from "../image/elf-builder.ts";

const manifest = (...devices: DeviceSpec[]) => parseManifest(manifestContent([RESERVED, ...devices]));
const request = (given: Partial<DeviceRequest> = {}): DeviceRequest => ({
  nets: new Map(),
  macs: new Map(),
  blocks: new Map(),
  sectorSizes: new Map(),
  ...given,
});
const ones = (length: number) => new Uint8Array(length).fill(0xff);
const refusal = (work: () => unknown): TenderError => {
  try {
    work();
  } catch (error) {
    if (error instanceof TenderError) return error;
    throw error;
  }
  throw new Error("accepted");
};
const service = { name: "service", type: NET };
const storage = { name: "storage", type: BLOCK };
const tap = { tap: "tap0" };

describe("planning devices", () => {
  test("a unikernel without devices gets none", () => {
    expect(planDevices(manifest(), request(), ones)).toEqual([]);
  });

  test("the plan is in the manifest's order, with its handles", () => {
    const nets = new Map([["service", tap]]);
    const blocks = new Map([["storage", "/x"]]);
    const plan = planDevices(manifest(storage, service), request({ blocks, nets }), ones);
    expect(plan).toEqual([
      { kind: "block", handle: 1, name: "storage", path: "/x", sectorSize: 512 },
      {
        kind: "net",
        handle: 2,
        name: "service",
        source: tap,
        mac: new Uint8Array([0xfe, 255, 255, 255, 255, 255]),
      },
    ]);
  });

  test("a sector size that is given is used", () => {
    const blocks = new Map([["storage", "/x"]]);
    const sectorSizes = new Map([["storage", 4096]]);
    expect(planDevices(manifest(storage), request({ blocks, sectorSizes }), ones)).toMatchObject([
      { sectorSize: 4096 },
    ]);
  });

  test("a given MAC is used, unless it is all zeros", () => {
    const plan = (mac: Uint8Array) =>
      planDevices(
        manifest(service),
        request({ nets: new Map([["service", tap]]), macs: new Map([["service", mac]]) }),
        ones,
      );
    const mac = new Uint8Array([1, 2, 3, 4, 5, 6]);
    expect(plan(mac)).toMatchObject([{ mac }]);
    expect(plan(new Uint8Array(6))).toMatchObject([{ mac: new Uint8Array([0xfe, 255, 255, 255, 255, 255]) }]);
  });

  test("a MAC that nobody chose is unicast, locally administered, and random otherwise", () => {
    const mac = fc.uint8Array({ minLength: 6, maxLength: 6 });
    fc.assert(
      fc.property(mac, (bytes) => {
        const [planned] = planDevices(
          manifest(service),
          request({ nets: new Map([["service", tap]]) }),
          (length) => bytes.slice(0, length),
        );
        if (planned?.kind !== "net") throw new Error("not a network device");
        expect(planned.mac[0]! & 3).toBe(2);
        expect(planned.mac[0]! >> 2).toBe(bytes[0]! >> 2);
        expect(planned.mac.subarray(1)).toEqual(bytes.subarray(1));
      }),
    );
  });

  test("63 devices are all found, with handles 1 to 63", () => {
    const devices = Array.from({ length: 63 }, (_, i) => ({ name: `d${i}`, type: BLOCK }));
    const blocks = new Map(devices.map(({ name }) => [name, `/${name}`]));
    const plan = planDevices(manifest(...devices), request({ blocks }), ones);
    expect(plan.map(({ handle }) => handle)).toEqual(Array.from({ length: 63 }, (_, i) => i + 1));
  });
});

describe("a device that the image doesn't declare", () => {
  const given: [what: string, request: DeviceRequest][] = [
    ["network", request({ nets: new Map([["other", tap]]) })],
    ["network", request({ macs: new Map([["other", ones(6)]]) })],
    ["block", request({ blocks: new Map([["other", "/x"]]) })],
    ["block", request({ sectorSizes: new Map([["other", 512]]) })],
  ];
  test("it is refused by its name, whichever option gave it, and told what there is", () => {
    for (const [what, asked] of given) {
      const error = refusal(() => planDevices(manifest(service, storage), asked, ones));
      expect(error.code).toBe("not-declared");
      expect(error.message).toBe(`Resource not declared in manifest: ${what} device 'other'`);
      expect(error.why).toBe("it declares: service, storage");
      expect(refusal(() => planDevices(manifest(), asked, ones)).why).toBe("the unikernel has no devices");
    }
  });

  test("a name that is declared with the other type is not declared", () => {
    const wrong = request({ nets: new Map([["storage", tap]]) });
    expect(refusal(() => planDevices(manifest(storage), wrong, ones)).code).toBe("not-declared");
  });

  test("it is noticed before anything that is missing", () => {
    const asked = request({ nets: new Map([["other", tap]]) });
    expect(refusal(() => planDevices(manifest(service), asked, ones)).code).toBe("not-declared");
  });
});

describe("a declared device that isn't given", () => {
  test("all of them are named with their types", () => {
    const error = refusal(() => planDevices(manifest(service, storage), request(), ones));
    expect(error.code).toBe("not-attached");
    expect(error.message).toBe("All declared devices must be attached");
    expect(error.why?.split("\n")).toEqual([
      "device 'service' of type NET_BASIC not attached",
      "device 'storage' of type BLOCK_BASIC not attached",
    ]);
  });

  test("a MAC or a sector size alone attaches nothing", () => {
    const asked = request({
      macs: new Map([["service", ones(6)]]),
      sectorSizes: new Map([["storage", 512]]),
    });
    expect(refusal(() => planDevices(manifest(service, storage), asked, ones)).why?.split("\n")).toHaveLength(
      2,
    );
  });

  test("one of an unknown type can't be given, a reserved one needn't be", () => {
    const error = refusal(() => planDevices(manifest({ name: "odd", type: 3 }), request(), ones));
    expect(error.why).toBe("device 'odd' of type undefined not attached");
    expect(planDevices(manifest({ name: "later", type: 0x4000_0001 }), request(), ones)).toEqual([]);
  });

  test("a name declared twice with one type is attached once, so the second is missing", () => {
    const asked = request({ nets: new Map([["service", tap]]) });
    const error = refusal(() => planDevices(manifest(service, service), asked, ones));
    expect(error.why).toBe("device 'service' of type NET_BASIC not attached");
  });

  test("a name declared with both types is two devices", () => {
    const asked = request({ nets: new Map([["a", tap]]), blocks: new Map([["a", "/x"]]) });
    const plan = planDevices(manifest({ name: "a", type: BLOCK }, { name: "a", type: NET }), asked, ones);
    expect(plan.map(({ kind, handle }) => [kind, handle])).toEqual([
      ["block", 1],
      ["net", 2],
    ]);
  });
});

describe("MAC addresses and network sources", () => {
  test("a MAC is printed as it is read", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (mac) => {
        expect(formatMac(mac)).toMatch(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
        expect(parseMac(formatMac(mac))).toEqual(mac);
        expect(parseMac(formatMac(mac).toUpperCase())).toEqual(mac);
      }),
    );
    expect(parseMac("2:0:0:0:0:1")).toEqual(new Uint8Array([2, 0, 0, 0, 0, 1]));
  });

  test("other texts aren't MACs", () => {
    for (const text of ["", "1:2:3:4:5", "1:2:3:4:5:6:7", "1:2:3:4:5:6\n", " 1:2:3:4:5:6", "1:2:3:4:5:x"]) {
      expect(parseMac(text)).toBeUndefined();
    }
  });

  test("a source is a tap's name, or a descriptor", () => {
    expect(parseNetSource("tap0")).toEqual({ tap: "tap0" });
    expect(parseNetSource("a@3")).toEqual({ tap: "a@3" });
    expect(parseNetSource("@3")).toEqual({ fd: 3 });
    for (const text of ["", "@", "@3\n", "@-3", "@99999999999"]) expect(parseNetSource(text)).toBeUndefined();
  });
});

describe("opening block files", () => {
  const directory = mkdtempSync(join(tmpdir(), "robur attach "));
  afterAll(() => rmSync(directory, { recursive: true }));
  const file = (name: string, size: number) => {
    const path = join(directory, name);
    writeFileSync(path, "");
    truncateSync(path, size);
    return path;
  };
  const open = (path: string, sectorSize = 512) =>
    openDevices([{ kind: "block", handle: 5, name: "storage", path, sectorSize }]);

  test("capacity is the file's size, and the descriptor is open on it", () => {
    const [device] = open(file("sound", 3 * 4096), 4096);
    expect(device).toMatchObject({ kind: "block", handle: 5, capacity: 12_288, blockSize: 4096 });
    expect(sizeOf(device!.hostFd)).toBe(12_288);
    close(device!.hostFd);
  });

  test("a sparse file far beyond 4 GiB keeps its size", () => {
    const [device] = open(file("sparse", 2 ** 41));
    expect(device).toMatchObject({ capacity: 2 ** 41 });
    close(device!.hostFd);
  });

  test("a size that isn't whole sectors is refused in the original's words", () => {
    for (const [size, sectorSize] of [
      [6144, 4096],
      [511, 512],
      [513, 512],
    ] as const) {
      const error = refusal(() => open(file("odd", size), sectorSize));
      expect(error.code).toBe("block-device");
      expect(error.message).toContain("Backing storage size must be block aligned");
    }
  });

  test("an empty file is refused", () => {
    expect(refusal(() => open(file("empty", 0))).message).toContain("must be at least 1 block (512 bytes)");
  });

  test("a missing file, a directory and a file that may not be written are refused with the reason", () => {
    const missing = refusal(() => open(join(directory, "missing")));
    expect(missing.message).toContain("No such file or directory");
    expect(missing.hint).toContain("truncate");
    expect(refusal(() => open(directory)).message).toContain("Is a directory");
    const readOnly = file("read-only", 512);
    chmodSync(readOnly, 0o400);
    if (process.getuid?.() !== 0)
      expect(refusal(() => open(readOnly)).message).toContain("Permission denied");
  });

  test("a refused file's descriptor is closed again", () => {
    const odd = file("odd", 513);
    refusal(() => open(odd));
    const openFiles = readdirSync("/proc/self/fd").map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return "closed since";
      }
    });
    expect(openFiles).not.toContain(odd);
  });

  test("a descriptor that isn't open is no tap", () => {
    const device = {
      kind: "net" as const,
      handle: 1,
      name: "service",
      source: { fd: 999_999 },
      mac: ones(6),
    };
    const error = refusal(() => openDevices([device]));
    expect(error.code).toBe("net-device");
    expect(error.message).toContain("@999999");
  });
});
