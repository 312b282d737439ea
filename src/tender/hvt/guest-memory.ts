/**
 * A guest's memory and the check that every pointer of a guest passes before anything follows it.
 *
 * The guest chooses addresses and lengths at will. They arrive as 64-bit fields and become numbers here: exact
 * below 2^53, and never below 2^53 when the field says more. Memory is at most 2^32 bytes, so both operands of
 * the sum below are smaller than 2^32 when they are added, and nothing can wrap.
 *
 * The tender must not store into pages that the host keeps read-only (the guest's code and constants): such a
 * store would kill the tender, not the guest. So there are two questions: may it be read, may it be written.
 */
import type { Address } from "../../linux/libc.ts";
import { viewOf } from "../../linux/libc.ts";
import { TenderError } from "../tender-error.ts";
import { FIRST_MAPPED, LOWEST_ADDRESS } from "./layout.ts";

/** Guest addresses [start, end). */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * Whether the guest may have the tender read `length` bytes at `address`. The end of memory itself is out of
 * reach, as in the original tender; so are the tables in low memory, which the guest can't see either.
 */
export function mayRead(address: number, length: number, size: number): boolean {
  if (address >= size || length >= size || address + length >= size) return false;
  return address >= FIRST_MAPPED || length === 0;
}

/** Whether the guest may have the tender write there: above the tender's own MiB and in no read-only range. */
export function mayWrite(address: number, length: number, size: number, readOnly: readonly Range[]): boolean {
  if (length === 0) return mayRead(address, length, size);
  if (!mayRead(address, length, size) || address < LOWEST_ADDRESS) return false;
  for (const range of readOnly) {
    if (address < range.end && address + length > range.start) return false;
  }
  return true;
}

export class GuestMemory {
  /** Where the guest's address 0 lies in this process. */
  readonly base: Address;
  /** Bytes; also the first address that isn't memory. */
  readonly size: number;
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #readOnly: Range[] = [];

  constructor(base: Address, size: number) {
    this.base = base;
    this.size = size;
    const buffer = viewOf(base, size);
    this.bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
  }

  /** Notes pages that the host keeps read-only from now on. */
  protect(range: Range): void {
    this.#readOnly.push(range);
  }

  /** Throws TenderError guest-fault unless the range may be read. */
  checkRead(address: number, length: number): void {
    if (!mayRead(address, length, this.size)) this.#refuse(address, length);
  }

  /** Throws TenderError guest-fault unless the range may be written. */
  checkWrite(address: number, length: number): void {
    if (!mayWrite(address, length, this.size, this.#readOnly)) this.#refuse(address, length);
  }

  /* The accessors below are for addresses that have been checked. */

  u64(address: number): number {
    return this.#view.getUint32(address, true) + this.#view.getUint32(address + 4, true) * 0x1_0000_0000;
  }

  i32(address: number): number {
    return this.#view.getInt32(address, true);
  }

  setI32(address: number, value: number): void {
    this.#view.setInt32(address, value, true);
  }

  /** Stores a 64-bit field from its two halves. */
  setU64(address: number, low: number, high: number): void {
    this.#view.setUint32(address, low, true);
    this.#view.setUint32(address + 4, high, true);
  }

  #refuse(address: number, length: number): never {
    throw new TenderError("guest-fault", `invalid guest access: 0x${address.toString(16)}, ${length} bytes`, {
      why: "the unikernel passed an address that is not its own memory",
    });
  }
}
