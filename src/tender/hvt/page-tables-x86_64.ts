/**
 * The tables that the guest's processor starts with: 64-bit mode with paging on, everything mapped to itself.
 * The first 2 MiB are in 4 KiB pages so that the zero page and the tables can be left out and the boot
 * information be read-only; all the rest are 2 MiB pages.
 */
import { FIRST_MAPPED, LOWEST_ADDRESS, MEMORY_GRANULE, PAGE_SIZE, X86_64 } from "./layout.ts";

const PRESENT = 1;
const WRITABLE = 2;
const LARGE = 0x80;

/** Null, 64-bit code, data: base 0, limit 4 GiB. Low word, high word. */
const GDT = [0, 0, 0x0000_ffff, 0x00af_9900, 0x0000_ffff, 0x00cf_9300];
export const GDT_LIMIT = GDT.length * 4 - 1;

/**
 * Writes GDT and page tables for `size` bytes of memory into the guest's first 64 KiB, given as 32-bit words. All
 * addresses are below 4 GiB, so the upper half of an entry stays zero.
 */
export function writeTables(low: Uint32Array, size: number): void {
  low.set(GDT, X86_64.gdt / 4);
  low[X86_64.pml4 / 4] = X86_64.pdpt | PRESENT | WRITABLE;
  for (let i = 0; i < 4; i++) {
    low[X86_64.pdpt / 4 + i * 2] = (X86_64.pageDirectories + i * PAGE_SIZE) | PRESENT | WRITABLE;
  }
  low[X86_64.pageDirectories / 4] = X86_64.pageTable | PRESENT | WRITABLE;
  for (let address = MEMORY_GRANULE, at = X86_64.pageDirectories / 4 + 2; address < size; at += 2) {
    low[at] = address | LARGE | PRESENT | WRITABLE;
    address += MEMORY_GRANULE;
  }
  for (let address = FIRST_MAPPED; address < MEMORY_GRANULE; address += PAGE_SIZE) {
    const writable = address >= LOWEST_ADDRESS ? WRITABLE : 0;
    low[X86_64.pageTable / 4 + (address / PAGE_SIZE) * 2] = address | PRESENT | writable;
  }
}
