// The aarch64 guest's registers and tables: by the ABI's numbers, and walked as the Arm manual says.
import { describe, expect, test } from "bun:test";
import {
  READ_COUNTER_FREQUENCY,
  REG,
  initialRegisters,
  writeTables,
} from "../../../src/tender/hvt/vcpu-aarch64.ts";
import { lacks } from "../../needs.ts";
import { assemble, needsAssembler } from "../assemble.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const registers = (entry = 0x10_0000, memory = 512 * MIB, cpacr = 0n) =>
  new Map(initialRegisters(entry, memory, cpacr));

describe("registers", () => {
  test("all are set, each by its id, to the ABI's value", () => {
    expect(initialRegisters(0x10_0040, 0x2000_0000, 0n)).toEqual([
      [0x6030_0000_0013_c082n, 0x30_0000n],
      [0x6030_0000_0013_c510n, 0x0000_bbff_440c_0400n],
      [0x6030_0000_0013_c102n, 0x0000_0032_b518_3518n],
      [0x6030_0000_0013_c100n, 0x1000n],
      [0x6030_0000_0013_c080n, 0x1005n],
      [0x6030_0000_0010_0042n, 0x3c5n],
      [0x6030_0000_0010_0044n, 0x1fff_fff0n],
      [0x6030_0000_0010_0000n, 0x1_0000n],
      [0x6030_0000_0010_0040n, 0x10_0040n],
    ]);
  });

  test("system registers' ids are made of op0, op1, CRn, CRm and op2, core registers' of their place", () => {
    // KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG, see Documentation/virt/kvm/api.rst 4.68
    const system = (op0: bigint, op1: bigint, crn: bigint, crm: bigint, op2: bigint) =>
      0x6030_0000_0013_0000n | (op0 << 14n) | (op1 << 11n) | (crn << 7n) | (crm << 3n) | op2;
    expect(system(3n, 0n, 1n, 0n, 2n)).toBe(REG.cpacr);
    expect(system(3n, 0n, 10n, 2n, 0n)).toBe(REG.mair);
    expect(system(3n, 0n, 2n, 0n, 2n)).toBe(REG.tcr);
    expect(system(3n, 0n, 2n, 0n, 0n)).toBe(REG.ttbr0);
    expect(system(3n, 0n, 1n, 0n, 0n)).toBe(REG.sctlr);
    const core = (offset: number) => 0x6030_0000_0010_0000n + BigInt(offset / 4);
    expect([core(0), core(256), core(264), core(272)]).toEqual([REG.x0, REG.pc, REG.pstate, REG.spEl1]);
  });

  test("floating point is allowed, and the rest of its register is as it was", () => {
    expect(registers(0, 2 ** 21, 0x1001_0001n).get(REG.cpacr)).toBe(0x1031_0001n);
    expect(registers(0, 2 ** 21, 0x30_0000n).get(REG.cpacr)).toBe(0x30_0000n);
  });

  test("the stack begins 16 bytes below the end of memory", () => {
    for (const memory of [2 ** 21, 2 ** 32]) {
      expect(registers(0, memory).get(REG.spEl1)).toBe(BigInt(memory) - 16n);
    }
  });

  test("TCR_EL1 says 40-bit addresses in 4 KiB granules, cacheable walks, 1 TiB, ignored top byte", () => {
    const tcr = registers().get(REG.tcr)!;
    const bits = (at: bigint, length: bigint) => (tcr >> at) & ((1n << length) - 1n);
    expect({
      t0sz: bits(0n, 6n),
      irgn0: bits(8n, 2n),
      orgn0: bits(10n, 2n),
      sh0: bits(12n, 2n),
      tg0: bits(14n, 2n),
      ips: bits(32n, 3n),
      as: bits(36n, 1n),
      tbi0: bits(37n, 1n),
    }).toEqual({ t0sz: 24n, irgn0: 1n, orgn0: 1n, sh0: 3n, tg0: 0n, ips: 2n, as: 1n, tbi0: 1n });
  });
});

interface Mapping {
  readonly physical: bigint;
  readonly memory: "normal" | "device";
  readonly readable: boolean;
  readonly writable: boolean;
  readonly executable: boolean;
  readonly atEl0: boolean;
}

