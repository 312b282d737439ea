/**
 * The members of ar and tar archives, plain or compressed, so that a package that differs can be explained by the file
 * in it that does. Sizes are bounded: an archive comes out of a build that is not trusted.
 */
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { extract } from "tar-stream";
import type { Sha256 } from "../../lib/sha256.ts";
import { sha256Of } from "../../lib/sha256-of.ts";
import { RoburError } from "../../lib/errors.ts";

export class ArchiveError extends RoburError<"bad-archive" | "too-large"> {}

export interface Member {
  readonly name: string;
  readonly sha256: Sha256;
  /** Kept for explaining it further. */
  readonly content: Uint8Array;
  /** Mode, owner, time, link: what may differ beside the bytes. */
  readonly about: Readonly<Record<string, string | number>>;
}

/** Of everything in an archive, unpacked. */
const UNPACKED_MAX = 256 * 1024 * 1024;
const MEMBERS_MAX = 100_000;

/** By what the first bytes say; undefined for what is no archive. Throws ArchiveError. */
export async function readMembers(bytes: Uint8Array): Promise<Member[] | undefined> {
  if (startsWith(bytes, "!<arch>\n")) return readAr(bytes);
  const plain = await unpack(bytes);
  return isTar(plain) ? readTar(plain) : undefined;
}

/** gzip and zstd are taken off, anything else stays as it is. Throws ArchiveError. */
async function unpack(bytes: Uint8Array): Promise<Uint8Array> {
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const isZstd = bytes[0] === 0x28 && bytes[1] === 0xb5 && bytes[2] === 0x2f && bytes[3] === 0xfd;
  if (!isGzip && !isZstd) return bytes;
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>])
    .stream()
    .pipeThrough(
      new DecompressionStream(isGzip ? "gzip" : "zstd") as ReadableWritablePair<Uint8Array, Uint8Array>,
    );
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const part of stream) {
      size += part.length;
      if (size > UNPACKED_MAX) throw tooLarge();
      parts.push(part);
    }
  } catch (error) {
    if (error instanceof ArchiveError) throw error;
    throw new ArchiveError("bad-archive", "this archive can't be unpacked", {
      why: error instanceof Error ? error.message : String(error),
      cause: error,
    });
  }
  return Buffer.concat(parts);
}

function isTar(bytes: Uint8Array): boolean {
  return bytes.length >= 512 && startsWith(bytes.subarray(257), "ustar");
}

/** The common form of ar: a 60-byte head before each member, members begin at even places. */
function readAr(bytes: Uint8Array): Member[] {
  const members: Member[] = [];
  for (let at = 8; at + 60 <= bytes.length;) {
    const head = Buffer.from(bytes.subarray(at, at + 60)).toString("latin1");
    const size = Number(head.slice(48, 58).trim());
    if (
      head.slice(58) !== "`\n" ||
      !Number.isSafeInteger(size) ||
      size < 0 ||
      at + 60 + size > bytes.length
    ) {
      throw new ArchiveError("bad-archive", "this ar archive is damaged", { why: `its member at ${at} is` });
    }
    if (members.length >= MEMBERS_MAX) throw tooLarge();
    const content = bytes.subarray(at + 60, at + 60 + size);
    members.push({
      name: head.slice(0, 16).trim().replace(/\/$/, ""),
      sha256: sha256Of(content),
      content,
      about: {
        mtime: head.slice(16, 28).trim(),
        uid: head.slice(28, 34).trim(),
        gid: head.slice(34, 40).trim(),
        mode: head.slice(40, 48).trim(),
      },
    });
    at += 60 + size + (size % 2);
  }
  return members;
}

async function readTar(bytes: Uint8Array): Promise<Member[]> {
  const members: Member[] = [];
  const archive = extract();
  const reading = (async () => {
    for await (const entry of archive) {
      if (members.length >= MEMBERS_MAX) throw tooLarge();
      const parts: Uint8Array[] = [];
      for await (const part of entry as AsyncIterable<Uint8Array>) parts.push(part);
      const content = Buffer.concat(parts);
      const { name, mode, mtime, uid, gid, type, linkname } = entry.header;
      members.push({
        name,
        sha256: sha256Of(content),
        content,
        about: {
          mode: (mode ?? 0).toString(8),
          mtime: mtime === undefined ? "" : mtime.toISOString(),
          ...{ uid: uid ?? 0, gid: gid ?? 0, type: type ?? "file", link: linkname ?? "" },
        },
      });
    }
  })();
  try {
    await Promise.all([pipeline(Readable.from([Buffer.from(bytes)]), archive), reading]);
  } catch (error) {
    if (error instanceof ArchiveError) throw error;
    throw new ArchiveError("bad-archive", "this tar archive is damaged", {
      why: error instanceof Error ? error.message : String(error),
      cause: error,
    });
  }
  return members;
}

function startsWith(bytes: Uint8Array, text: string): boolean {
  return Buffer.from(bytes.subarray(0, text.length)).toString("latin1") === text;
}

function tooLarge(): ArchiveError {
  return new ArchiveError("too-large", "this archive is too large to look into", {
    why: `more than ${UNPACKED_MAX / 1024 / 1024} MiB or ${MEMBERS_MAX} members`,
  });
}
