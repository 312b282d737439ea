/**
 * The members of ar, tar and zip archives, plain or compressed, and what a compressed file holds, so that a package that
 * differs can be explained by the file in it that does. Sizes are bounded: an archive comes out of a build that is not
 * trusted.
 */
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { extract } from "tar-stream";
import {
  ArchiveError,
  MEMBERS_MAX,
  type Member,
  type MemberFacts,
  member,
  tooLarge,
} from "./archive-member.ts";
import { unpack } from "./unpack.ts";
import { isZip, readZip } from "./zip-members.ts";

export interface Archive {
  readonly members: readonly Member[];
  /** What the packing says beside the members: of gzip its time and name. */
  readonly about: MemberFacts;
}

/** By what the first bytes say; undefined for what is no archive. Throws ArchiveError. */
export async function readArchive(bytes: Uint8Array): Promise<Archive | undefined> {
  if (startsWith(bytes, "!<arch>\n")) return { members: readAr(bytes), about: {} };
  if (isZip(bytes)) return { members: readZip(bytes), about: {} };
  if (isTar(bytes)) return { members: await readTar(bytes), about: {} };
  const unpacked = await unpack(bytes);
  if (unpacked === undefined) return undefined;
  const { plain, about } = unpacked;
  return { members: isTar(plain) ? await readTar(plain) : [member("contents", plain, {})], about };
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
    members.push(
      member(head.slice(0, 16).trim().replace(/\/$/, ""), content, {
        mtime: instant(head.slice(16, 28).trim()),
        uid: head.slice(28, 34).trim(),
        gid: head.slice(34, 40).trim(),
        mode: head.slice(40, 48).trim(),
      }),
    );
    at += 60 + size + (size % 2);
  }
  return members;
}

/** Seconds since 1970, for people. */
function instant(seconds: string): string {
  const time = new Date(Number(seconds) * 1000);
  return /^\d+$/.test(seconds) && !Number.isNaN(time.getTime()) ? time.toISOString() : seconds;
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
      members.push(
        member(name, content, {
          mode: (mode ?? 0).toString(8),
          mtime: mtime === undefined ? "" : mtime.toISOString(),
          ...{ uid: uid ?? 0, gid: gid ?? 0, type: type ?? "file", link: linkname ?? "" },
        }),
      );
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
