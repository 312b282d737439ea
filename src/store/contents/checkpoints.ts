/**
 * Writing SQLite's log back while large contents come in. SQLite would do it in whichever transaction makes the log
 * long enough, on the thread that serves everybody, and wait for the disk there. So that is switched off while
 * something large is written; a thread does it after each few megabytes, and writers wait for it, so that the log
 * doesn't grow. Where the thread fails, SQLite does it again.
 */
import type { Database } from "bun:sqlite";
import { MIB } from "../../lib/units.ts";
import type { ChunkWorkers } from "../chunks/workers.ts";
import { StoreError } from "../store-error.ts";
import { type Disk, checkRoom, diskOf } from "./room.ts";

const EVERY = 16 * MIB;
/** SQLite's own default, in pages. */
const PAGES = 1000;

export class Checkpoints {
  readonly #db: Database;
  readonly #workers: ChunkWorkers;
  #writers = 0;
  #written = 0;
  #running: Promise<void> | undefined;
  /** A database in memory has no log; and one failure is enough. */
  #isUsed: boolean;
  readonly #hasFile: boolean;
  readonly #disk: () => Disk;

  /** `disk`: the one that the database is on. */
  constructor(db: Database, workers: ChunkWorkers, disk: () => Disk = () => diskOf(db.filename)) {
    this.#db = db;
    this.#workers = workers;
    this.#hasFile = db.filename !== "" && db.filename !== ":memory:";
    this.#isUsed = this.#hasFile;
    this.#disk = disk;
  }

  /** While the answer isn't disposed of, SQLite doesn't do it by itself. */
  begin(): Disposable {
    if (this.#writers++ === 0 && this.#isUsed) this.#automatically(0);
    let isOver = false;
    return {
      [Symbol.dispose]: () => {
        if (isOver) return;
        isOver = true;
        if (--this.#writers === 0 && this.#isUsed) this.#automatically(PAGES);
      },
    };
  }

  /**
   * Resolves when nothing is written back just now. Whoever writes something large waits for it first: what were
   * written meanwhile would keep the log from beginning anew.
   */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  /** To be told of bytes that were written; resolves when more may be. Throws DatabaseError disk-full. */
  async wrote(bytes: number): Promise<void> {
    if (this.#hasFile) checkRoom(this.#db.filename, this.#disk());
    if (this.#writers === 0) return;
    this.#written += bytes;
    if (this.#isUsed && this.#written >= EVERY) {
      this.#written = 0;
      this.#running ??= this.#checkpoint();
    }
    await this.idle();
  }

  /** Writes the log back now, as far as nobody reads older pages. */
  async writeBack(): Promise<void> {
    await this.idle();
    if (this.#isUsed) this.#running ??= this.#checkpoint();
    await this.idle();
  }

  async #checkpoint(): Promise<void> {
    try {
      await this.#workers.checkpoint(this.#db.filename);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#isUsed = false;
      if (error.code !== "closed") this.#automatically(PAGES);
    } finally {
      this.#running = undefined;
    }
  }

  #automatically(pages: number): void {
    this.#db.run(`PRAGMA wal_autocheckpoint = ${pages}`);
  }
}
