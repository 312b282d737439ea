/**
 * Uploads in parts. The chunks of what came are in the database, below a content without a SHA-256 that the upload's
 * row refers to; its offset is where they end. While parts keep coming the content's state stays in memory; after a
 * restart, or a long pause, what is there is read once more, for its SHA-256 and to cut on where the cutting ended.
 */
import { write } from "../../db/open.ts";
import { GIB } from "../../lib/units.ts";
import { UPLOAD_MS } from "../collection/collect.ts";
import { readStored } from "../contents/content-reader.ts";
import { finishContent, insertUnfinished } from "../contents/content-rows.ts";
import type { OpenContents } from "../contents/content-store.ts";
import { GrowingContent } from "../contents/growing-content.ts";
import type { Held } from "../contents/holds.ts";
import type {
  Upload,
  UploadId,
  UploadPartOutcome,
  UploadPartRefusal,
  UploadPurpose,
  Uploads,
} from "./api.ts";
import { committedPlaces, dropPlacesFrom, endOf } from "./committed-places.ts";

/** Larger than anything that is built, smaller than a mistake. */
const LARGEST = 64 * GIB;
/** That one user may have open. */
const MOST = 64;
/** The state of an upload that nobody goes on with leaves memory after so long. */
const IDLE_MS = 60_000;

interface Row {
  id: UploadId;
  content: number;
  purpose: string;
  size: number;
  created_at: number;
  used_at: number;
  sha256: Uint8Array | null;
}

interface Live {
  readonly growing: GrowingContent;
  readonly held: Held;
  idle: ReturnType<typeof setTimeout> | undefined;
}

/** A part that comes just now. */
interface Coming {
  readonly end: AbortController;
  readonly done: Promise<unknown>;
}

export function openUploads(contents: OpenContents): Uploads {
  return new StoredUploads(contents);
}

class StoredUploads implements Uploads {
  readonly #contents: OpenContents;
  readonly #live = new Map<UploadId, Live>();
  readonly #coming = new Map<UploadId, Coming>();

  constructor(contents: OpenContents) {
    this.#contents = contents;
  }

  create(who: string, purpose: UploadPurpose, size: number): UploadPartOutcome {
    if (!Number.isSafeInteger(size) || size < 0 || size > LARGEST) {
      return refuse("too-large", `an upload has at most ${LARGEST} bytes, not ${size}`);
    }
    const { db, now } = this.#contents;
    const { count } = db
      .query<{ count: number }, [string]>("SELECT count(*) AS count FROM upload WHERE who = ?")
      .get(who)!;
    if (count >= MOST) {
      return refuse("too-many", `${count} uploads aren't finished: go on with one, or remove it`);
    }
    const id = Buffer.from(crypto.getRandomValues(new Uint8Array(16))).toString("hex") as UploadId;
    write(db, () => {
      const content = insertUnfinished(db, now());
      db.query(
        "INSERT INTO upload (id, content, purpose, who, size, created_at, used_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
      ).run(id, content, JSON.stringify(purpose), who, size, now(), now());
    });
    return { ok: true, upload: this.find(who, id)!, content: undefined };
  }

