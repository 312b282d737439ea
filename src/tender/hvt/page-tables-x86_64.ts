/**
 * The tables that the guest's processor starts with: 64-bit mode with paging on, everything mapped to itself.
 * The first 2 MiB are in 4 KiB pages so that the zero page and the tables can be left out and the boot
 * information be read-only; all the rest are 2 MiB pages.
 */
import { FIRST_MAPPED, LOWEST_ADDRESS, MEMORY_GRANULE, PAGE_SIZE, X86_64 } from "./layout.ts";

const PRESENT = 1;
const WRITABLE = 2;
const LARGE = 0x80;

/** Null, 64-bit code, data: base 0, limit 4 GiB. */
const GDT = [0n, 0x00af_9900_0000_ffffn, 0x00cf_9300_0000_ffffn];
export const GDT_LIMIT = GDT.length * 8 - 1;

/** Writes GDT and page tables for `size` bytes of memory into the guest's first 64 KiB. */
export function writeTables(low: DataView, size: number): void {
  const entry = (table: number, index: number, value: number) => {
    low.setUint32(table + index * 8, value, true);
  };
  for (const [i, descriptor] of GDT.entries()) low.setBigUint64(X86_64.gdt + i * 8, descriptor, true);
  entry(X86_64.pml4, 0, X86_64.pdpt | PRESENT | WRITABLE);
  for (let i = 0; i < 4; i++) {
    entry(X86_64.pdpt, i, (X86_64.pageDirectories + i * PAGE_SIZE) | PRESENT | WRITABLE);
  }
  entry(X86_64.pageDirectories, 0, X86_64.pageTable | PRESENT | WRITABLE);
  for (let i = 1; i * MEMORY_GRANULE < size; i++) {
    entry(X86_64.pageDirectories, i, ((i * MEMORY_GRANULE) | LARGE | PRESENT | WRITABLE) >>> 0);
  }
  for (let address = FIRST_MAPPED; address < MEMORY_GRANULE; address += PAGE_SIZE) {
    const writable = address >= LOWEST_ADDRESS ? WRITABLE : 0;
    entry(X86_64.pageTable, address / PAGE_SIZE, address | PRESENT | writable);
  }
}
