/**
 * A worker thread: cuts, hashes and compresses. It looks for nothing in the database: it is told which chunks are new,
 * and only those are compressed.
 */
import { Database } from "bun:sqlite";
import { Cutter } from "./cut.ts";
import type {
  CheckpointAnswer,
  CheckpointRequest,
  CutAnswer,
  CutRequest,
  PackAnswer,
  PackRequest,
  WorkerRequest,
} from "./messages.ts";
import { pack } from "./pack.ts";

interface Stream {
  readonly cutter: Cutter;
  readonly hash: Bun.CryptoHasher;
  /** Chunks of which nobody has said yet whether they are needed, by the request that cut them. */
  readonly waiting: Map<number, readonly Uint8Array[]>;
}

declare const self: Worker;

const streams = new Map<number, Stream>();

self.addEventListener("message", ({ data }: MessageEvent<WorkerRequest>) => {
  switch (data.kind) {
    case "cut":
      cut(data);
      return;
    case "pack":
      void packChunks(data);
      return;
    case "drop":
      streams.delete(data.stream);
      return;
    case "checkpoint":
      checkpoint(data);
  }
});

function streamOf(number: number): Stream {
  const known = streams.get(number);
  if (known !== undefined) return known;
  const stream = {
    cutter: new Cutter(),
    hash: new Bun.CryptoHasher("sha256"),
    waiting: new Map<number, readonly Uint8Array[]>(),
  };
  streams.set(number, stream);
  return stream;
}

function cut({ request, stream, buffer, length, isEnd, isStored }: CutRequest): void {
  const { cutter, hash, waiting } = streamOf(stream);
  const bytes = new Uint8Array(buffer, 0, length);
  const chunks: Uint8Array[] = [];
  const take = (chunk: Uint8Array) => void chunks.push(chunk.slice());
  hash.update(bytes);
  if (!isStored) cutter.push(bytes, take);
  const tail = isEnd ? cutter.tail() : new Uint8Array(0);
  if (tail.length > 0) take(tail);
  if (chunks.length > 0) waiting.set(request, chunks);
  const keys = new Uint8Array(chunks.length * 32);
  for (const [i, chunk] of chunks.entries()) {
    keys.set(new Bun.CryptoHasher("sha256").update(chunk).digest(), i * 32);
  }
  const answer: CutAnswer = {
    kind: "cut",
    request,
    buffer,
    keys,
    sizes: chunks.map((chunk) => chunk.length),
    end: isEnd ? { sha256: new Uint8Array(hash.copy().digest()), hasTail: tail.length > 0 } : undefined,
  };
  self.postMessage(answer, [buffer, keys.buffer]);
}

async function packChunks({ request, stream, of, needed }: PackRequest): Promise<void> {
  const waiting = streams.get(stream)?.waiting;
  const chunks = waiting?.get(of);
  waiting?.delete(of);
  // Nobody waits for what was dropped, but each request has its answer.
  const packed = chunks === undefined ? [] : await Promise.all(needed.map((i) => pack(chunks[i]!)));
  const answer: PackAnswer = { kind: "pack", request, packed };
  self.postMessage(answer, [...new Set(packed.map(({ buffer }) => buffer as ArrayBuffer))]);
}

/** Without waiting for anybody, and without keeping anybody waiting: what can't be written back now can be later. */
function checkpoint({ request, path }: CheckpointRequest): void {
  using db = new Database(path, { readwrite: true });
  db.run("PRAGMA wal_checkpoint(PASSIVE)");
  const answer: CheckpointAnswer = { kind: "checkpoint", request };
  self.postMessage(answer, []);
}
