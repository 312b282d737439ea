/** What a content store and its worker threads say to each other. Each request has one answer, with its number. */

/** Bytes of one content, in order. */
export interface CutRequest {
  readonly kind: "cut";
  readonly request: number;
  readonly stream: number;
  /** Transferred, and comes back with the answer. */
  readonly buffer: ArrayBuffer;
  readonly length: number;
  /** What is behind the last cut becomes a chunk too. More may follow, and is cut as if it hadn't. */
  readonly isEnd: boolean;
  /** The bytes are in the store already: they count for the content's SHA-256 and make no chunks. */
  readonly isStored: boolean;
}

/** Compress these chunks of an answer, by their place in it; the others are forgotten. */
export interface PackRequest {
  readonly kind: "pack";
  readonly request: number;
  readonly stream: number;
  /** The request that cut them. */
  readonly of: number;
  readonly needed: readonly number[];
}

/** Forget everything of a content. It has no answer. */
export interface DropRequest {
  readonly kind: "drop";
  readonly stream: number;
}

/** Write a database's log back into it. */
export interface CheckpointRequest {
  readonly kind: "checkpoint";
  readonly request: number;
  readonly path: string;
}

export type WorkerRequest = CutRequest | PackRequest | DropRequest | CheckpointRequest;

export interface CutAnswer {
  readonly kind: "cut";
  readonly request: number;
  readonly buffer: ArrayBuffer;
  /** The SHA-256 of each chunk that ended in the bytes, one behind the other. */
  readonly keys: Uint8Array;
  readonly sizes: readonly number[];
  /** At an end: the SHA-256 of all the content's bytes so far, and whether the last chunk is what was behind the last cut. */
  readonly end: { readonly sha256: Uint8Array; readonly hasTail: boolean } | undefined;
}

export interface PackAnswer {
  readonly kind: "pack";
  readonly request: number;
  /** In the order of `needed`: zstd, or the bytes themselves where that is no smaller. */
  readonly packed: readonly Uint8Array[];
}

export interface CheckpointAnswer {
  readonly kind: "checkpoint";
  readonly request: number;
}

export type WorkerAnswer = CutAnswer | PackAnswer | CheckpointAnswer;
