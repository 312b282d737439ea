/**
 * A recorded build behind a URL, as builder-web and robur serve it. They keep no build-hashes, so it is the files
 * themselves that are compared: the exec document has them all.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { RoburError } from "../../lib/errors.ts";
import { type Sha256, sha256Text } from "../../lib/sha256.ts";
import { readRecord } from "../../protocols/builder/record.ts";
import { OrbError } from "./orb-error.ts";

/** No input is larger; the package list of a large switch is a few megabytes. */
const INPUT_MAX = 64 * 1024 * 1024;
const INPUTS: ReadonlySet<string> = new Set(["build-environment", "system-packages", "opam-switch"]);
/** A server that says nothing for so long has died. */
const SILENCE_MS = 120_000;

/** A file of a build. */
export interface PublishedFile {
  readonly path: string;
  readonly size: number;
  readonly sha256: Sha256;
}

/** Fetches what a rebuild needs of `…/job/NAME/build/UUID` into a directory. Answers the files. Throws OrbError failed. */
export async function fetchRecord(url: string, directory: string): Promise<PublishedFile[]> {
  mkdirSync(directory, { recursive: true });
  const at = `${url.replace(/[?#].*$/, "").replace(/\/+$/, "")}/exec`;
  const failed = (why: string) => new OrbError("failed", `${at} could not be fetched`, { why });
  const files: PublishedFile[] = [];
  try {
    const silence = new AbortController();
    const response = await fetch(at, { signal: silence.signal });
    if (!response.ok || response.body === null) throw failed(`the server answers ${response.status}`);
    for await (const part of readRecord(watched(response.body, silence))) {
      if (part.kind === "file") files.push(await readFile(part, directory, failed));
    }
  } catch (error) {
    if (error instanceof OrbError) throw error;
    throw failed(error instanceof RoburError || error instanceof Error ? error.message : String(error));
  }
  return files;
}

async function readFile(
  { path, size, bytes }: { path: string; size: number; bytes: () => AsyncGenerator<Uint8Array> },
  directory: string,
  failed: (why: string) => OrbError,
): Promise<PublishedFile> {
  const hash = new Bun.CryptoHasher("sha256");
  const isInput = INPUTS.has(path);
  if (isInput && size > INPUT_MAX) throw failed(`${path} is larger than ${INPUT_MAX} bytes`);
  const kept: Uint8Array[] = [];
  for await (const piece of bytes()) {
    hash.update(piece);
    if (isInput) kept.push(Uint8Array.from(piece));
  }
  if (isInput) writeFileSync(join(directory, path), Buffer.concat(kept));
  return { path, size, sha256: sha256Text(new Uint8Array(hash.digest())) };
}

/** The stream, given up when nothing comes any more. */
async function* watched(stream: ReadableStream<Uint8Array>, silence: AbortController) {
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    for await (const piece of stream) {
      clearTimeout(timer);
      yield piece;
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
    }
  } finally {
    clearTimeout(timer);
  }
}
