/**
 * The state in which an aarch64 guest starts, and its page tables. Written to the Solo5 hvt ABI and the Arm
 * Architecture Reference Manual (D13, D8); not yet run on such hardware, and the tender says so at its start.
 */
import { AARCH64, BOOT_INFO, FIRST_MAPPED, LOWEST_ADDRESS, MEMORY_GRANULE, PAGE_SIZE } from "./layout.ts";

/** KVM's register ids: system registers, then those of struct user_pt_regs at 0x6030000000100000 + offset / 4. */
export const REG = {
  cpacr: 0x6030_0000_0013_c082n,
  mair: 0x6030_0000_0013_c510n,
  tcr: 0x6030_0000_0013_c102n,
  ttbr0: 0x6030_0000_0013_c100n,
  sctlr: 0x6030_0000_0013_c080n,
  x0: 0x6030_0000_0010_0000n,
  pc: 0x6030_0000_0010_0040n,
  pstate: 0x6030_0000_0010_0042n,
  spEl1: 0x6030_0000_0010_0044n,
} as const;

/** CPACR_EL1.FPEN: floating point is not trapped. */
const FPEN = 0x30_0000n;

/** The registers to set, in order. `cpacr` is the current value of CPACR_EL1. */
export function initialRegisters(
  entry: number,
  memory: number,
  cpacr: bigint,
): readonly (readonly [bigint, bigint])[] {
  return [
    [REG.cpacr, cpacr | FPEN],
    [REG.mair, 0x0000_bbff_440c_0400n],
    // 40-bit addresses, 4 KiB granule, write-back, inner shareable
    [REG.tcr, 0x0000_0032_b518_3518n],
    [REG.ttbr0, BigInt(AARCH64.pgd)],
    // MMU, data and instruction caches on
    [REG.sctlr, 0x1005n],
    // EL1 with its own stack pointer, all interrupts masked
    [REG.pstate, 0x3c5n],
    [REG.spEl1, BigInt(memory - 16)],
    [REG.x0, BigInt(BOOT_INFO)],
    [REG.pc, BigInt(entry)],
  ];
}

const TABLE = 3n;
/** A 1 GiB block of device memory without execution, where the hypercall addresses lie. */
const DEVICE_BLOCK = 0x0060_0000_0000_0705n;
/** 2 MiB of normal memory, all rights at EL1, none at EL0. */
const MEMORY_BLOCK = 0x0040_0000_0000_0711n;
const READ_ONLY_PAGE = 0x0060_0000_0000_0793n;
const MEMORY_PAGE = 0x0040_0000_0000_0713n;

/** Writes the page tables for `size` bytes of memory into the guest's first 64 KiB. */
export function writeTables(low: DataView, size: number): void {
  const entry = (table: number, index: number, value: bigint) => {
    low.setBigUint64(table + index * 8, value, true);
  };
  entry(AARCH64.pgd, 0, BigInt(AARCH64.pud) | TABLE);
  for (let gib = 0; gib * 0x4000_0000 < size; gib++) {
    entry(AARCH64.pud, gib, BigInt(AARCH64.pmd + gib * PAGE_SIZE) | TABLE);
  }
  entry(AARCH64.pud, 4, BigInt(AARCH64.hypercallAddress) | DEVICE_BLOCK);
  entry(AARCH64.pmd, 0, BigInt(AARCH64.pte) | TABLE);
  for (let i = 1; i * MEMORY_GRANULE < size; i++) {
    entry(AARCH64.pmd, i, BigInt(i * MEMORY_GRANULE) | MEMORY_BLOCK);
  }
  for (let address = FIRST_MAPPED; address < MEMORY_GRANULE; address += PAGE_SIZE) {
    const flags = address < LOWEST_ADDRESS ? READ_ONLY_PAGE : MEMORY_PAGE;
    entry(AARCH64.pte, address / PAGE_SIZE, BigInt(address) | flags);
  }
}

/**
 * Machine code that answers the counter's frequency: `mrs x0, cntfrq_el0; ret`. KVM has no ioctl for it, and
 * every process may read the register.
 */
export const READ_COUNTER_FREQUENCY = new Uint32Array([0xd53b_e000, 0xd65f_03c0]);
