/**
 * The rows of a builder-web's database (schema 16 to 18), read from a copy: a long reading of the original would keep
 * a server that runs on it from writing. Times are made in SQL, for their picoseconds are no safe integers here. A
 * column's type is only a wish in SQLite: what is something else is made what it should be, also in SQL.
 */
import { Database } from "bun:sqlite";
import { closeSync, fstatSync, openSync, readSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isBusy } from "../../db/database-error.ts";
import { ImportError, isNotPermitted, notPermitted } from "./import-error.ts";

/** `PRAGMA application_id` of each of its databases. */
const APPLICATION_ID = 1234839235;
const OLDEST = 16;
const NEWEST = 18;
/** From here on files are kept by their SHA-256. */
const CONTENT_ADDRESSED = 18;
/** A copy, and what SQLite puts beside it while it is made. */
const COPY = /^import-[0-9a-f-]{36}\.sqlite3(?:-journal|-wal|-shm)?$/;

export interface UserRow {
  readonly id: number;
  readonly username: string;
  readonly hash: Uint8Array;
  readonly salt: Uint8Array;
  readonly n: number;
  readonly r: number;
  readonly p: number;
  readonly restricted: number;
}

export interface JobRow {
  readonly id: number;
  readonly name: string;
  readonly section: string | null;
  readonly synopsis: string | null;
  readonly description: string | null;
  readonly readme: string | null;
}

export interface BuildRow {
  readonly id: number;
  readonly uuid: string;
  readonly job: number;
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly resultCode: number;
  readonly resultMessage: string | null;
  readonly console: string;
  readonly script: string;
  readonly platform: string;
  readonly mainBinary: number | null;
  readonly username: string;
  readonly inputId: Uint8Array | null;
}

export interface ArtifactRow {
  readonly id: number;
  readonly filepath: string;
  readonly sha256: Uint8Array;
  readonly size: number;
  /** Where its bytes are, within the data directory; null where they lie by their SHA-256. */
  readonly localpath: string | null;
}

export interface BuilderWebDatabase extends Disposable {
  readonly version: number;
  users(): readonly UserRow[];
  jobs(): readonly JobRow[];
  /** Pairs of a user's and a job's id. */
  access(): readonly { readonly user: number; readonly job: number }[];
  /** Oldest first. */
  buildIds(): readonly number[];
  build(id: number): BuildRow | undefined;
  artifacts(build: number): readonly ArtifactRow[];
}

/**
 * Opens the database of a data directory. `scratch`: a directory of ours where a copy is made, which has no name any
 * more once it is open. Throws ImportError.
 */
export function openBuilderWeb(directory: string, scratch: string): BuilderWebDatabase {
  const path = join(directory, "builder.sqlite3");
  refuseOther(path, directory);
  // One that was killed while it copied.
  for (const name of readdirSync(scratch)) if (COPY.test(name)) rmSync(join(scratch, name), { force: true });
  const copy = join(scratch, `import-${crypto.randomUUID()}.sqlite3`);
  let db: Database;
  try {
    copyDatabase(path, copy);
    db = new Database(copy, { readonly: true, strict: true });
    // The file is opened by the first reading.
    db.query("PRAGMA schema_version").get();
  } catch (error) {
    throw unreadable(path, error);
  } finally {
    rmSync(copy, { force: true });
  }
  try {
    return new Rows(db, path, checkVersion(db, path));
  } catch (error) {
    db.close();
    throw error instanceof ImportError ? error : unreadable(path, error);
  }
}

/** Before SQLite gets to see it: so another kind of file has another sentence. */
function refuseOther(path: string, directory: string): void {
  const magic = Buffer.alloc(16);
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    if (isNotPermitted(error)) throw notPermitted(path, directory, error);
    throw new ImportError("missing", `${directory} is no data directory of builder-web`, {
      why: "there is no builder.sqlite3 in it",
      hint: "robur import builder-web /var/lib/builder-web",
      cause: error,
    });
  }
  try {
    if (fstatSync(fd).isFile()) readSync(fd, magic, 0, magic.length, 0);
  } finally {
    closeSync(fd);
  }
  if (magic.toString("latin1") === "SQLite format 3\0") return;
  throw new ImportError("not-builder-web", `${path} is no SQLite database`);
}

function copyDatabase(path: string, copy: string): void {
  using original = new Database(path, { readonly: true, strict: true });
  original.run("PRAGMA busy_timeout = 10000");
  original.query("VACUUM INTO ?").run(copy);
}

function unreadable(path: string, error: unknown): ImportError {
  const why = error instanceof Error ? error.message : String(error);
  const hint = hintFor(path, error);
  return new ImportError("unreadable", `${path} can't be read`, {
    ...{ why, cause: error },
    ...(hint === undefined ? {} : { hint }),
  });
}

