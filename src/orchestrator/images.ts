/**
 * Images, by their SHA-256, in the database: pieces of 1 MiB, each compressed. An upload is streamed into rows that
 * belong to no image; only when all of it is there, and is a unikernel that this machine can run, do they become one.
 * For a start the pieces are put together in a file in memory; the last few of those are kept.
 */
import type { Database } from "bun:sqlite";
import { write } from "../db/open.ts";
import { ImageError } from "../image/image-error.ts";
import { devicesOf } from "../image/manifest.ts";
import { type Unikernel, checkTarget, readUnikernel } from "../image/unikernel.ts";
import { MIB } from "../lib/units.ts";
import { O_CLOEXEC, O_RDONLY, OsError, close, memoryFile, open, pwriteFrom } from "../linux/libc.ts";
import { type OpenImage, descriptorSource } from "../tender/image-file.ts";
import type { ImageView, Outcome, Sha256, UnikernelName } from "./api.ts";

const PIECE = MIB;
/** Larger than any unikernel, smaller than a mistake. */
const LARGEST = 512 * MIB;
/** One that nobody uses stays for so long, so that it can be put first and used then. */
const UNUSED_MS = 60 * 60_000;
/** What is kept ready for the next start, in bytes. */
const READY_MAX = 64 * MIB;
const ZSTD_LEVEL = 3;

interface ImageRow {
  sha256: string;
  size: number;
  target: "hvt" | "spt";
  abi_version: number;
  devices: string;
  created_at: number;
}

interface Ready {
  readonly fd: number;
  readonly size: number;
  readonly unikernel: Unikernel;
  /** Starts that use it just now. */
  users: number;
  isDropped: boolean;
}

/** An image in memory for one start. */
export interface BorrowedImage extends Disposable {
  readonly fd: number;
  readonly unikernel: Unikernel;
  /** The image under a name of the caller's. */
  open(path: string): OpenImage;
}

export class ImageStore implements Disposable {
  readonly #db: Database;
  readonly #ready = new Map<Sha256, Ready>();
  readonly #now: () => number;

  /** Drops what uploads of a former server left. */
  constructor(db: Database, now: () => number = Date.now) {
    this.#db = db;
    this.#now = now;
    write(db, () => db.run("DELETE FROM image_chunk WHERE sha256 IS NULL"));
  }

  /** Keeps an image. Refuses bad-image. Throws DatabaseError, and what the stream throws. */
  async put(bytes: ReadableStream<Uint8Array> | Uint8Array): Promise<Outcome<ImageView>> {
    const upload = crypto.randomUUID();
    const hash = new Bun.CryptoHasher("sha256");
    const fd = memoryFile("image", new Uint8Array(0));
    let [size, number, kept] = [0, 0, false];
    try {
      for await (const piece of pieces(bytes)) {
        hash.update(piece);
        putIntoFile(fd, piece, size);
        size += piece.length;
        if (size > LARGEST) return badImage(`it is larger than ${LARGEST / MIB} MiB`);
        const content = await Bun.zstdCompress(piece, { level: ZSTD_LEVEL });
        const row = number++;
        write(this.#db, () =>
          this.#db
            .query<unknown, (string | number | Uint8Array)[]>(
              "INSERT INTO image_chunk (upload, number, content) VALUES (?, ?, ?)",
            )
            .run(upload, row, content),
        );
      }
      const unikernel = readUnikernel(descriptorSource(fd, size));
      checkTarget(unikernel, unikernel.abi.target === "spt" ? "spt" : "hvt");
      const sha256 = hash.digest("hex") as Sha256;
      this.#finish(sha256, size, unikernel, upload);
      kept = true;
      return this.inspect(sha256);
    } catch (error) {
      if (error instanceof ImageError) {
        return badImage(
          error.why === undefined ? error.message : `${error.message}: ${error.why}`,
          error.hint,
        );
      }
      throw error;
    } finally {
      close(fd);
      if (!kept) write(this.#db, () => this.#dropUpload(upload));
    }
  }

  #finish(sha256: Sha256, size: number, { abi, manifest }: Unikernel, upload: string): void {
    const devices = devicesOf(manifest).map(({ device: { name, type } }) => ({
      name,
      type: type === "BLOCK_BASIC" ? "block" : "net",
    }));
    write(this.#db, () => {
      this.#db
        .query<unknown, (string | number)[]>(
          `INSERT INTO image (sha256, size, target, abi_version, devices, created_at) VALUES (?, ?, ?, ?, ?, ?)
           ON CONFLICT (sha256) DO UPDATE SET created_at = excluded.created_at`,
        )
        .run(sha256, size, abi.target, abi.version, JSON.stringify(devices), this.#now());
      const isKnown =
        this.#db.query("SELECT 1 FROM image_chunk WHERE sha256 = ? LIMIT 1").get(sha256) !== null;
      if (isKnown) this.#dropUpload(upload);
      else {
        this.#db.query("UPDATE image_chunk SET sha256 = ? WHERE upload = ?").run(sha256, upload);
      }
    });
  }

