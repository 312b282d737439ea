/** The members of an ar archive, as far as deb(5) needs them. Pure but for reading what is asked for. */
import { DebianError } from "./debian-error.ts";

const MAGIC = "!<arch>\n";
const HEADER = 60;
/** A package has three members; some carry a signature or two. */
const MOST = 16;

export interface ArMember {
  readonly name: string;
  /** Where its bytes begin. */
  readonly offset: number;
  readonly size: number;
}

/** Lists the members. `read` answers the bytes from there on, fewer at the end. Throws DebianError. */
export async function listMembers(
  size: number,
  read: (offset: number, length: number) => Promise<Uint8Array>,
): Promise<ArMember[]> {
  if (text(await read(0, MAGIC.length)) !== MAGIC) throw bad("it is no ar archive");
  const members: ArMember[] = [];
  for (let at = MAGIC.length; at < size;) {
    const header = text(await read(at, HEADER));
    const [, name, length] = /^(.{16}).{32}(\d+) *`\n$/s.exec(header) ?? [];
    if (name === undefined || header.length !== HEADER) throw bad("the header of a member is broken");
    const member = { name: name.trimEnd().replace(/\/$/, ""), offset: at + HEADER, size: Number(length) };
    if (member.offset + member.size > size) throw bad(`${member.name} goes beyond the end`);
    members.push(member);
    if (members.length > MOST) throw bad("it has more members than a package can have");
    // Members begin at even places.
    at = member.offset + member.size + (member.size % 2);
  }
  return members;
}

/** What stands before a member's bytes. */
export function memberHeader(name: string, size: number): Uint8Array {
  const fields = [name.padEnd(16), "0".padEnd(12), "0".padEnd(6), "0".padEnd(6), "100644".padEnd(8)];
  return Buffer.from(`${fields.join("")}${String(size).padEnd(10)}\`\n`, "latin1");
}

export const ARCHIVE_MAGIC: Uint8Array = Buffer.from(MAGIC, "latin1");

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

function bad(why: string): DebianError {
  return new DebianError("not-a-package", "this is no Debian package", { why });
}
