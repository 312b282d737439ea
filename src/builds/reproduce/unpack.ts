/** Takes one compression off: gzip and zstd by the runtime, xz and bzip2 by their programs, where they are installed. */
import { fieldsOf } from "../../image/source.ts";
import { ArchiveError, type MemberFacts, UNPACKED_MAX, tooLarge } from "./archive-member.ts";

export interface Unpacked {
  readonly plain: Uint8Array;
  readonly about: MemberFacts;
}

/** Those that are known, by their first bytes. */
const KINDS = [
  { kind: "gzip", magic: [0x1f, 0x8b] },
  { kind: "zstd", magic: [0x28, 0xb5, 0x2f, 0xfd] },
  { kind: "xz", magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] },
  { kind: "bzip2", magic: [0x42, 0x5a, 0x68] },
] as const;

const LIMIT_MS = 60_000;

/** Undefined for what isn't compressed. Throws ArchiveError. */
export async function unpack(bytes: Uint8Array): Promise<Unpacked | undefined> {
  const found = KINDS.find(({ magic }) => magic.every((byte, i) => bytes[i] === byte));
  if (found === undefined) return undefined;
  const { kind } = found;
  if (kind === "gzip") return { plain: await unpackHere(bytes, kind), about: gzipFacts(bytes) };
  if (kind === "zstd") return { plain: await unpackHere(bytes, kind), about: {} };
  return { plain: await unpackBy(kind, bytes), about: {} };
}

/** RFC 1952, 2.3: the time of the file and its name stand in the header. */
function gzipFacts(bytes: Uint8Array): MemberFacts {
  if (bytes.length < 18) return {};
  const flags = bytes[3]!;
  const seconds = fieldsOf(bytes).getUint32(4, true);
  const hasExtra = (flags & 4) !== 0;
  const from = hasExtra ? 12 + fieldsOf(bytes).getUint16(10, true) : 10;
  const to = bytes.indexOf(0, from);
  const isNamed = (flags & 8) !== 0 && to !== -1 && to - from < 1024;
  return {
    mtime: seconds === 0 ? "none" : new Date(seconds * 1000).toISOString(),
    name: isNamed ? Buffer.from(bytes.subarray(from, to)).toString("latin1") : "none",
    level: bytes[8]!,
  };
}

async function unpackHere(bytes: Uint8Array, kind: "gzip" | "zstd"): Promise<Uint8Array> {
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>])
    .stream()
    .pipeThrough(new DecompressionStream(kind) as unknown as ReadableWritablePair<Uint8Array, Uint8Array>);
  try {
    return await bounded(stream);
  } catch (error) {
    if (error instanceof ArchiveError) throw error;
    throw damaged(error instanceof Error ? error.message : String(error), error);
  }
}

async function unpackBy(program: "xz" | "bzip2", bytes: Uint8Array): Promise<Uint8Array> {
  const path = Bun.which(program);
  if (path === null) {
    throw new ArchiveError("no-program", `${program} isn't installed, so this archive isn't looked into`, {
      hint: `sudo apt-get install ${program === "xz" ? "xz-utils" : program}`,
    });
  }
  const child = Bun.spawn([path, "--decompress", "--stdout"], {
    ...{ stdin: bytes, stdout: "pipe", stderr: "ignore", timeout: LIMIT_MS, killSignal: "SIGKILL" },
  });
  try {
    const plain = await bounded(child.stdout);
    if ((await child.exited) !== 0) throw damaged(`${program} can't read it`);
    return plain;
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
}

async function bounded(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of stream) {
    size += part.length;
    if (size > UNPACKED_MAX) throw tooLarge();
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function damaged(why: string, cause?: unknown): ArchiveError {
  return new ArchiveError("bad-archive", "this archive can't be unpacked", { why, cause });
}
