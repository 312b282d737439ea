/** Contents in the database: what is kept, what is being written and what is being read. */
import type { Database } from "bun:sqlite";
import { MIB } from "../../lib/units.ts";
import { sha256Bytes, sha256Text } from "../../lib/sha256.ts";
import type { Content, ContentSession, ContentStore, Sha256 } from "../api.ts";
import { StoreError } from "../store-error.ts";
import { ChunkWorkers } from "../chunks/workers.ts";
import { Checkpoints } from "./checkpoints.ts";
import { readContent, readWhole } from "./content-reader.ts";
import { type WriterStore, openWriter } from "./content-writer.ts";
import { Holds } from "./holds.ts";
import type { Disk } from "./room.ts";

export interface ContentStoreOptions {
  /** Milliseconds since 1970. Default: the clock. */
  readonly now?: () => number;
  /** The disk that the database is on. Default: what the kernel says of it. */
  readonly disk?: () => Disk;
}

/** A content store as collection and uploads see it. */
export interface OpenContents extends ContentStore, WriterStore {}

/** What `bytes` answers at most where nobody says more. */
const SMALL = 64 * MIB;

interface ContentRow {
  id: number;
  sha256: Uint8Array;
  size: number;
}

/**
 * Opens the contents of a database. Only one process at a time may collect what is unused, and only the process that
 * collects may write: it alone knows what is held. (References are foreign keys, so a mistake here can cost a writer
 * its work, but never a content its bytes.)
 */
export function openContentStore(db: Database, options: ContentStoreOptions = {}): OpenContents {
  const now = options.now ?? Date.now;
  const holds = new Holds(now);

  const find = (sha256: Sha256): Content | undefined => {
    const row = db
      .query<ContentRow, [Uint8Array]>("SELECT id, sha256, size FROM content WHERE sha256 = ?")
      .get(sha256Bytes(sha256));
    return row === null ? undefined : contentOf(row);
  };
  const byId = (id: number): Content | undefined => {
    const row = db
      .query<ContentRow, [number]>("SELECT id, sha256, size FROM content WHERE id = ? AND sha256 IS NOT NULL")
      .get(id);
    return row === null ? undefined : contentOf(row);
  };
  const workers = new ChunkWorkers();
  const store: WriterStore = {
    db,
    holds,
    now,
    workers,
    checkpoints: new Checkpoints(db, workers, options.disk),
  };
  return {
    ...store,
    find,
    byId,
    read: (content, range) => readContent(store, content, range),
    session: () => openSession(store, find),
    async bytes(content, limit = SMALL) {
      if (content.size > limit) {
        throw new StoreError("too-large", `${content.size} bytes are more than the ${limit} that fit here`);
      }
      return await readWhole(store, content);
    },
    [Symbol.asyncDispose]: () => store.workers[Symbol.asyncDispose](),
  };
}

function openSession(store: WriterStore, find: (sha256: Sha256) => Content | undefined): ContentSession {
  const held = store.holds.open();
  const writer = () => openWriter(store, (content) => held.add(content.id));
  return {
    writer,
    async put(bytes, expected) {
      await using target = writer();
      if (bytes instanceof Uint8Array) await target.write(bytes);
      else for await (const piece of bytes) await target.write(piece);
      return await target.finish(expected);
    },
    find(sha256) {
      const content = find(sha256);
      if (content !== undefined) held.add(content.id);
      return content;
    },
    async [Symbol.asyncDispose]() {
      held[Symbol.dispose]();
    },
  };
}

function contentOf({ id, sha256, size }: ContentRow): Content {
  return { id, sha256: sha256Text(sha256), size };
}
