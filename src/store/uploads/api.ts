/** Uploads in parts: for large files over lines that break. Times are milliseconds since 1970, sizes are bytes. */
import type { Content } from "../api.ts";

declare const brand: unique symbol;

/** 32 hexadecimal digits from the system's random source: who knows it and is its owner may go on. */
export type UploadId = string & { readonly [brand]: "UploadId" };

/** What an upload is for: an exec document, or a content that something will refer to within a day. */
export type UploadPurpose = { readonly kind: "exec" } | { readonly kind: "content" };

export interface Upload {
  readonly id: UploadId;
  readonly purpose: UploadPurpose;
  /** That it is to have. */
  readonly size: number;
  /** What is there and survives a kill: the next byte's place. */
  readonly offset: number;
  readonly createdAt: number;
  /** When it goes if nobody goes on with it. */
  readonly expiresAt: number;
}

export interface UploadPartRefusal {
  readonly code: "missing" | "wrong-offset" | "too-large" | "too-many" | "superseded";
  readonly message: string;
  /** With wrong-offset: the right one. */
  readonly offset?: number;
}

export type UploadPartOutcome =
  | { readonly ok: true; readonly upload: Upload; readonly content: Content | undefined }
  | { readonly ok: false; readonly refusal: UploadPartRefusal };

export interface Uploads extends AsyncDisposable {
  /** Begins one. Refuses too-many and too-large. */
  create(who: string, purpose: UploadPurpose, size: number): UploadPartOutcome;
  /** Undefined for one that isn't there or is somebody else's. */
  find(who: string, id: UploadId): Upload | undefined;
  /**
   * Adds a part. With the last one it is a content, kept for as long as the upload is: the answer says so, also when
   * an empty part is sent behind the end. A later part for the same upload ends one that still waits for bytes.
   * Throws what the body throws, after what came of it was committed.
   */
  append(
    who: string,
    id: UploadId,
    offset: number,
    body: ReadableStream<Uint8Array> | null,
  ): Promise<UploadPartOutcome>;
  /** False when there was none. */
  remove(who: string, id: UploadId): Promise<boolean>;
}

/** Undefined for what can't be one. */
export function parseUploadId(text: string): UploadId | undefined {
  return /^[0-9a-f]{32}$/.test(text) ? (text as UploadId) : undefined;
}
