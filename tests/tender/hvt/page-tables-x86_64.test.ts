// The tables, walked as the processor walks them from the registers that the guest starts with.
import { describe, expect, test } from "bun:test";
import { GDT_LIMIT, writeTables } from "../../../src/tender/hvt/page-tables-x86_64.ts";
import { initialSregs } from "../../../src/tender/hvt/vcpu-x86_64.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const SIZES = [
  2 * MIB,
  4 * MIB,
  32 * MIB,
  512 * MIB,
  GIB - 2 * MIB,
  GIB,
  GIB + 2 * MIB,
  3 * GIB,
  4 * GIB - 2 * MIB,
  4 * GIB,
];

const tables = (size: number) => {
  const low = new Uint32Array(0x1_0000 / 4);
  writeTables(low, size);
  return new DataView(low.buffer);
};

interface Mapping {
  readonly physical: bigint;
  readonly writable: boolean;
  readonly user: boolean;
  readonly executable: boolean;
}

/** Intel SDM volume 3, 4.5: four levels, 48 bits, ended early by the page size bit. Undefined: a page fault. */
function walk(low: DataView, cr3: bigint, address: bigint): Mapping | undefined {
  const sign = address >> 47n;
  if (sign !== 0n && sign !== 0x1_ffffn) throw new Error("not canonical: a general protection fault");
  let table = cr3 & 0x000f_ffff_ffff_f000n;
  let [writable, user, executable] = [true, true, true];
  for (const level of [39n, 30n, 21n, 12n]) {
    const entry = low.getBigUint64(Number(table + ((address >> level) & 511n) * 8n), true);
    if ((entry & 1n) === 0n) return undefined;
    writable &&= (entry & 2n) !== 0n;
    user &&= (entry & 4n) !== 0n;
    executable &&= entry >> 63n === 0n;
    const isLast = level === 12n || (level !== 39n && (entry & 0x80n) !== 0n);
    const mask = (1n << level) - 1n;
    const frame = entry & 0x000f_ffff_ffff_f000n;
    if (isLast) {
      if ((frame & mask & ~0x1000n) !== 0n) throw new Error("reserved bits are set");
      return { physical: (frame & ~mask) | (address & mask), writable, user, executable };
    }
    table = frame;
  }
  throw new Error("not reached");
}

const CR3 = initialSregs().getBigUint64(240, true);
const supervisor = (address: bigint, writable: boolean): Mapping => ({
  physical: address,
  writable,
  user: false,
  executable: true,
});

describe.each(SIZES)("with %d bytes of memory", (size) => {
  const low = tables(size);

  test("low memory is mapped page by page: nothing, then read-only, then writable", () => {
    for (let page = 0n; page < 0x20_0000n; page += 0x1000n) {
      for (const address of [page, page + 0xfffn]) {
        const expected = address < 0x1_0000n ? undefined : supervisor(address, address >= 0x10_0000n);
        expect({ address, found: walk(low, CR3, address) }).toEqual({ address, found: expected });
      }
    }
  });

  test("all other memory is mapped to itself, writable, and nothing behind its end is", () => {
    for (let page = 0x20_0000n; page < 0x1_8000_0000n; page += 0x20_0000n) {
      const expected = page < BigInt(size);
      for (const address of [page, page + 0x12_3456n, page + 0x1f_ffffn]) {
        const found = walk(low, CR3, address);
        if (expected) expect(found).toEqual(supervisor(address, true));
        else expect(found).toBeUndefined();
      }
    }
  });

  test("the far ends of the address space are not mapped", () => {
    for (const address of [
      2n ** 39n,
      2n ** 47n - 1n,
      2n ** 64n - 2n ** 47n,
      2n ** 64n - 1n,
      0x4_0000_0000n,
    ]) {
      expect(walk(low, CR3, address)).toBeUndefined();
    }
  });

  test("every entry has the ABI's value, and every other byte of low memory is zero", () => {
    const expected = new DataView(new ArrayBuffer(0x1_0000));
    const set = (at: number, value: bigint) => expected.setBigUint64(at, value, true);
    set(0x1008, 0x00af_9900_0000_ffffn);
    set(0x1010, 0x00cf_9300_0000_ffffn);
    set(0x2000, 0x3003n);
    for (const [i, value] of [0x4003n, 0x5003n, 0x6003n, 0x7003n].entries()) set(0x3000 + i * 8, value);
    set(0x4000, 0x8003n);
    for (let n = 1; n * 0x20_0000 < size; n++) set(0x4000 + n * 8, (BigInt(n) * 0x20_0000n) | 0x83n);
    for (let i = 0x10; i < 0x200; i++) set(0x8000 + i * 8, (BigInt(i) * 0x1000n) | (i < 0x100 ? 1n : 3n));
    expect(Buffer.from(low.buffer).equals(Buffer.from(expected.buffer))).toBe(true);
  });
});

describe("the descriptors", () => {
  /** Base, limit in bytes and access bits of a descriptor, by Intel SDM volume 3, 3.4.5. */
  const decode = (selector: number) => {
    const low = tables(2 * MIB);
    const d = low.getBigUint64(0x1000 + selector, true);
    const limit = (d & 0xffffn) | ((d >> 32n) & 0xf_0000n);
    const bit = (at: bigint) => Number((d >> at) & 1n);
    return {
      base: ((d >> 16n) & 0xff_ffffn) | ((d >> 32n) & 0xff00_0000n),
      limit: bit(55n) === 1 ? (limit << 12n) | 0xfffn : limit,
      type: Number((d >> 40n) & 15n),
      s: bit(44n),
      dpl: Number((d >> 45n) & 3n),
      present: bit(47n),
      l: bit(53n),
      db: bit(54n),
      g: bit(55n),
    };
  };
  /** The same of a segment register in struct kvm_sregs. */
  const register = (at: number) => {
    const sregs = initialSregs();
    return {
      base: sregs.getBigUint64(at, true),
      limit: BigInt(sregs.getUint32(at + 8, true)),
      type: sregs.getUint8(at + 14),
      present: sregs.getUint8(at + 15),
      dpl: sregs.getUint8(at + 16),
      db: sregs.getUint8(at + 17),
      s: sregs.getUint8(at + 18),
      l: sregs.getUint8(at + 19),
      g: sregs.getUint8(at + 20),
    };
  };

  test("are what the segment registers hold already, so that loading them again changes nothing", () => {
    const accessed = 1;
    const sregs = initialSregs();
    for (const at of [0, 24, 48, 72, 96, 120]) {
      const descriptor = decode(sregs.getUint16(at + 12, true));
      expect({ ...descriptor, type: descriptor.type | accessed }).toEqual(register(at));
    }
  });

  test("are three, and the first is null", () => {
    expect(GDT_LIMIT).toBe(23);
    expect(tables(2 * MIB).getBigUint64(0x1000, true)).toBe(0n);
  });
});
