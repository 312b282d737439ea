/**
 * The consoles of all unikernels: where their bytes are, and when those were written. Reading goes to the file each
 * time and holds nothing, so any number of readers cost the guest nothing, and a slow one costs nobody anything.
 */
import type { Database } from "bun:sqlite";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { write } from "../../db/open.ts";
import { KIB, MIB } from "../../lib/units.ts";
import type { UnikernelId } from "../api.ts";
import type { ConsoleCursor, ConsoleItem, ConsolePage, ConsoleQuery } from "./line.ts";
import { type LogPlace, isHeld, logSize, openLogForStart, readLog, trimLog } from "./log-file.ts";
import { LONGEST_LINE, cutLines, firstWhole, itemsOf, lastLines } from "./read.ts";

/** Bytes that are looked at for one page. */
const PAGE_BYTES = 64 * KIB;
const PAGE_LINES = 1000;
/** What is kept of a console, and how much more there may be before it is trimmed. */
const KEEP = 4 * MIB;
const SLACK = MIB;
/** Times that are kept for a console; of more, every other one goes, the older half first. */
const TIMES_MAX = 4096;

interface Entry {
  place: LogPlace;
  /** The position up to which times are recorded. */
  timedTo: number;
  times: number;
}

export interface ConsoleOptions {
  /** Bytes kept of each console. */
  readonly keep?: number;
  readonly now?: () => number;
}

export class ConsoleStore {
  readonly #db: Database;
  readonly #directory: string;
  readonly #keep: number;
  readonly #now: () => number;
  readonly #entries = new Map<UnikernelId, Entry>();

  /** `directory` is made if it isn't there. */
  constructor(db: Database, directory: string, options: ConsoleOptions = {}) {
    this.#db = db;
    this.#directory = directory;
    this.#keep = options.keep ?? KEEP;
    this.#now = options.now ?? Date.now;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#readEntries();
  }

