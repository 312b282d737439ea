/** How a chunk is kept: as zstd, or as it is where that would be no smaller. */
import { sha256Text } from "../../lib/sha256.ts";
import { StoreError } from "../store-error.ts";

/** 3 is zstd's default: about 220 MB/s on one core, and the next levels save little on machine code. */
const LEVEL = 3;

/** A chunk as the database has it. */
export interface PackedChunk {
  readonly sha256: Uint8Array;
  /** Of the bytes. */
  readonly size: number;
  readonly content: Uint8Array;
}

export function packSync(chunk: Uint8Array): Uint8Array {
  return smaller(Bun.zstdCompressSync(chunk, { level: LEVEL }), chunk);
}

/** On one of the runtime's threads. `chunk` mustn't change meanwhile. */
export async function pack(chunk: Uint8Array): Promise<Uint8Array> {
  return smaller(await Bun.zstdCompress(chunk, { level: LEVEL }), chunk);
}

function smaller(packed: Uint8Array, chunk: Uint8Array): Uint8Array {
  return packed.length < chunk.length ? packed : chunk;
}

/** The bytes, compared with their SHA-256. Throws StoreError damaged. */
export function unpackSync(chunk: PackedChunk): Uint8Array {
  try {
    return checked(isPacked(chunk) ? Bun.zstdDecompressSync(chunk.content) : chunk.content, chunk);
  } catch (error) {
    throw damaged(chunk, error);
  }
}

/** The same on one of the runtime's threads. */
export async function unpack(chunk: PackedChunk): Promise<Uint8Array> {
  try {
    return checked(isPacked(chunk) ? await Bun.zstdDecompress(chunk.content) : chunk.content, chunk);
  } catch (error) {
    throw damaged(chunk, error);
  }
}

function isPacked({ size, content }: PackedChunk): boolean {
  return content.length !== size;
}

function checked(bytes: Uint8Array, chunk: PackedChunk): Uint8Array {
  const digest = new Bun.CryptoHasher("sha256").update(bytes).digest();
  if (bytes.length !== chunk.size || !digest.equals(chunk.sha256)) throw damaged(chunk);
  return bytes;
}

function damaged(chunk: PackedChunk, cause?: unknown): StoreError {
  if (cause instanceof StoreError) return cause;
  return new StoreError("damaged", `the chunk ${sha256Text(chunk.sha256)} is damaged`, {
    why: "its bytes aren't those that were stored: a disk or memory that fails does that",
    hint: "robur store verify, and restore a backup",
    cause,
  });
}
