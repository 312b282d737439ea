/** The members of a zip archive, by its central directory (PKWARE's APPNOTE, 4.3): without encryption, parts and ZIP64. */
import { inflateRawSync } from "node:zlib";
import { fieldsOf } from "../../image/source.ts";
import { ArchiveError, MEMBERS_MAX, type Member, UNPACKED_MAX, member, tooLarge } from "./archive-member.ts";

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
/** The end's record, and the longest comment behind it. */
const END_SIZE = 22;
const END_MAX = END_SIZE + 0xffff;
const METHODS = { stored: 0, deflated: 8 } as const;
const IS_ENCRYPTED = 1;

/** By the first bytes; an empty archive is its end alone. */
export function isZip(bytes: Uint8Array): boolean {
  if (bytes.length < END_SIZE) return false;
  const first = fieldsOf(bytes).getUint32(0, true);
  return first === LOCAL || first === END;
}

/** Throws ArchiveError. */
export function readZip(bytes: Uint8Array): Member[] {
  const view = fieldsOf(bytes);
  const end = findEnd(bytes);
  const count = view.getUint16(end + 10, true);
  if (count > MEMBERS_MAX) throw tooLarge();
  const members: Member[] = [];
  let room = UNPACKED_MAX;
  for (let at = view.getUint32(end + 16, true), i = 0; i < count; i++) {
    if (at + 46 > end || view.getUint32(at, true) !== CENTRAL) throw damaged("its directory is cut off");
    const [nameSize, extraSize, commentSize] = [28, 30, 32].map((field) => view.getUint16(at + field, true));
    const name = Buffer.from(bytes.subarray(at + 46, at + 46 + nameSize!)).toString("utf8");
    const content = contentAt(bytes, view, at, room);
    room -= content.length;
    members.push(
      member(name, content, {
        mtime: dosTime(view.getUint16(at + 14, true), view.getUint16(at + 12, true)),
        method: view.getUint16(at + 10, true),
        mode: (view.getUint32(at + 38, true) >>> 16).toString(8),
        system: view.getUint8(at + 5),
      }),
    );
    at += 46 + nameSize! + extraSize! + commentSize!;
  }
  return members;
}

function findEnd(bytes: Uint8Array): number {
  const view = fieldsOf(bytes);
  const least = Math.max(0, bytes.length - END_MAX);
  for (let at = bytes.length - END_SIZE; at >= least; at--) {
    if (view.getUint32(at, true) === END) return at;
  }
  throw damaged("it has no end");
}

function contentAt(bytes: Uint8Array, view: DataView, entry: number, room: number): Uint8Array {
  const flags = view.getUint16(entry + 8, true);
  const method = view.getUint16(entry + 10, true);
  const [packedSize, size] = [view.getUint32(entry + 20, true), view.getUint32(entry + 24, true)];
  const local = view.getUint32(entry + 42, true);
  if (size > room) throw tooLarge();
  if (local + 30 > bytes.length || view.getUint32(local, true) !== LOCAL)
    throw damaged("a member is missing");
  const from = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
  const packed = bytes.subarray(from, from + packedSize);
  if (packed.length < packedSize) throw damaged("a member is cut off");
  // What can't be read is compared as it is.
  if (method !== METHODS.deflated || (flags & IS_ENCRYPTED) !== 0) return packed;
  try {
    return new Uint8Array(inflateRawSync(packed, { maxOutputLength: Math.max(1, size) }));
  } catch (error) {
    throw damaged("a member can't be unpacked", error);
  }
}

/** Local time of whoever packed it, to two seconds. */
function dosTime(date: number, time: number): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${1980 + (date >> 9)}-${two((date >> 5) & 15)}-${two(date & 31)}`;
  return `${day} ${two(time >> 11)}:${two((time >> 5) & 63)}:${two((time & 31) * 2)}`;
}

function damaged(why: string, cause?: unknown): ArchiveError {
  return new ArchiveError("bad-archive", "this zip archive is damaged", { why, cause });
}
