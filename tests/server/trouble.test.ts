/**
 * What goes wrong around a server: a full disk, a database that can't be written to or is damaged, a clock that is set
 * back, a second server. Each is told in words, and nothing is lost. With the compiled server and real guests.
 */
import { Database } from "bun:sqlite";
import { beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { TestServer } from "../commands/client-server.ts";
import { buildGuest, compilerVersion } from "../guests/build.ts";
import { NOBODY, lacks, needsCommands, needsRoot } from "../needs.ts";
import { roburExecutable, run, temporaryDirectory, until } from "../robur.ts";

const compiler = compilerVersion() === undefined ? "gcc is missing, which builds the test guests" : undefined;
const LIMIT = 60_000;
const YEAR_S = 365 * 24 * 3600;

interface Shown {
  readonly name: string;
  readonly state: string;
  readonly pid: number | null;
  readonly restarts: number;
  readonly image: { readonly sha256: string };
}

let tick: string;
beforeAll(async () => {
  await roburExecutable();
  if (compiler === undefined) tick = await buildGuest("tick", "spt");
}, LIMIT);

async function shown(server: TestServer): Promise<Shown[]> {
  return JSON.parse(await server.ok("ps", "-a", "--format", "json")) as Shown[];
}

async function one(server: TestServer, name: string): Promise<Shown> {
  return (await shown(server)).find((unit) => unit.name === name)!;
}

async function clock(server: TestServer): Promise<Shown> {
  await server.ok("create", "clock", tick, "-m", "8M", "--restart", "always", "--", "every=20");
  return one(server, "clock");
}

/** The clock's lines so far, which must be all of them. */
async function lines(server: TestServer): Promise<number> {
  const text = await server.ok("logs", "clock");
  const numbers = [...text.matchAll(/^tick (\d+)$/gm)].map(([, number]) => Number(number));
  expect(numbers).toEqual(numbers.map((_, i) => i + 1));
  return numbers.length;
}

async function goesOn(server: TestServer): Promise<void> {
  const before = await lines(server);
  await until("more lines", async () => (await lines(server)) > before);
}

/** What the server says that can't start, by its arguments for the same data directory. */
async function refusedStart(server: TestServer, under: readonly string[] = []): Promise<string> {
  const socket = join(server.directory, "other.sock");
  const args = ["serve", "--data-dir", server.data, "--socket", socket, "--listen", "127.0.0.1:0"];
  const { code, stderr } = await run(args, { under });
  expect(code).not.toBe(0);
  expect(stderr).not.toContain("    at ");
  return stderr;
}

function integrity(path: string): unknown {
  using db = new Database(path);
  return db.query("PRAGMA integrity_check").all();
}

/** Fills what `directory` is on, to the last page, until it is disposed of. */
function fill(directory: string): Disposable {
  mkdirSync(directory);
  for (const size of [1 << 20, 1 << 16, 1 << 12]) {
    for (let n = 0; ; n++) {
      try {
        writeFileSync(join(directory, `${size}-${n}`), new Uint8Array(size));
      } catch (error) {
        expect((error as { code?: string }).code).toBe("ENOSPC");
        break;
      }
    }
  }
  return { [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }) };
}

/** A small file system of memory, gone at the end. */
class SmallDisk implements AsyncDisposable {
  readonly path = temporaryDirectory();

