/**
 * A file from another server: beside its place first, and there under its name only when every byte is there and the
 * SHA-256 is that which was announced. What came before an interruption is kept and gone on with, where the hash says
 * that it is the same file.
 */
import { constants } from "node:fs";
import { type FileHandle, open, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Sha256 } from "../api.ts";
import { RemoteError } from "./remote-error.ts";
import { bodyOf } from "./remote-request.ts";

export interface Download {
  /** Undefined: nothing was announced. */
  readonly sha256: Sha256 | undefined;
  readonly size: number | undefined;
  /** Asks for the bytes from there on; an answer with 200 has them all. */
  readonly from: (offset: number) => Promise<Response>;
  readonly onProgress?: (done: number, total: number | undefined) => void;
}

/** Where nobody says how large it is. */
const LARGEST = 16 * 1024 ** 3;
const PIECE = 1024 ** 2;

export interface Downloaded {
  readonly sha256: Sha256;
  readonly size: number;
}

/** Throws RemoteError wrong-hash, truncated, too-large, no-place; nothing is at `path` then that wasn't there before. */
export async function downloadFile(path: string, download: Download): Promise<Downloaded> {
  const { sha256 } = download;
  const mark = sha256 === undefined ? crypto.randomUUID().slice(0, 8) : sha256.slice(0, 16);
  const part = join(dirname(path), `.${basename(path)}.${mark}.part`);
  const file = await openPart(part, path);
  let isKept = false;
  try {
    const found = await fill(file, download);
    await file.sync();
    await rename(part, path);
    return found;
  } catch (error) {
    // Bytes that are right as far as they go are worth keeping, if anybody could tell which file they are of.
    const isShort =
      error instanceof RemoteError && ["truncated", "unreachable", "interrupted"].includes(error.code);
    isKept = isShort && sha256 !== undefined;
    throw error;
  } finally {
    await file.close();
    if (!isKept) await rm(part, { force: true });
  }
}

async function openPart(part: string, path: string): Promise<FileHandle> {
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants;
  try {
    return await open(part, O_RDWR | O_CREAT | O_NOFOLLOW, 0o644);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    const why =
      code === "ENOENT"
        ? `there is no directory ${dirname(path)}`
        : error instanceof Error
          ? error.message
          : String(error);
    throw new RemoteError("no-place", `${path} can't be written`, { why, cause: error });
  }
}

async function fill(file: FileHandle, { sha256, size, from, onProgress }: Download): Promise<Downloaded> {
  let hash = new Bun.CryptoHasher("sha256");
  let done = sha256 === undefined ? 0 : await hashSoFar(file, hash);
  if (size !== undefined && done > size) ({ hash, done } = await anew(file));
  if (size === undefined || done < size || size === 0) {
    let response = await from(done);
    if (done > 0 && !continuesAt(response, done)) {
      if (response.status !== 200) {
        await response.body?.cancel();
        response = await from(0);
      }
      ({ hash, done } = await anew(file));
    }
    const total = size ?? announcedSize(response, done);
    const limit = (total ?? LARGEST) - done;
    for await (const piece of bodyOf(response, limit)) {
      await writeAll(file, piece, done);
      hash.update(piece);
      done += piece.length;
      onProgress?.(done, total);
    }
    if (total !== undefined && done < total) {
      throw new RemoteError("truncated", `only ${done} of ${total} bytes came`, {
        hint: "the same command goes on from there",
      });
    }
  }
  const found = hash.digest("hex") as Sha256;
  if (sha256 !== undefined && found !== sha256) {
    throw new RemoteError("wrong-hash", "the file is not the one that was announced", {
      why: `its SHA-256 is ${found}, announced was ${sha256}`,
    });
  }
  return { sha256: found, size: done };
}

async function anew(file: FileHandle) {
  await file.truncate(0);
  return { hash: new Bun.CryptoHasher("sha256"), done: 0 };
}

async function hashSoFar(file: FileHandle, hash: Bun.CryptoHasher): Promise<number> {
  const piece = Buffer.alloc(PIECE);
  for (let at = 0; ;) {
    const { bytesRead } = await file.read(piece, 0, piece.length, at);
    if (bytesRead === 0) return at;
    hash.update(piece.subarray(0, bytesRead));
    at += bytesRead;
  }
}

async function writeAll(file: FileHandle, piece: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < piece.length;) {
    done += (await file.write(piece, done, piece.length - done, at + done)).bytesWritten;
  }
}

/** RFC 9110 section 14.4. */
function continuesAt(response: Response, offset: number): boolean {
  const [, start] = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "") ?? [];
  return response.status === 206 && Number(start) === offset;
}

function announcedSize(response: Response, done: number): number | undefined {
  const text = response.headers.get("content-length");
  return text !== null && /^\d{1,15}$/.test(text) ? done + Number(text) : undefined;
}

/** Whether a file can be written there: found out before anything is asked for. */
export async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}