  #dropUpload(upload: string): void {
    this.#db.query("DELETE FROM image_chunk WHERE upload = ? AND sha256 IS NULL").run(upload);
  }

  has(sha256: Sha256): boolean {
    return this.#db.query("SELECT 1 FROM image WHERE sha256 = ?").get(sha256) !== null;
  }

  inspect(sha256: Sha256): Outcome<ImageView> {
    const row = this.#db.query<ImageRow, [string]>("SELECT * FROM image WHERE sha256 = ?").get(sha256);
    return row === null ? missing(sha256) : { ok: true, value: this.#view(row) };
  }

  list(): ImageView[] {
    const rows = this.#db.query<ImageRow, []>("SELECT * FROM image ORDER BY created_at, sha256").all();
    return rows.map((row) => this.#view(row));
  }

  #view(row: ImageRow): ImageView {
    const users = this.#db
      .query<{ name: string }, [string]>("SELECT name FROM unikernel WHERE image = ? ORDER BY name")
      .all(row.sha256);
    return {
      sha256: row.sha256 as Sha256,
      size: row.size,
      target: row.target,
      abiVersion: row.abi_version,
      devices: JSON.parse(row.devices) as ImageView["devices"],
      createdAt: row.created_at,
      usedBy: users.map(({ name }) => name as UnikernelName),
    };
  }

  /** The bytes, a piece at a time. */
  read(sha256: Sha256): Outcome<ReadableStream<Uint8Array>> {
    if (!this.has(sha256)) return missing(sha256);
    const piecesOf = this.#pieces(sha256);
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        const next = piecesOf.next();
        if (next.done === true) controller.close();
        else controller.enqueue(next.value);
      },
    });
    return { ok: true, value: stream };
  }

  *#pieces(sha256: Sha256): Generator<Uint8Array> {
    const query = this.#db.query<{ content: Uint8Array }, [string, number]>(
      "SELECT content FROM image_chunk WHERE sha256 = ? AND number = ?",
    );
    for (let number = 0; ; number++) {
      const row = query.get(sha256, number);
      if (row === null) return;
      yield Bun.zstdDecompressSync(row.content);
    }
  }

  /** The image in memory, until the answer is disposed of. Undefined when there is no such image. */
  borrow(sha256: Sha256): BorrowedImage | undefined {
    const ready = this.#ready.get(sha256) ?? this.#load(sha256);
    if (ready === undefined) return undefined;
    // The most recently used is the last in the map.
    this.#ready.delete(sha256);
    this.#ready.set(sha256, ready);
    ready.users += 1;
    this.#trim();
    let isOver = false;
    return {
      fd: ready.fd,
      unikernel: ready.unikernel,
      open: (path) => ({
        path,
        fd: ready.fd,
        source: descriptorSource(ready.fd, ready.size),
        close: () => undefined,
      }),
      [Symbol.dispose]: () => {
        if (isOver) return;
        isOver = true;
        ready.users -= 1;
        if (ready.isDropped && ready.users === 0) close(ready.fd);
      },
    };
  }

  #load(sha256: Sha256): Ready | undefined {
    if (!this.has(sha256)) return undefined;
    const writer = memoryFile(`image ${sha256.slice(0, 12)}`, new Uint8Array(0));
    try {
      let size = 0;
      for (const piece of this.#pieces(sha256)) {
        putIntoFile(writer, piece, size);
        size += piece.length;
      }
      // Tenders get this descriptor, and all that use the image get the same: none of them may write to it.
      const fd = open(`/proc/self/fd/${writer}`, O_RDONLY | O_CLOEXEC);
      if (fd < 0) throw new OsError("opening an image in memory", -fd);
      return { fd, size, unikernel: readUnikernel(descriptorSource(fd, size)), users: 0, isDropped: false };
    } finally {
      close(writer);
    }
  }

  #trim(): void {
    let total = [...this.#ready.values()].reduce((sum, { size }) => sum + size, 0);
    for (const [sha256, ready] of this.#ready) {
      if (total <= READY_MAX || this.#ready.size === 1) return;
      total -= ready.size;
      this.#drop(sha256, ready);
    }
  }

  #drop(sha256: Sha256, ready: Ready): void {
    this.#ready.delete(sha256);
    ready.isDropped = true;
    if (ready.users === 0) close(ready.fd);
  }

  /** Forgets images that no unikernel has used for an hour. Answers their hashes. */
  collect(): Sha256[] {
    const rows = write(this.#db, () =>
      this.#db
        .query<{ sha256: string }, [number]>(
          `DELETE FROM image WHERE created_at < ?
             AND NOT EXISTS (SELECT 1 FROM unikernel WHERE unikernel.image = image.sha256) RETURNING sha256`,
        )
        .all(this.#now() - UNUSED_MS),
    );
    const gone = rows.map(({ sha256 }) => sha256 as Sha256);
    for (const sha256 of gone) {
      const ready = this.#ready.get(sha256);
      if (ready !== undefined) this.#drop(sha256, ready);
    }
    return gone;
  }

  [Symbol.dispose](): void {
    for (const [sha256, ready] of this.#ready) this.#drop(sha256, ready);
  }
}

/** A stream in pieces of exactly PIECE bytes, the last one smaller. */
async function* pieces(bytes: ReadableStream<Uint8Array> | Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes instanceof Uint8Array) {
    for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE);
    return;
  }
  let piece = new Uint8Array(PIECE);
  let filled = 0;
  const reader = bytes.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      for (let at = 0; at < value.length;) {
        const count = Math.min(PIECE - filled, value.length - at);
        piece.set(value.subarray(at, at + count), filled);
        filled += count;
        at += count;
        if (filled < PIECE) continue;
        yield piece;
        piece = new Uint8Array(PIECE);
        filled = 0;
      }
    }
  } finally {
    reader.releaseLock();
  }
  if (filled > 0) yield piece.subarray(0, filled);
}

function putIntoFile(fd: number, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length;) {
    const count = pwriteFrom(fd, bytes.subarray(done), bytes.length - done, offset + done);
    if (count < 0) throw new OsError("putting an image into memory", -count);
    done += count;
  }
}

function badImage(why: string, hint?: string): Outcome<never> {
  const message = `the image can't be used: ${why}`;
  return {
    ok: false,
    refusal: { code: "bad-image", message, ...(hint === undefined ? {} : { hint }) },
  };
}

function missing(sha256: Sha256): Outcome<never> {
  return { ok: false, refusal: { code: "image-missing", message: `there is no image ${sha256}` } };
}
