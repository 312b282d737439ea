// The registers that an x86_64 guest starts with, at the offsets of KVM's structures.
import { describe, expect, test } from "bun:test";
import { RIP, initialRegs, initialSregs } from "../../../src/tender/hvt/vcpu-x86_64.ts";

/** Bytes that are given, all others zero. */
function structure(
  size: number,
  fields: readonly (readonly [at: number, size: 1 | 2 | 4 | 8, value: bigint])[],
) {
  const bytes = Buffer.alloc(size);
  for (const [at, size, value] of fields) {
    for (let i = 0; i < size; i++) bytes[at + i] = Number((value >> BigInt(8 * i)) & 255n);
  }
  return bytes.toString("hex");
}
const hex = (view: DataView) => Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString("hex");

describe("special registers", () => {
  test("every byte of struct kvm_sregs is the ABI's", () => {
    const code = [
      [8, 4, 0xffff_ffffn],
      [12, 2, 8n],
      [14, 1, 9n],
      [15, 1, 1n],
      [18, 1, 1n],
      [19, 1, 1n],
      [20, 1, 1n],
    ] as const;
    const data = [
      [8, 4, 0xffff_ffffn],
      [12, 2, 0x10n],
      [14, 1, 3n],
      [15, 1, 1n],
      [17, 1, 1n],
      [18, 1, 1n],
      [20, 1, 1n],
    ] as const;
    const shift = (at: number, fields: typeof code | typeof data) =>
      fields.map(([offset, size, value]) => [at + offset, size, value] as const);
    const expected = structure(312, [
      ...shift(0, code),
      ...[24, 48, 72, 96, 120].flatMap((at) => shift(at, data)),
      // TR: a busy TSS, present; LDT: unusable
      [144 + 14, 1, 11n],
      [144 + 15, 1, 1n],
      [168 + 22, 1, 1n],
      // GDT
      [192, 8, 0x1000n],
      [200, 2, 23n],
      [224, 8, 0x8001_0021n],
      [240, 8, 0x2000n],
      [248, 8, 0x620n],
      [264, 8, 0x500n],
    ]);
    expect(hex(initialSregs())).toBe(expected);
  });

  test("each call makes its own", () => {
    initialSregs().setUint8(0, 255);
    expect(initialSregs().getUint8(0)).toBe(0);
  });
});

describe("general registers", () => {
  test("every byte of struct kvm_regs is the ABI's", () => {
    expect(hex(initialRegs(0x10_0020, 0x2000_0000))).toBe(
      structure(144, [
        [40, 8, 0x1_0000n],
        [48, 8, 0x1fff_fff8n],
        [128, 8, 0x10_0020n],
        [136, 8, 2n],
      ]),
    );
    expect(RIP).toBe(128);
  });

  test("the stack begins at the end of memory, aligned as at a function's entry", () => {
    for (const memory of [2 ** 21, 2 ** 31, 2 ** 32 - 2 ** 21, 2 ** 32]) {
      const stack = initialRegs(0x10_0000, memory).getBigUint64(48, true);
      expect(stack).toBe(BigInt(memory) - 8n);
      expect((stack + 8n) % 16n).toBe(0n);
    }
  });

  test("an entry point at the end of 4 GiB is kept whole", () => {
    expect(initialRegs(0xffff_ffff, 2 ** 32).getBigUint64(128, true)).toBe(0xffff_ffffn);
  });
});
