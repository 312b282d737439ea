/**
 * Where things are in an hvt guest's memory. Guest physical and guest virtual addresses are equal.
 * Source: Solo5's hvt memory map; the first 1 MiB is the tender's, everything from LOWEST_ADDRESS up the image's.
 */
export { LOWEST_ADDRESS, PAGE_SIZE } from "../../image/segments.ts";

/** Guest memory comes in whole 2 MiB pages, and pointers in hypercalls have 32 bits. */
export const MEMORY_GRANULE = 0x20_0000;
export const MEMORY_MAX = 0x1_0000_0000;

/** Everything below is unmapped in the guest: the tables, and the zero page in front of them. */
export const FIRST_MAPPED = 0x1_0000;

/** The boot information, followed by the manifest and the command line. Read-only to the guest. */
export const BOOT_INFO = 0x1_0000;
export const BOOT_INFO_SIZE = 56;

export const X86_64 = {
  gdt: 0x1000,
  pml4: 0x2000,
  pdpt: 0x3000,
  /** Four page directories in a row: 2048 entries of 2 MiB. */
  pageDirectories: 0x4000,
  /** The page table of the first 2 MiB, in 4 KiB pages. */
  pageTable: 0x8000,
  /** A hypercall is `out` of 4 bytes to this port plus its number. */
  hypercallPort: 0x500,
} as const;

export const AARCH64 = {
  pgd: 0x1000,
  pud: 0x2000,
  /** Four in a row, one per GiB. */
  pmd: 0x3000,
  pte: 0x7000,
  /** A hypercall is a store of 4 bytes to this address plus 8 times its number. */
  hypercallAddress: 0x1_0000_0000,
} as const;

/** The numbers of the hypercalls. */
export const HYPERCALL = {
  walltime: 1,
  puts: 2,
  poll: 3,
  blockWrite: 4,
  blockRead: 5,
  netWrite: 6,
  netRead: 7,
  halt: 8,
} as const;
