/**
 * A build's package as it is published: its own bytes but for the control member, which has the new version. Only that
 * member is unpacked; the rest is read once for the hash, and passed on as it is.
 */
import { MIB } from "../../lib/units.ts";
import type { BuildSummary, Content, ContentStore, Sha256 } from "../api.ts";
import { ARCHIVE_MAGIC, type ArMember, listMembers, memberHeader } from "./ar.ts";
import { type Control, packageStanza, publishedVersion, readControl, withVersion } from "./control-text.ts";
import { findControl, unpack } from "./control-tar.ts";
import { DebianError } from "./debian-error.ts";

/** Packed. */
const LARGEST_CONTROL = 8 * MIB;

export interface PublishedPackage {
  readonly control: Control;
  readonly version: string;
  /** `hello_1.2.3-0-g0000000-…_amd64.deb` */
  readonly filename: string;
  readonly size: number;
  readonly sha256: Sha256;
  /** Its lines in the list of packages. `folder`: where its file is. */
  readonly stanza: (folder: string) => string;
  /** False once its build was removed and collected. */
  readonly isThere: () => boolean;
  readonly read: () => ReadableStream<Uint8Array>;
}

/** Throws DebianError for what can't be published. `builtAt`: milliseconds since 1970. */
export async function publishPackage(
  contents: ContentStore,
  content: Content,
  builtAt: BuildSummary["startedAt"],
): Promise<PublishedPackage> {
  const read = (offset: number, length: number) => readRange(contents, content, offset, length);
  const [format, member, ...others] = await listMembers(content.size, read);
  const isPackage = format?.name === "debian-binary" && member?.name.startsWith("control.tar") === true;
  if (!isPackage || others.length === 0) throw notAPackage();
  if (member.size > LARGEST_CONTROL)
    throw new DebianError("too-large", "the package's control member is too large");
  const file = findControl(await unpack(member.name, await read(member.offset, member.size)));
  const original = readControl(file.text);
  const version = publishedVersion(original.version, builtAt, content.sha256);
  const text = withVersion(file.text, version);
  const head = await newHead(read, format, file.replaced(text));
  // From the first header behind the control member on nothing changes.
  const rest = { start: member.offset + member.size + (member.size % 2), end: content.size };
  const pieces = async function* () {
    yield head;
    yield* contents.read(content, rest);
  };
  const hash = new Bun.CryptoHasher("sha256");
  for await (const piece of pieces()) hash.update(piece);
  const control = { ...original, version };
  const filename = `${control.name}_${version}_${control.architecture}.deb`;
  const size = head.length + rest.end - rest.start;
  const sha256 = hash.digest("hex") as Sha256;
  return {
    ...{ control, version, filename, size, sha256 },
    stanza: (folder) => packageStanza(text, { filename: `${folder}/${filename}`, size, sha256 }),
    isThere: () => contents.byId(content.id) !== undefined,
    read: () => toStream(pieces()),
  };
}

async function newHead(
  read: (offset: number, length: number) => Promise<Uint8Array>,
  format: ArMember,
  control: Uint8Array,
): Promise<Uint8Array> {
  if (format.size > 64) throw notAPackage();
  const version = await read(format.offset, format.size);
  if (!Buffer.from(version).toString("latin1").startsWith("2.")) throw notAPackage();
  return Buffer.concat([
    ARCHIVE_MAGIC,
    ...member("debian-binary", version),
    ...member("control.tar.gz", control),
  ]);
}

function member(name: string, bytes: Uint8Array): Uint8Array[] {
  return [memberHeader(name, bytes.length), bytes, ...(bytes.length % 2 === 1 ? [Buffer.from("\n")] : [])];
}

async function readRange(
  contents: ContentStore,
  content: Content,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const end = Math.min(content.size, offset + length);
  if (offset >= end) return new Uint8Array(0);
  const pieces: Uint8Array[] = [];
  for await (const piece of contents.read(content, { start: offset, end })) pieces.push(piece.slice());
  return Buffer.concat(pieces);
}

function toStream(pieces: AsyncGenerator<Uint8Array, void>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await pieces.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    cancel: async () => void (await pieces.return()),
  });
}

function notAPackage(): DebianError {
  return new DebianError("not-a-package", "this is no Debian package", {
    why: "a package begins with debian-binary, control.tar and data.tar",
  });
}
