/** What a main binary says of itself in Solo5's notes, in builder-web's words. */
import { readAbi } from "../../image/abi.ts";
import { readElf } from "../../image/elf.ts";
import { ImageError } from "../../image/image-error.ts";
import { MANIFEST_VERSION, readManifest } from "../../image/manifest.ts";
import type { ImageSource } from "../../image/source.ts";
import { KIB, MIB } from "../../lib/units.ts";
import type { Content, ContentStore, Solo5Notes } from "../api.ts";

/** Read at once. */
const PIECE = 64 * KIB;
/** Headers and notes of a unikernel lie in one or two pieces; what needs more is no unikernel. */
const MOST = 2 * MIB;

/** The notes; undefined for anything that isn't a unikernel with a manifest and an ABI. Throws what reading throws. */
export async function readNotes(contents: ContentStore, content: Content): Promise<Solo5Notes | undefined> {
  const pieces = new Map<number, Uint8Array>();
  for (;;) {
    try {
      return notesOf(new PieceSource(content.size, pieces));
    } catch (error) {
      if (error instanceof ImageError) return undefined;
      if (!(error instanceof PieceMissing)) throw error;
      if ((pieces.size + 1) * PIECE > MOST) return undefined;
      pieces.set(error.start, await readPiece(contents, content, error.start));
    }
  }
}

async function readPiece(contents: ContentStore, content: Content, start: number): Promise<Uint8Array> {
  const range = { start, end: Math.min(start + PIECE, content.size) };
  const piece = new Uint8Array(range.end - range.start);
  let at = 0;
  for await (const bytes of contents.read(content, range)) {
    piece.set(bytes, at);
    at += bytes.length;
  }
  return piece;
}

/** Throws ImageError. */
function notesOf(source: ImageSource): Solo5Notes | undefined {
  const elf = readElf(source);
  const abi = readAbi(source, elf);
  if (abi === undefined || abi.target === "unknown") return undefined;
  const devices: { name: string; type: "NET_BASIC" | "BLOCK_BASIC" }[] = [];
  for (const { name, type } of readManifest(source, elf).entries.slice(1)) {
    if (type === "reserved" || type === "other") return undefined;
    devices.push({ name, type });
  }
  return {
    manifest: { type: "solo5.manifest", version: MANIFEST_VERSION, devices },
    // builder-web prints it with a sign.
    abi: { type: "solo5.abi", target: abi.target, version: abi.version | 0 },
  };
}

/** What an image's readers asked for isn't there yet. */
class PieceMissing extends Error {
  readonly start: number;

  constructor(start: number) {
    super(`the piece at ${start} isn't read`);
    this.start = start;
  }
}

/** An image of which some pieces are in memory. */
class PieceSource implements ImageSource {
  readonly size: number;
  readonly #pieces: ReadonlyMap<number, Uint8Array>;

  constructor(size: number, pieces: ReadonlyMap<number, Uint8Array>) {
    this.size = size;
    this.#pieces = pieces;
  }

  read(offset: number, length: number): Uint8Array {
    const end = Math.min(this.size, offset + length);
    if (offset >= end) return new Uint8Array(0);
    const first = Math.floor(offset / PIECE) * PIECE;
    const parts: Uint8Array[] = [];
    for (let start = first; start < end; start += PIECE) {
      const piece = this.#pieces.get(start);
      if (piece === undefined) throw new PieceMissing(start);
      parts.push(piece);
    }
    const bytes = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    return bytes.subarray(offset - first, end - first);
  }
}
