/**
 * The rows of a builder-web's database (schema 16 to 18), read from a copy: a long reading of the original would keep
 * a server that runs on it from writing. Times are made in SQL, for their picoseconds are no safe integers here.
 */
import { Database } from "bun:sqlite";
import { closeSync, existsSync, openSync, readSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ImportError } from "./import-error.ts";

/** `PRAGMA application_id` of each of its databases. */
const APPLICATION_ID = 1234839235;
const OLDEST = 16;
const NEWEST = 18;
/** From here on files are kept by their SHA-256. */
const CONTENT_ADDRESSED = 18;
const COPY = /^import-[0-9a-f-]{36}\.sqlite3$/;

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
  countBuilds(): number;
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
  if (!existsSync(path)) {
    throw new ImportError("missing", `${directory} is no data directory of builder-web`, {
      why: "there is no builder.sqlite3 in it",
      hint: "robur import builder-web /var/lib/builder-web",
    });
  }
  refuseOther(path);
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
    return new Rows(db, checkVersion(db, path));
  } catch (error) {
    db.close();
    throw error instanceof ImportError ? error : unreadable(path, error);
  }
}

/** Before SQLite gets to see it: so another kind of file has another sentence. */
function refuseOther(path: string): void {
  const magic = Buffer.alloc(16);
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    throw new ImportError("not-permitted", `${path} can't be read`, {
      why: error instanceof Error ? error.message : String(error),
      hint: "the same command with sudo, or on a copy of the directory",
      cause: error,
    });
  }
  try {
    readSync(fd, magic, 0, magic.length, 0);
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
  return new ImportError("unreadable", `${path} can't be read`, {
    why,
    hint: `if its server was killed, what it left is put right by: sqlite3 ${path} 'SELECT count(*) FROM job'`,
    cause: error,
  });
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

class Rows implements BuilderWebDatabase {
  readonly #db: Database;
  readonly version: number;

  constructor(db: Database, version: number) {
    this.#db = db;
    this.version = version;
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }

  users(): UserRow[] {
    return this.#db
      .query<UserRow, []>(
        `SELECT id, username, password_hash AS hash, password_salt AS salt, scrypt_n AS n, scrypt_r AS r,
           scrypt_p AS p, restricted FROM user ORDER BY id`,
      )
      .all();
  }

  jobs(): JobRow[] {
    const tag = (name: string) =>
      `(SELECT value FROM job_tag JOIN tag ON tag.id = job_tag.tag WHERE job_tag.job = job.id AND tag.tag = '${name}')`;
    return this.#db
      .query<JobRow, []>(
        // New uploads of the original write `readme`, though it reads `readme.md` only.
        `SELECT id, name, ${tag("section")} AS section, ${tag("synopsis")} AS synopsis,
           ${tag("description")} AS description, coalesce(${tag("readme.md")}, ${tag("readme")}) AS readme
         FROM job ORDER BY id`,
      )
      .all();
  }

  access(): { user: number; job: number }[] {
    return this.#db
      .query<{ user: number; job: number }, []>("SELECT user, job FROM access_list ORDER BY id")
      .all();
  }

  countBuilds(): number {
    return this.#db.query<{ n: number }, []>("SELECT count(*) AS n FROM build").get()?.n ?? 0;
  }

  buildIds(): number[] {
    return this.#db
      .query<{ id: number }, []>("SELECT id FROM build ORDER BY start_d, start_ps, id")
      .all()
      .map(({ id }) => id);
  }

  build(id: number): BuildRow | undefined {
    const row = this.#db
      .query<BuildRow, [number]>(
        `SELECT build.id, uuid, job, start_d * 86400000 + start_ps / 1000000000 AS startedAt,
           finish_d * 86400000 + finish_ps / 1000000000 AS finishedAt, result_code AS resultCode,
           result_msg AS resultMessage, console, script, platform, main_binary AS mainBinary,
           coalesce(username, '') AS username, input_id AS inputId
         FROM build LEFT JOIN user ON user.id = build.user WHERE build.id = ?`,
      )
      .get(id);
    return row ?? undefined;
  }

  artifacts(build: number): ArtifactRow[] {
    const localpath = this.version < CONTENT_ADDRESSED ? "localpath" : "NULL AS localpath";
    return this.#db
      .query<ArtifactRow, [number]>(
        `SELECT id, filepath, sha256, size, ${localpath} FROM build_artifact WHERE build = ? ORDER BY id`,
      )
      .all(build);
  }
}
