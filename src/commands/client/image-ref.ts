/** The images that a command line names: a file, one that the server has, an address, or a job's. */
import { openSync, closeSync, fstatSync, readSync } from "node:fs";
import { UsageError } from "../../lib/errors.ts";
import type { ImageView } from "../../orchestrator/api.ts";
import { findImage } from "../find-image.ts";
import { withProgress } from "../progress.ts";
import { parseBuildRef, resolveBuild } from "./builds.ts";
import { ClientError } from "./client-error.ts";
import { type Client, ask } from "./connect.ts";

export type ImageRef =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "stored"; readonly prefix: string }
  | { readonly kind: "url"; readonly url: string }
  /** A build's main binary: `hello`, `hello@5a0c31f2`. */
  | { readonly kind: "job"; readonly build: string };

const PIECE = 256 * 1024;

/** `web.hvt`, `sha256:0a1b…` (any unique beginning), `https://…`, `job:web`. Pure. Throws UsageError. */
export function parseImageRef(text: string): ImageRef {
  const stored = /^sha256:([0-9a-f]{6,64})$/i.exec(text)?.[1];
  if (stored !== undefined) return { kind: "stored", prefix: stored.toLowerCase() };
  if (text.startsWith("sha256:")) {
    throw new UsageError(`${text} is no image`, { why: "sha256: is followed by 6 to 64 hexadecimal digits" });
  }
  if (/^https?:\/\//i.test(text)) return { kind: "url", url: text };
  if (text.startsWith("job:")) {
    // What can't be a job is found out before anything is asked.
    parseBuildRef(text);
    return { kind: "job", build: text };
  }
  return { kind: "file", path: text };
}

/** Makes the server have the image; a file that it has already isn't sent. Throws ClientError, ImageFileError. */
export async function provideImage(client: Client, ref: ImageRef): Promise<ImageView> {
  switch (ref.kind) {
    case "stored":
      return findStored(client, ref.prefix);
    case "url":
      return fromUrl(client, ref.url);
    case "job":
      return fromBuild(client, ref.build);
    case "file":
      return fromFile(client, ref.path);
  }
}

async function findStored(client: Client, prefix: string): Promise<ImageView> {
  if (prefix.length === 64) return ask(client, client.api.images({ sha256: prefix }).get());
  const { images } = await ask(client, client.api.images.get());
  const found = images.filter(({ sha256 }) => sha256.startsWith(prefix));
  if (found.length === 1) return found[0]!;
  if (found.length > 1)
    throw new UsageError(`sha256:${prefix} may mean ${found.length} images`, { hint: "write more of it" });
  throw new ClientError(3, "image-missing", `the server has no image sha256:${prefix}`, {
    hint: "robur images",
  });
}

/** The server has the bytes: nothing is sent. */
async function fromBuild(client: Client, text: string): Promise<ImageView> {
  const { build } = await resolveBuild(client, text);
  return ask(client, client.api.images["from-build"].post({ build: build.id }));
}

async function fromFile(client: Client, path: string): Promise<ImageView> {
  const { fd, size, close } = openForUpload(path);
  try {
    const known = await knownImage(client, hashOf(fd, size));
    if (known !== undefined) return known;
    return await withProgress(`sending ${path}`, (onProgress) =>
      upload(client, pieces(fd, size), (done) => onProgress(done, size)),
    );
  } finally {
    close();
  }
}

async function fromUrl(client: Client, url: string): Promise<ImageView> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ClientError(1, "unreachable", `can't download ${url}`, { why, cause: error });
  }
  if (!response.ok || response.body === null) {
    throw new ClientError(response.status === 404 ? 3 : 1, "unreachable", `can't download ${url}`, {
      why: `the server answers ${response.status}`,
    });
  }
  const length = Number(response.headers.get("content-length") ?? Number.NaN);
  const total = Number.isSafeInteger(length) ? length : undefined;
  const { body } = response;
  return withProgress(`fetching ${url}`, (onProgress) =>
    upload(client, body, (done) => onProgress(done, total)),
  );
}

/** Sends bytes as they come; nothing is held whole. */
async function upload(
  client: Client,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  onProgress: (done: number) => void,
): Promise<ImageView> {
  let done = 0;
  const counted = async function* () {
    for await (const piece of source) {
      yield piece;
      done += piece.length;
      onProgress(done);
    }
  };
  const iterator = counted();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await iterator.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    cancel: () => void iterator.return(),
  });
  const response = await client.request("/api/v1/images", {
    method: "POST",
    body,
    headers: { "content-type": "application/octet-stream" },
  });
  return (await response.json()) as ImageView;
}

async function knownImage(client: Client, sha256: string): Promise<ImageView | undefined> {
  try {
    return await ask(client, client.api.images({ sha256 }).get());
  } catch (error) {
    if (error instanceof ClientError && error.exitStatus === 3) return undefined;
    throw error;
  }
}

/** A file, or one of the images that are built in. Throws ImageFileError. */
export function openForUpload(path: string): { fd: number; size: number; close: () => void } {
  const image = findImage(path);
  // By /proc, for node:fs doesn't know the descriptors that libc opened.
  const fd = openSync(`/proc/self/fd/${image.fd}`, "r");
  const { size } = fstatSync(fd);
  image.close();
  return { fd, size, close: () => closeSync(fd) };
}

/** The SHA-256 of an open file, in hexadecimal. */
export function hashOf(fd: number, size: number): string {
  const hash = new Bun.CryptoHasher("sha256");
  for (const piece of pieces(fd, size)) hash.update(piece);
  return hash.digest("hex");
}

function* pieces(fd: number, size: number): Generator<Uint8Array> {
  for (let offset = 0; offset < size;) {
    const piece = Buffer.allocUnsafe(Math.min(PIECE, size - offset));
    const count = readSync(fd, piece, 0, piece.length, offset);
    if (count === 0) return;
    yield piece.subarray(0, count);
    offset += count;
  }
}
