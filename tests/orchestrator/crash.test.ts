// kill -9 of the server and of tenders at random moments: nothing is lost, nothing is there twice, nothing is left.
// ROBUR_CRASHES sets how many (300 for the full measure).
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { databasePath, openDatabase } from "../../src/db/open.ts";
import { instanceOf } from "../../src/network/names.ts";
import type { Outcome, UnikernelView } from "../../src/orchestrator/api.ts";
import { ImageStore } from "../../src/orchestrator/images.ts";
import { findTenders } from "../../src/orchestrator/process/identity.ts";
import { buildGuest } from "../guests/build.ts";
import { endTenders, until, value } from "./lab.ts";
import { Died, type Server, startServer } from "./server-client.ts";

const CRASHES = Number(process.env["ROBUR_CRASHES"] ?? 20);
const NAMES = ["a", "b", "c", "d", "e"];

/** A small generator, so that a run can be repeated: ROBUR_SEED. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** What was answered, and so must be so. */
interface Known {
  exists: boolean | undefined;
  desired: "running" | "stopped" | undefined;
  /** Lines that somebody was shown. */
  lines: string[];
}

async function ask(server: Server, name: string, state: Known, random: () => number, image: string) {
  const doing = (["create", "create", "stop", "start", "restart", "remove", "console"] as const)[
    Math.floor(random() * 7)
  ]!;
  // Between the question and the answer either may be true.
  const before = { ...state };
  if (doing === "create" || doing === "remove") state.exists = undefined;
  if (doing !== "console") state.desired = undefined;
  // One of the same name that is made later has a console of its own.
  if (doing === "remove") state.lines = [];
  try {
    if (doing === "console") {
      const lines = await server.ask({ do: "console", name });
      if (Array.isArray(lines)) state.lines = lines as string[];
      return;
    }
    const outcome = (await server.ask(
      doing === "create"
        ? { do: "create", name, image, args: ["every=5"], start: true, restart: "always" }
        : { do: doing, name },
    )) as Outcome<unknown>;
    if (!outcome.ok) {
      const { code } = outcome.refusal;
      state.exists =
        code === "not-found" ? false : doing === "create" && code === "conflict" ? true : before.exists;
      state.desired = doing === "create" || doing === "start" ? before.desired : undefined;
      return;
    }
    state.exists = doing !== "remove";
    state.desired = doing === "stop" ? "stopped" : "running";
    if (doing === "create" || doing === "remove") state.lines = [];
  } catch (error) {
    if (!(error instanceof Died)) throw error;
  }
}

test(
  `${CRASHES} random kills lose nothing, double nothing and leave nothing`,
  async () => {
    const seed = Number(process.env["ROBUR_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
    const random = generator(seed);
    const directory = mkdtempSync(join(tmpdir(), "robur-crash-"));
    const instance = instanceOf(directory);
    const path = databasePath(directory);
    try {
      const db = openDatabase(path);
      const { sha256: image } = value(
        await new ImageStore(db).put(readFileSync(await buildGuest("tick", "spt"))),
      );
      db.close();
      const known = new Map<string, Known>(
        NAMES.map((name) => [name, { exists: false, desired: undefined, lines: [] }]),
      );
      let server = await startServer(directory);
      for (let crash = 0; crash < CRASHES; crash++) {
        // One question about each at a time, or nobody could say what the answer is to be.
        const asked = NAMES.toSorted(() => random() - 0.5).slice(0, 1 + Math.floor(random() * NAMES.length));
        const current = server;
        const work = asked.map((name) => ask(current, name, known.get(name)!, random, image));
        await Bun.sleep(random() * 60);
        const tenders = [...findTenders(instance).values()];
        if (random() < 0.4 && tenders.length > 0) {
          const { pid } = tenders[Math.floor(random() * tenders.length)]!;
          try {
            process.kill(pid, "SIGKILL");
          } catch {
            // It ended by itself just now.
          }
        }
        if (random() < 0.7) {
          await server.kill();
          await Promise.all(work);
          checkIntegrity(path);
          server = await startServer(directory);
        }
        await Promise.all(work);
        await check(server, known, instance);
      }
      for (const name of NAMES) await server.ask({ do: "remove", name });
      expect([...findTenders(instance).values()]).toEqual([]);
      await server.stop();
    } catch (error) {
      console.error(`ROBUR_SEED=${seed}`);
      throw error;
    } finally {
      endTenders(instance);
      rmSync(directory, { recursive: true, force: true });
    }
  },
  60_000 + CRASHES * 3000,
);

function checkIntegrity(path: string): void {
  const db = new Database(path, { readonly: true });
  expect(db.query<{ integrity_check: string }, []>("PRAGMA integrity_check").all()).toEqual([
    { integrity_check: "ok" },
  ]);
  expect(db.query("PRAGMA foreign_key_check").all()).toEqual([]);
  db.close();
}

async function check(server: Server, known: Map<string, Known>, instance: string): Promise<void> {
  // A tender that was killed is waited for: it is started again within a moment.
  const list = await until("everything to be as it should", async () => {
    const views = (await server.ask({ do: "list" })) as UnikernelView[];
    // One that was killed often has to wait before it is started again.
    for (const { name, state } of views) if (state === "backing-off") await server.ask({ do: "start", name });
    const quiet = ["running", "stopped", "created"];
    const isQuiet = views.every(({ state }) => quiet.includes(state));
    const pids = [...findTenders(instance).values()].map(({ pid }) => pid).sort();
    return isQuiet && Bun.deepEquals(views.flatMap(({ pid }) => pid ?? []).sort(), pids) && views;
  });
  for (const [name, { exists, desired, lines }] of known) {
    const view = list.find((one) => one.name === name);
    if (exists !== undefined) expect([name, view !== undefined]).toEqual([name, exists]);
    if (view !== undefined && desired !== undefined) expect([name, view.desired]).toEqual([name, desired]);
    if (view === undefined || lines.length === 0) continue;
    const now = (await server.ask({ do: "console", name })) as string[];
    const end = now.join("\n");
    // What was shown is there still, or has been pushed out at the front by newer lines.
    if (now.length < 500) expect([name, end.includes(lines.join("\n"))]).toEqual([name, true]);
  }
}