function hintFor(path: string, error: unknown): string | undefined {
  if (isBusy(error)) return "the same command again: its server is writing";
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  // A journal lies beside it, which who may only read can't play back.
  if (!code.startsWith("SQLITE_READONLY")) return undefined;
  return `if its server was killed, what it left is put right by: sqlite3 ${path} 'SELECT count(*) FROM job'`;
}

function checkVersion(db: Database, path: string): number {
  const id = db.query<{ application_id: number }, []>("PRAGMA application_id").get()?.application_id;
  if (id !== APPLICATION_ID) {
    throw new ImportError("not-builder-web", `${path} is no database of builder-web`, {
      why: `its application id is ${id}, builder-web's is ${APPLICATION_ID}`,
    });
  }
  const version = db.query<{ user_version: number }, []>("PRAGMA user_version").get()?.user_version ?? 0;
  if (version >= OLDEST && version <= NEWEST) return version;
  if (version > NEWEST) {
    throw new ImportError(
      "old-schema",
      `${path} has schema ${version}, and this robur reads ${OLDEST} to ${NEWEST}`,
      {
        hint: "robur upgrade",
      },
    );
  }
  throw new ImportError(
    "old-schema",
    `${path} has schema ${version}, and robur reads ${OLDEST} to ${NEWEST}`,
    {
      why: "builder-web's own tool brings it up to date, a step at a time",
      hint: `builder-migrations --help lists the steps from ${version} on; run them on a copy of the directory`,
    },
  );
}

const text = (column: string, as = column) => `CAST(${column} AS TEXT) AS ${as}`;
const whole = (column: string, as = column) => `CAST(${column} AS INTEGER) AS ${as}`;
const bytes = (column: string, as = column) => `CAST(${column} AS BLOB) AS ${as}`;
/** Milliseconds since 1970. Picoseconds within a day are beyond 2^53. */
const instant = (name: string, as: string) =>
  `CAST(${name}_d AS INTEGER) * 86400000 + CAST(${name}_ps AS INTEGER) / 1000000000 AS ${as}`;

class Rows implements BuilderWebDatabase {
  readonly #db: Database;
  readonly #path: string;
  readonly version: number;

  constructor(db: Database, path: string, version: number) {
    this.#db = db;
    this.#path = path;
    this.version = version;
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }

  /** Throws ImportError for a table that isn't there, or pages that are damaged. */
  #all<Row>(sql: string, ...values: number[]): Row[] {
    try {
      return this.#db.query<Row, number[]>(sql).all(...values);
    } catch (error) {
      throw unreadable(this.#path, error);
    }
  }

  users(): UserRow[] {
    const columns = [
      ...[whole("id"), text("username"), bytes("password_hash", "hash"), bytes("password_salt", "salt")],
      ...[whole("scrypt_n", "n"), whole("scrypt_r", "r"), whole("scrypt_p", "p"), whole("restricted")],
    ];
    return this.#all(`SELECT ${columns.join(", ")} FROM user ORDER BY id`);
  }

  jobs(): JobRow[] {
    const tag = (name: string) =>
      `(SELECT CAST(value AS TEXT) FROM job_tag JOIN tag ON tag.id = job_tag.tag
        WHERE job_tag.job = job.id AND tag.tag = '${name}')`;
    return this.#all(
      // New uploads of the original write `readme`, though it reads `readme.md` only.
      `SELECT id, ${text("name")}, ${tag("section")} AS section, ${tag("synopsis")} AS synopsis,
         ${tag("description")} AS description, coalesce(${tag("readme.md")}, ${tag("readme")}) AS readme
       FROM job ORDER BY id`,
    );
  }

  access(): { user: number; job: number }[] {
    return this.#all("SELECT user, job FROM access_list ORDER BY id");
  }

  buildIds(): number[] {
    return this.#all<{ id: number }>("SELECT id FROM build ORDER BY start_d, start_ps, id").map(
      ({ id }) => id,
    );
  }

  build(id: number): BuildRow | undefined {
    const columns = [
      ...["build.id", "job", text("uuid"), text("console"), text("script"), text("platform")],
      ...[instant("start", "startedAt"), instant("finish", "finishedAt"), bytes("input_id", "inputId")],
      ...[whole("result_code", "resultCode"), text("result_msg", "resultMessage")],
      ...["main_binary AS mainBinary", "CAST(coalesce(username, '') AS TEXT) AS username"],
    ];
    return this.#all<BuildRow>(
      `SELECT ${columns.join(", ")} FROM build LEFT JOIN user ON user.id = build.user WHERE build.id = ?`,
      id,
    )[0];
  }

  artifacts(build: number): ArtifactRow[] {
    const localpath = this.version < CONTENT_ADDRESSED ? text("localpath") : "NULL AS localpath";
    return this.#all(
      `SELECT id, ${text("filepath")}, ${bytes("sha256")}, ${whole("size")}, ${localpath}
       FROM build_artifact WHERE build = ? ORDER BY id`,
      build,
    );
  }
}