/** Arm ARM D8: four levels of a 4 KiB granule, descriptor and block formats. Undefined: a translation fault. */
function walk(low: DataView, address: bigint): Mapping | undefined {
  const state = registers();
  let table = state.get(REG.ttbr0)!;
  const bits = 64n - (state.get(REG.tcr)! & 63n);
  if (address >> bits !== 0n) return undefined;
  for (const level of [39n, 30n, 21n, 12n]) {
    const entry = low.getBigUint64(Number(table + ((address >> level) & 511n) * 8n), true);
    const kind = entry & 3n;
    const output = entry & 0x0000_ffff_ffff_f000n;
    if ((kind & 1n) === 0n) return undefined;
    if (kind === 3n && level !== 12n) {
      if (entry >> 59n !== 0n) throw new Error("the table restricts what is below it");
      table = output;
      continue;
    }
    if (kind === 1n && (level === 39n || level === 12n)) throw new Error("no blocks at this level");
    const mask = (1n << level) - 1n;
    if ((output & mask) !== 0n) throw new Error("reserved bits are set");
    if ((entry & 0x400n) === 0n) throw new Error("access flag fault");
    const attribute = (state.get(REG.mair)! >> (8n * ((entry >> 2n) & 7n))) & 255n;
    const shareable = (entry >> 8n) & 3n;
    if (attribute === 0xffn && shareable !== 3n) throw new Error("not inner shareable");
    if (attribute !== 0xffn && attribute !== 0x04n) throw new Error(`attribute ${attribute}`);
    return {
      physical: output | (address & mask),
      memory: attribute === 0xffn ? "normal" : "device",
      readable: true,
      writable: (entry & 0x80n) === 0n,
      executable: ((entry >> 53n) & 1n) === 0n,
      atEl0: (entry & 0x40n) !== 0n || ((entry >> 54n) & 1n) === 0n,
    };
  }
  throw new Error("not reached");
}

const SIZES = [2 * MIB, 4 * MIB, 512 * MIB, GIB, GIB + 2 * MIB, 3 * GIB, 4 * GIB - 2 * MIB, 4 * GIB];

describe.each(SIZES)("tables for %d bytes of memory", (size) => {
  const low = new DataView(new ArrayBuffer(0x1_0000));
  writeTables(low, size);
  const memory = (address: bigint, all: boolean): Mapping => ({
    physical: address,
    memory: "normal",
    readable: true,
    writable: all,
    executable: all,
    atEl0: false,
  });

  test("low memory is mapped page by page: nothing, then constants, then everything", () => {
    for (let page = 0n; page < 0x20_0000n; page += 0x1000n) {
      for (const address of [page, page + 0xfffn]) {
        const expected = address < 0x1_0000n ? undefined : memory(address, address >= 0x10_0000n);
        expect({ address, found: walk(low, address) }).toEqual({ address, found: expected });
      }
    }
  });

  test("all other memory is mapped to itself, and nothing behind its end up to the hypercalls is", () => {
    for (let page = 0x20_0000n; page < 0x1_0000_0000n; page += 0x20_0000n) {
      for (const address of [page, page + 0x1f_ffffn]) {
        const found = walk(low, address);
        if (page < BigInt(size)) expect(found).toEqual(memory(address, true));
        else expect(found).toBeUndefined();
      }
    }
  });

  test("the hypercalls' addresses are device memory that can't be executed", () => {
    for (let number = 0n; number <= 8n; number++) {
      const address = 0x1_0000_0000n + 8n * number;
      expect(walk(low, address)).toMatchObject({
        physical: address,
        memory: "device",
        writable: true,
        executable: false,
        atEl0: false,
      });
    }
    expect(walk(low, 0x1_4000_0000n)).toBeUndefined();
    expect(walk(low, 2n ** 39n)).toBeUndefined();
    expect(walk(low, 2n ** 40n)).toBeUndefined();
  });

  test("every entry has the ABI's value, and every other byte of low memory is zero", () => {
    const expected = new DataView(new ArrayBuffer(0x1_0000));
    const set = (at: number, value: bigint) => expected.setBigUint64(at, value, true);
    set(0x1000, 0x2003n);
    for (let k = 0; k < Math.ceil(size / GIB); k++) set(0x2000 + k * 8, BigInt(0x3000 + k * 0x1000) | 3n);
    set(0x2020, 0x1_0000_0000n | 0x0060_0000_0000_0705n);
    set(0x3000, 0x7003n);
    for (let n = 1; n * 0x20_0000 < size; n++) {
      set(0x3000 + n * 8, (BigInt(n) * 0x20_0000n) | 0x0040_0000_0000_0711n);
    }
    for (let i = 0x10; i < 0x200; i++) {
      const flags = i < 0x100 ? 0x0060_0000_0000_0793n : 0x0040_0000_0000_0713n;
      set(0x7000 + i * 8, (BigInt(i) * 0x1000n) | flags);
    }
    expect(Buffer.from(low.buffer).equals(Buffer.from(expected.buffer))).toBe(true);
  });
});

describe.skipIf(lacks(needsAssembler("aarch64")))("machine code", () => {
  test("the counter's frequency is read by what its source assembles to", () => {
    const code = assemble("mrs x0, cntfrq_el0\nret\n", "aarch64");
    expect(Buffer.from(READ_COUNTER_FREQUENCY.buffer).toString("hex")).toBe(
      Buffer.from(code).toString("hex"),
    );
  });
});
