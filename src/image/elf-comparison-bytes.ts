/** Hashes of parts of two files, and the place where they part. */
import type { Sha256 } from "../lib/sha256.ts";
import { MIB } from "../lib/units.ts";
import type { ImageSource } from "./source.ts";

export interface ByteDifference {
  /** From the beginning of what was compared. */
  readonly offset: number;
  /** Where `left` and `right` begin: a few bytes before the difference. */
  readonly from: number;
  /** Hexadecimal, two digits a byte, at most 32 bytes. */
  readonly left: string;
  readonly right: string;
}

interface Part {
  readonly offset: number;
  readonly size: number;
}

const BEFORE = 8;
const SHOWN = 32;

export function hashOf(source: ImageSource, offset: number, size: number): Sha256 {
  const hash = new Bun.CryptoHasher("sha256");
  for (let at = 0; at < size; at += MIB) hash.update(source.read(offset + at, Math.min(MIB, size - at)));
  return hash.digest("hex") as Sha256;
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
}

/** The first byte in which two parts differ; undefined where they are the same. One may be the other's beginning. */
export function firstDifference(
  left: ImageSource,
  right: ImageSource,
  a: Part,
  b: Part,
): ByteDifference | undefined {
  const common = Math.min(a.size, b.size);
  for (let at = 0; at < common; at += MIB) {
    const length = Math.min(MIB, common - at);
    const x = left.read(a.offset + at, length);
    const y = right.read(b.offset + at, length);
    if (Buffer.compare(x, y) === 0) continue;
    let i = 0;
    while (i < x.length && x[i] === y[i]) i++;
    return around(left, right, a, b, at + i);
  }
  return a.size === b.size ? undefined : around(left, right, a, b, common);
}

function around(left: ImageSource, right: ImageSource, a: Part, b: Part, offset: number): ByteDifference {
  const from = Math.max(0, offset - BEFORE);
  const shown = (source: ImageSource, part: Part) =>
    from >= part.size ? "" : hexOf(source.read(part.offset + from, Math.min(SHOWN, part.size - from)));
  return { offset, from, left: shown(left, a), right: shown(right, b) };
}
