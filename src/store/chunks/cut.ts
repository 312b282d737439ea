/**
 * Content-defined cutting: FastCDC (Xia and others, USENIX ATC 2016) with normalised sizes. A chunk ends where a
 * rolling hash of the bytes before has zeros in its upper bits; an insertion moves what is behind it without changing
 * where that is cut, so only the chunks around the insertion are new.
 *
 * The hash is 32 bits wide and shifts by one a byte: its bit b depends on the last b + 1 bytes, which is why the upper
 * bits are looked at. Before a chunk has its usual length more of them must be zero than behind it, which keeps sizes
 * close to it. The first MIN bytes of a chunk aren't looked at, and each chunk's hash begins anew there.
 */
import { GEAR } from "./gear.ts";

const KIB = 1024;
/** Sizes in bytes. A content's last chunk may be smaller. Like the gear, they must never change. */
export const MIN = 16 * KIB;
export const AVERAGE = 64 * KIB;
export const MAX = 256 * KIB;
/** 18 bits before the average and 14 behind it, around the 16 that cut after 64 KiB on average. */
const STRICT = 0xffff_c000 | 0;
const LOOSE = 0xfffc_0000 | 0;

/** Cuts one content. Where it cuts depends on the bytes alone, not on how they come. */
export class Cutter {
  readonly #chunk = new Uint8Array(MAX);
  #length = 0;
  #hash = 0;

  /** Calls `emit` for each chunk that ends in `bytes`. The chunk is lent: it is overwritten after the call. */
  push(bytes: Uint8Array, emit: (chunk: Uint8Array) => void): void {
    for (let at = 0; at < bytes.length;) {
      const room = bytes.subarray(at, at + MAX - this.#length);
      const count = this.#scan(room);
      const taken = count ?? room.length;
      this.#chunk.set(taken === room.length ? room : room.subarray(0, taken), this.#length);
      this.#length += taken;
      at += taken;
      if (count === undefined && this.#length < MAX) continue;
      emit(this.tail());
      this.#length = 0;
      this.#hash = 0;
    }
  }

  /** The bytes since the last cut: the last chunk, if nothing more comes. More may come, and be cut as if this weren't. */
  tail(): Uint8Array {
    return this.#chunk.subarray(0, this.#length);
  }

  /** How many of the bytes behind #length end the chunk; undefined when it doesn't end in them. */
  #scan(bytes: Uint8Array): number | undefined {
    const start = this.#length;
    const end = bytes.length;
    const gear = GEAR;
    let hash = this.#hash;
    let i = Math.min(Math.max(0, MIN - start), end);
    for (const usual = Math.min(Math.max(0, AVERAGE - start), end); i < usual; i++) {
      hash = ((hash << 1) + gear[bytes[i]!]!) | 0;
      if ((hash & STRICT) === 0) return i + 1;
    }
    for (; i < end; i++) {
      hash = ((hash << 1) + gear[bytes[i]!]!) | 0;
      if ((hash & LOOSE) === 0) return i + 1;
    }
    this.#hash = hash;
    return undefined;
  }
}