  find(who: string, id: UploadId): Upload | undefined {
    const row = this.#row(who, id);
    return row === undefined ? undefined : viewOf(row, this.#offset(row));
  }

  async append(
    who: string,
    id: UploadId,
    offset: number,
    body: ReadableStream<Uint8Array> | null,
  ): Promise<UploadPartOutcome> {
    const end = new AbortController();
    const before = this.#coming.get(id);
    if (before !== undefined && this.#row(who, id) !== undefined) before.end.abort();
    const done = (before?.done ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => this.#append(who, id, offset, body, end.signal));
    const coming: Coming = { end, done };
    this.#coming.set(id, coming);
    try {
      return await done;
    } finally {
      if (this.#coming.get(id) === coming) this.#coming.delete(id);
    }
  }

  async #append(
    who: string,
    id: UploadId,
    offset: number,
    body: ReadableStream<Uint8Array> | null,
    signal: AbortSignal,
  ): Promise<UploadPartOutcome> {
    const row = this.#row(who, id);
    if (row === undefined) return refuse("missing", `there is no upload ${id}`);
    const right = this.#offset(row);
    if (offset !== right) {
      return {
        ok: false,
        refusal: { code: "wrong-offset", message: `${right} bytes are there, not ${offset}`, offset: right },
      };
    }
    if (row.sha256 !== null) return this.#whole(who, row);
    const live = await this.#resume(row);
    const refusal = await this.#take(row, live, body, signal);
    if (refusal !== undefined) return { ok: false, refusal };
    if (live.growing.size === row.size) {
      await this.#finish(row, live);
      return this.#whole(who, this.#row(who, id)!);
    }
    return { ok: true, upload: viewOf(this.#row(who, id)!, live.growing.size), content: undefined };
  }

  /** Writes a part down. What came is committed, also when the line breaks. */
  async #take(
    row: Row,
    live: Live,
    body: ReadableStream<Uint8Array> | null,
    signal: AbortSignal,
  ): Promise<UploadPartRefusal | undefined> {
    const reader = body?.getReader();
    const cancel = () => void reader?.cancel().catch(() => undefined);
    signal.addEventListener("abort", cancel);
    try {
      for (;;) {
        const { done, value } = (await reader?.read()) ?? { done: true };
        if (done || value === undefined) break;
        if (live.growing.size + value.length > row.size) {
          cancel();
          const message = `more came than the ${row.size} bytes that were announced`;
          return { code: "too-large", message };
        }
        await live.growing.write(value);
      }
      if (!signal.aborted) return undefined;
      return { code: "superseded", message: "another part of this upload came meanwhile" };
    } finally {
      signal.removeEventListener("abort", cancel);
      await this.#commit(row.id, live);
    }
  }

  async #commit(id: UploadId, live: Live): Promise<void> {
    const { db, now } = this.#contents;
    try {
      await live.growing.commit();
      write(db, () => db.query("UPDATE upload SET used_at = ? WHERE id = ?").run(now(), id));
      this.#rest(id, live);
    } catch (error) {
      this.#forget(id);
      throw error;
    }
  }

  async #finish(row: Row, { growing }: Live): Promise<void> {
    const { db, now } = this.#contents;
    const whole = { ...(await growing.commit()), now: now() };
    write(db, () => {
      const known = this.#contents.find(whole.sha256);
      // The row must not go with the content that it was.
      if (known !== undefined) db.query("UPDATE upload SET content = ? WHERE id = ?").run(known.id, row.id);
      finishContent(db, row.content, whole);
    });
    this.#forget(row.id);
  }

  #whole(who: string, row: Row): UploadPartOutcome {
    const content = this.#contents.byId(row.content);
    if (content === undefined) return refuse("missing", `there is no upload ${row.id}`);
    return { ok: true, upload: this.find(who, row.id)!, content };
  }

  async remove(who: string, id: UploadId): Promise<boolean> {
    if (this.#row(who, id) === undefined) return false;
    const coming = this.#coming.get(id);
    coming?.end.abort();
    await coming?.done.catch(() => undefined);
    const row = this.#row(who, id);
    if (row === undefined) return false;
    this.#forget(id);
    const { db } = this.#contents;
    return write(db, () => {
      const { changes } = db.query("DELETE FROM upload WHERE id = ?").run(id);
      db.query("DELETE FROM content WHERE id = ? AND sha256 IS NULL").run(row.content);
      return changes > 0;
    });
  }

  #row(who: string, id: UploadId): Row | undefined {
    const row = this.#contents.db
      .query<Row, [string, string]>(
        `SELECT upload.id, upload.content, purpose, upload.size, upload.created_at, used_at, sha256
         FROM upload JOIN content ON content.id = upload.content WHERE upload.id = ? AND who = ?`,
      )
      .get(id, who);
    return row ?? undefined;
  }

  #offset(row: Row): number {
    if (row.sha256 !== null) return row.size;
    return endOf(committedPlaces(this.#contents.db, row.content));
  }

  /** The content's state, from memory or made again. */
  async #resume(row: Row): Promise<Live> {
    const known = this.#live.get(row.id);
    if (known !== undefined) {
      clearTimeout(known.idle);
      return known;
    }
    const { db, holds } = this.#contents;
    const places = committedPlaces(db, row.content);
    const end = endOf(places);
    dropPlacesFrom(db, row.content, end);
    const last = places.at(-1)?.offset ?? 0;
    const growing = new GrowingContent(this.#contents, row.content, {
      offset: last,
      count: Math.max(0, places.length - 1),
    });
    const held = holds.open();
    held.add(row.content);
    const live: Live = { growing, held, idle: undefined };
    this.#live.set(row.id, live);
    try {
      // The last chunk may be the end of a part, and no end of a chunk: it is cut once more, with what follows.
      for await (const { offset, bytes } of readStored(db, row.content, end)) {
        if (offset < last) await growing.skip(bytes);
        else await growing.write(bytes);
      }
    } catch (error) {
      this.#forget(row.id);
      throw error;
    }
    return live;
  }

  #rest(id: UploadId, live: Live): void {
    clearTimeout(live.idle);
    live.idle = setTimeout(() => {
      if (!this.#coming.has(id)) this.#forget(id);
    }, IDLE_MS);
    live.idle.unref();
  }

  #forget(id: UploadId): void {
    const live = this.#live.get(id);
    if (live === undefined) return;
    clearTimeout(live.idle);
    live.growing[Symbol.dispose]();
    live.held[Symbol.dispose]();
    this.#live.delete(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { end } of this.#coming.values()) end.abort();
    await Promise.allSettled([...this.#coming.values()].map(({ done }) => done));
    for (const id of this.#live.keys()) this.#forget(id);
  }
}

function viewOf({ id, purpose, size, created_at, used_at }: Row, offset: number): Upload {
  return {
    ...{ id, size, offset },
    purpose: JSON.parse(purpose) as UploadPurpose,
    createdAt: created_at,
    expiresAt: used_at + UPLOAD_MS,
  };
}

function refuse(code: UploadPartRefusal["code"], message: string): UploadPartOutcome {
  return { ok: false, refusal: { code, message } };
}
