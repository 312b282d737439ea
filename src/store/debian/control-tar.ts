/** The control member of a package: unpacked, its version changed, and packed again. */
import { gunzipSync, gzipSync, zstdDecompressSync } from "node:zlib";
import { MIB } from "../../lib/units.ts";
import { DebianError } from "./debian-error.ts";

/** Unpacked; a control member is a few kilobytes. */
const LARGEST = 32 * MIB;
const BLOCK = 512;

/** Throws DebianError program-missing for .xz where there is no xz, not-a-package for bytes that aren't packed so. */
export async function unpack(name: string, bytes: Uint8Array): Promise<Uint8Array> {
  try {
    switch (name) {
      case "control.tar":
        return bytes;
      case "control.tar.gz":
        return gunzipSync(bytes, { maxOutputLength: LARGEST });
      case "control.tar.zst":
        return zstdDecompressSync(bytes, { maxOutputLength: LARGEST });
      case "control.tar.xz":
        return await unpackXz(bytes);
      default:
        throw new DebianError("not-a-package", `nobody knows how ${name} is packed`);
    }
  } catch (error) {
    if (error instanceof DebianError) throw error;
    throw new DebianError("not-a-package", `${name} can't be unpacked`, {
      why: error instanceof Error ? error.message : String(error),
      cause: error,
    });
  }
}

async function unpackXz(bytes: Uint8Array): Promise<Uint8Array> {
  const xz = Bun.which("xz");
  if (xz === null) {
    throw new DebianError("program-missing", "control.tar.xz can't be unpacked: there is no xz", {
      hint: "apt install xz-utils",
    });
  }
  const child = Bun.spawn([xz, "--decompress", "--stdout", `--memlimit-decompress=${128 * MIB}`], {
    stdin: bytes,
    stdout: "pipe",
    stderr: "ignore",
    timeout: 10_000,
    killSignal: "SIGKILL",
  });
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of child.stdout) {
    pieces.push(piece);
    size += piece.length;
    if (size > LARGEST) child.kill("SIGKILL");
  }
  if ((await child.exited) === 0 && size <= LARGEST) return Buffer.concat(pieces);
  throw new DebianError("not-a-package", "control.tar.xz can't be unpacked");
}

export interface ControlFile {
  /** As it stands there. */
  readonly text: string;
  /** The archive with another text in its place, packed: `control.tar.gz`. */
  readonly replaced: (text: string) => Uint8Array;
}

/** Finds the file `control` in an unpacked tar. Throws DebianError. */
export function findControl(tar: Uint8Array): ControlFile {
  for (let at = 0; at + BLOCK <= tar.length;) {
    const header = tar.subarray(at, at + BLOCK);
    if (header.every((byte) => byte === 0)) break;
    const name = field(header, 0, 100);
    const size = Number.parseInt(field(header, 124, 12).trim() || "0", 8);
    const start = at + BLOCK;
    const end = start + Math.ceil(size / BLOCK) * BLOCK;
    if (!Number.isSafeInteger(size) || size < 0 || start + size > tar.length) break;
    if (name === "./control" || name === "control") {
      const text = Buffer.from(tar.subarray(start, start + size)).toString("utf8");
      const [before, after] = [tar.subarray(0, at), tar.subarray(end)];
      return {
        text,
        replaced: (other) => gzipSync(Buffer.concat([before, entry(header, other), after]), { level: 9 }),
      };
    }
    at = end;
  }
  throw new DebianError("not-a-package", "the package has no control file");
}

function field(header: Uint8Array, offset: number, length: number): string {
  const bytes = Buffer.from(header.subarray(offset, offset + length)).toString("latin1");
  return bytes.split("\0", 1)[0]!;
}

/** The same entry with another content: size and checksum follow (POSIX ustar). */
function entry(header: Uint8Array, text: string): Uint8Array {
  const content = Buffer.from(text, "utf8");
  const changed = Buffer.from(header);
  changed.write(`${content.length.toString(8).padStart(11, "0")}\0`, 124, "latin1");
  changed.fill(" ", 148, 156, "latin1");
  const sum = changed.reduce((total, byte) => total + byte, 0);
  changed.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  const padding = Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK);
  return Buffer.concat([changed, content, padding]);
}