  #readEntries(): void {
    const rows = this.#db
      .query<{ unikernel: string; base: number; kept_from: number; timed: number | null; times: number }, []>(
        `SELECT c.*, (SELECT max(position) FROM console_time t WHERE t.unikernel = c.unikernel) AS timed,
           (SELECT count(*) FROM console_time t WHERE t.unikernel = c.unikernel) AS times FROM console c`,
      )
      .all();
    for (const { unikernel, base, kept_from, timed, times } of rows) {
      const place = { base, keptFrom: kept_from };
      this.#entries.set(unikernel as UnikernelId, { place, timedTo: timed ?? base, times });
    }
  }

  #path(id: UnikernelId): string {
    return join(this.#directory, `${id}.log`);
  }

  #entry(id: UnikernelId): Entry {
    const known = this.#entries.get(id);
    if (known !== undefined) return known;
    const entry: Entry = { place: { base: 0, keptFrom: 0 }, timedTo: 0, times: 0 };
    this.#entries.set(id, entry);
    return entry;
  }

  /**
   * Opens a console for a start: the tender's descriptor, and the position from which what it writes is found.
   * Undefined when a tender that is alive has it. Throws OsError, DatabaseError.
   */
  openForStart(id: UnikernelId): { readonly fd: number; readonly start: number } | undefined {
    const entry = this.#entry(id);
    const log = openLogForStart(this.#path(id), entry.place, this.#keep);
    if (log === undefined) return undefined;
    this.#place(id, entry, log.place);
    return { fd: log.fd, start: log.end };
  }

  #place(id: UnikernelId, entry: Entry, place: LogPlace): void {
    entry.place = place;
    write(this.#db, () => {
      this.#db
        .query<unknown, (string | number)[]>(
          `INSERT INTO console (unikernel, base, kept_from) VALUES (?, ?, ?)
           ON CONFLICT (unikernel) DO UPDATE SET base = excluded.base, kept_from = excluded.kept_from`,
        )
        .run(id, place.base, place.keptFrom);
      this.#db.query("DELETE FROM console_time WHERE unikernel = ? AND position < ?").run(id, place.keptFrom);
    });
  }

  /** Whether a tender that is alive writes to it. */
  isHeld(id: UnikernelId): boolean {
    return isHeld(this.#path(id));
  }

  /** Behind the last byte. */
  end(id: UnikernelId): ConsoleCursor {
    return (this.#entry(id).place.base + logSize(this.#path(id))) as ConsoleCursor;
  }

  /** Forgets a console and deletes its file. */
  remove(id: UnikernelId): void {
    this.#entries.delete(id);
    rmSync(this.#path(id), { force: true });
  }

  /** Records how far these have grown by now, and gives back the disk of what is too old. Call it each second. */
  keepTime(ids: Iterable<UnikernelId>): void {
    const grown: [id: UnikernelId, entry: Entry, end: number][] = [];
    for (const id of ids) {
      const entry = this.#entry(id);
      const end = this.end(id);
      if (end > entry.timedTo) grown.push([id, entry, end]);
    }
    if (grown.length === 0) return;
    const at = this.#now();
    write(this.#db, () => {
      const insert = this.#db.query<unknown, (string | number)[]>(
        "INSERT OR REPLACE INTO console_time (unikernel, position, at) VALUES (?, ?, ?)",
      );
      for (const [id, , end] of grown) insert.run(id, end, at);
    });
    for (const [id, entry, end] of grown) {
      entry.timedTo = end;
      entry.times += 1;
      if (end - entry.place.keptFrom > this.#keep + SLACK) this.#trim(id, entry);
      if (entry.times > TIMES_MAX) this.#thin(id, entry);
    }
  }

  #trim(id: UnikernelId, entry: Entry): void {
    const keptFrom = trimLog(this.#path(id), entry.place, this.#keep);
    if (keptFrom !== entry.place.keptFrom) this.#place(id, entry, { ...entry.place, keptFrom });
  }

  /** Of the older half of the times, every other one is enough. */
  #thin(id: UnikernelId, entry: Entry): void {
    write(this.#db, () =>
      this.#db
        .query(
          `DELETE FROM console_time WHERE unikernel = ?1 AND position IN (
             SELECT position FROM (
               SELECT position, row_number() OVER (ORDER BY position) AS n FROM console_time WHERE unikernel = ?1)
             WHERE n % 2 = 0 AND n < ?2)`,
        )
        .run(id, TIMES_MAX / 2),
    );
    entry.times = this.#db
      .query<{ n: number }, [string]>("SELECT count(*) AS n FROM console_time WHERE unikernel = ?")
      .get(id)!.n;
  }

  /**
   * A page of what is there. `isFinal`: nobody writes any more, so a last line without an end is one. `after` is
   * taken as it is; the other ways of saying where to begin find a line's beginning.
   */
  read(id: UnikernelId, query: ConsoleQuery, isFinal: boolean): ConsolePage {
    const { place } = this.#entry(id);
    const path = this.#path(id);
    const end = this.end(id);
    const items: ConsoleItem[] = [];
    let from = this.#begin(id, query, end);
    if (from < place.keptFrom) {
      const head = readLog(path, place.keptFrom - place.base, LONGEST_LINE);
      const to = place.keptFrom + (place.keptFrom === place.base ? 0 : firstWhole(head));
      if (query.after !== undefined) {
        items.push({ kind: "gap", from: from as ConsoleCursor, to: to as ConsoleCursor });
      }
      from = to;
    }
    from = Math.min(from, end);
    let bytes = readLog(path, from - place.base, Math.min(PAGE_BYTES, end - from));
    const skipped = this.#skipsLineEnd(path, place, from, bytes) ? 1 : 0;
    if (skipped > 0) bytes = bytes.subarray(1);
    const cut = cutLines(bytes, from + skipped, {
      limit: query.limit ?? PAGE_LINES,
      isFinal: isFinal && from + skipped + bytes.length >= end,
      timeOf: this.#times(id, from + skipped, end),
    });
    items.push(...itemsOf(cut.lines));
    return { items, next: cut.next as ConsoleCursor, end };
  }

  /** Whoever was told of a line that had no end yet isn't told of its end as if that were an empty line. */
  #skipsLineEnd(path: string, place: LogPlace, from: number, bytes: Uint8Array): boolean {
    if (bytes[0] !== 10 || from <= place.keptFrom) return false;
    const before = readLog(path, from - 1 - place.base, 1);
    return before.length === 1 && before[0] !== 10;
  }

  #begin(id: UnikernelId, { after, since, tail }: ConsoleQuery, end: number): number {
    const { place } = this.#entry(id);
    if (after !== undefined) return after;
    let from = since === undefined ? place.keptFrom : this.#positionAt(id, since, end);
    if (tail === undefined) return from;
    // Lines are searched backwards in pieces that grow, since nobody knows how long they are.
    for (let length = PAGE_BYTES; ; length *= 4) {
      const start = Math.max(from, end - length);
      const bytes = readLog(this.#path(id), start - place.base, end - start);
      const at = lastLines(bytes, tail);
      if (at > 0 || start === from) {
        from = start + at;
        break;
      }
    }
    return from;
  }

  /** The position behind everything that was surely written before `since`. */
  #positionAt(id: UnikernelId, since: number, end: number): number {
    const { place, timedTo } = this.#entry(id);
    const row = this.#db
      .query<{ position: number | null }, [string, number]>(
        "SELECT max(position) AS position FROM console_time WHERE unikernel = ? AND at < ?",
      )
      .get(id, since);
    const found = row?.position ?? place.keptFrom;
    return since > this.#now() ? end : Math.min(Math.max(found, place.keptFrom), Math.max(timedTo, end));
  }

  /** When the byte before a position was written, for positions from `from` on, asked in order. */
  #times(id: UnikernelId, from: number, end: number): (position: number) => number {
    const rows = this.#db
      .query<{ position: number; at: number }, [string, number, number]>(
        `SELECT position, at FROM console_time WHERE unikernel = ? AND position >= ? AND position <= ?
         ORDER BY position LIMIT 4096`,
      )
      .all(id, from, Math.max(end, from) + PAGE_BYTES);
    let i = 0;
    const now = this.#now();
    return (position) => {
      while (i < rows.length && rows[i]!.position < position) i++;
      return rows[i]?.at ?? now;
    };
  }
}