  constructor(size: string) {
    const { exitCode } = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=${size}`, "tmpfs", this.path]);
    expect(exitCode).toBe(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await until("nobody to use the disk", () => Bun.spawnSync(["umount", this.path]).exitCode === 0);
  }
}

const asRoot = lacks(needsRoot() ?? needsCommands("mount", "unshare", "setpriv"), compiler);

test.skipIf(asRoot)(
  "a full disk refuses in words what it has no room for, keeps all that was promised, and ends nothing",
  async () => {
    await using disk = new SmallDisk("12m");
    await using server = await TestServer.start({ data: join(disk.path, "data") });
    const { pid, image } = await clock(server);
    using filler = fill(join(disk.path, "filler"));
    const kept: string[] = [];
    const create = (name: string) =>
      fetch("http://robur/api/v1/unikernels", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({
          name,
          image: image.sha256,
          config: { memoryMb: 8 },
          start: false,
          wait: "no",
        }),
        unix: server.socket,
      });
    // The log may have some room that was taken before.
    const refused = await until("a refusal", async () => {
      const name = `n${kept.length}`;
      const answer = await create(name);
      if (answer.status !== 201) return answer;
      await answer.body?.cancel();
      kept.push(name);
      return undefined;
    });
    expect(refused.status).toBe(507);
    expect(await refused.json()).toMatchObject({ error: { code: "disk-full", hint: expect.anything() } });
    const typed = await server.robur(["create", "typed", tick]);
    expect([typed.code, typed.stderr]).toEqual([
      expect.any(Number),
      expect.stringContaining("the disk is full"),
    ]);
    expect(typed.code).not.toBe(0);
    expect((await fetch("http://robur/healthz", { unix: server.socket })).status).toBe(200);
    expect(await one(server, "clock")).toMatchObject({ state: "running", pid, restarts: 0 });

    // The next server has the same trouble, and the same unikernels.
    await server.kill();
    filler[Symbol.dispose]();
    await server.up();
    expect((await shown(server)).map(({ name }) => name).toSorted()).toEqual(["clock", ...kept].toSorted());
    expect(await one(server, "clock")).toMatchObject({ state: "running", pid, restarts: 0 });
    const before = (await server.ok("logs", "clock")).length;
    await until("the console to go on", async () => (await server.ok("logs", "clock")).length > before);
    expect((await create("room")).status).toBe(201);
    await server.ok("restart", "clock");
    await server.down();
    expect(integrity(join(server.data, "robur.db"))).toEqual([{ integrity_check: "ok" }]);
  },
  LIMIT,
);

describe.skipIf(asRoot)("a database that can't be written to", () => {
  test(
    "on a read-only file system: no server, and the unikernels go on until there is one",
    async () => {
      await using server = await TestServer.start();
      const { pid } = await clock(server);
      await server.kill();
      const script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"';
      const said = await refusedStart(server, ["unshare", "-m", "sh", "-c", script, server.data]);
      expect(said).toMatch(/read-only|can't be written to/);
      expect(said).toContain("robur.db");
      await server.up();
      expect(await one(server, "clock")).toMatchObject({ state: "running", pid, restarts: 0 });
      await goesOn(server);
    },
    LIMIT,
  );

  test(
    "of another user: the file and its owner are named",
    async () => {
      await using server = await TestServer.start();
      await server.down();
      chmodSync(server.data, 0o755);
      const user = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
      const theirs = await refusedStart(server, user);
      expect(theirs).toContain("can't be written to");
      expect(theirs).toContain(`try: ls -ld ${server.data}`);
      chownSync(server.data, NOBODY, NOBODY);
      chmodSync(join(server.data, "robur.db"), 0o444);
      for (const suffix of [".lock", "-wal", "-shm"])
        rmSync(join(server.data, `robur.db${suffix}`), { force: true });
      const file = await refusedStart(server, user);
      expect(file).toMatch(/permission denied|can't be written to/);
      expect(file).toContain("robur.db");
    },
    LIMIT,
  );
});

/** Overwrites the first page of a table. Answers what puts it back. */
function damage(path: string, table: string): () => void {
  const db = new Database(path);
  db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  const { rootpage } = db
    .query<{ rootpage: number }, [string]>("SELECT rootpage FROM sqlite_schema WHERE name = ?")
    .get(table)!;
  const { page_size: size } = db.query<{ page_size: number }, []>("PRAGMA page_size").get()!;
  db.close();
  const at = (rootpage - 1) * size;
  const page = new Uint8Array(size);
  const fd = openSync(path, "r+");
  readSync(fd, page, 0, size, at);
  writeSync(fd, new Uint8Array(size).fill(0xff), 0, size, at);
  closeSync(fd);
  return () => {
    const again = openSync(path, "r+");
    writeSync(again, page, 0, size, at);
    closeSync(again);
  };
}

describe.skipIf(lacks(compiler))("a damaged page of the database", () => {
  test(
    "that the server can't do without: it says so and touches nothing",
    async () => {
      await using server = await TestServer.start();
      const { pid } = await clock(server);
      await server.kill();
      const path = join(server.data, "robur.db");
      const repair = damage(path, "unikernel");
      const before = Bun.hash(readFileSync(path));
      const said = await refusedStart(server);
      expect(said).toContain("the database is damaged");
      expect(said).toContain("restore a backup");
      expect(Bun.hash(readFileSync(path))).toBe(before);
      expect(existsSync(`/proc/${pid}`)).toBe(true);
      repair();
      await server.up();
      expect(await one(server, "clock")).toMatchObject({ state: "running", pid, restarts: 0 });
      await goesOn(server);
    },
    LIMIT,
  );

  test(
    "that is needed for one question: this is refused in words, all else is answered",
    async () => {
      await using server = await TestServer.start();
      const { pid } = await clock(server);
      await server.kill();
      const repair = damage(join(server.data, "robur.db"), "stat");
      await server.up();
      const asked = await fetch("http://robur/api/v1/unikernels/clock/stats?resolution=minute", {
        unix: server.socket,
      });
      expect(asked.status).toBe(500);
      expect(await asked.json()).toMatchObject({
        error: {
          code: "corrupt",
          message: expect.stringContaining("damaged"),
          hint: expect.stringContaining("backup"),
        },
      });
      expect(await one(server, "clock")).toMatchObject({ state: "running", pid, restarts: 0 });
      await goesOn(server);
      await server.kill();
      repair();
      await server.up();
      expect(await one(server, "clock")).toMatchObject({ state: "running", pid, restarts: 0 });
    },
    LIMIT,
  );
});

test.skipIf(lacks(compiler))(
  "a clock that is set back a year delays nothing and loses nothing, nor for the next server",
  async () => {
    const directory = temporaryDirectory();
    const library = join(directory, "clock-shift.so");
    const source = join(import.meta.dir, "clock-shift.c");
    expect(Bun.spawnSync(["gcc", "-shared", "-fPIC", "-O2", "-o", library, source]).exitCode).toBe(0);
    const shift = join(directory, "shift");
    writeFileSync(shift, "");
    await using server = await TestServer.start({ env: { LD_PRELOAD: library, CLOCK_SHIFT: shift } });
    const { pid } = await clock(server);
    const exit = await buildGuest("exit", "spt");
    // A new one each time: its pauses are short still.
    const loop = async (name: string) => {
      await server.ok("create", name, exit, "--restart", "always", "--no-wait", "--", "status=9");
      await isRetried(name);
    };
    const isRetried = async (name: string) => {
      const { restarts } = await one(server, name);
      await until("another try", async () => (await one(server, name)).restarts > restarts);
    };
    const year = async () => {
      const { headers } = await fetch("http://robur/healthz", { unix: server.socket });
      return new Date(headers.get("date")!).getFullYear();
    };
    const thisYear = await year();
    // The date of answers is made once a second.
    const isSetBack = async () => (await year()) === thisYear - 1;

    // Under a server that runs.
    await loop("first");
    truncateSync(shift, YEAR_S);
    await until("the server to see it", isSetBack);
    await isRetried("first");
    await goesOn(server);
    await server.ok("stop", "first");
    truncateSync(shift, 0);

    // While there is none: what is recorded is a year ahead of the next one.
    await loop("second");
    await server.kill();
    truncateSync(shift, YEAR_S);
    await server.up();
    await until("the server to see it", isSetBack);
    expect(await one(server, "clock")).toMatchObject({ state: "running", pid, restarts: 0 });
    await isRetried("second");
    await goesOn(server);
    await server.ok("create", "later", tick, "-m", "8M");

    // And forth again.
    truncateSync(shift, 0);
    await isRetried("second");
    await goesOn(server);
    const events = (await server.ok("events", "--format", "jsonl")).trimEnd().split("\n");
    const ids = events.map((line) => (JSON.parse(line) as { id: number }).id);
    expect(ids).toEqual(ids.map((_, i) => i + 1));
  },
  LIMIT,
);

test.skipIf(lacks(compiler))(
  "a second server on the same data directory is refused, and costs the first one nothing",
  async () => {
    await using server = await TestServer.start();
    const { pid } = await clock(server);
    const said = await Promise.all([1, 2, 3].map(() => refusedStart(server)));
    for (const text of said) {
      expect(text).toContain("a server has this database");
      expect(text).toContain(`process ${server.pid}`);
    }
    expect(await one(server, "clock")).toMatchObject({ state: "running", pid, restarts: 0 });
    await goesOn(server);
  },
  LIMIT,
);
