/** Jobs, queues and runs on a real database, with a store in memory and a clock that stands still. */
import { afterEach, describe, expect, test } from "bun:test";
import type { Database } from "bun:sqlite";
import { openDatabase } from "../../src/db/open.ts";
import type { Assignment, JobName, JobSettings, Platform, Run } from "../../src/builds/api.ts";
import { ATTEMPTS_MAX } from "../../src/builds/runs/life.ts";
import { DEFAULT_SETTINGS } from "../../src/builds/schedule/settings.ts";
import { QUERIES } from "../../src/builds/schedule/records.ts";
import { type BuildService, openBuildService } from "../../src/builds/service.ts";
import type { ScriptSource } from "../../src/builds/templates.ts";
import { until } from "../robur.ts";
import { FakeStore } from "./fake-store.ts";

const DEBIAN = "debian-12" as Platform;
const BSD = "freebsd-14" as Platform;
const HELLO = "hello" as JobName;
const START = Date.UTC(2026, 0, 2, 3, 4, 5);

interface Room {
  readonly db: Database;
  readonly store: FakeStore;
  readonly service: BuildService;
  now: number;
  readonly reports: string[];
}

const open: BuildService[] = [];
afterEach(async () => {
  for (const service of open.splice(0)) await service[Symbol.asyncDispose]();
});

const TEMPLATE: ScriptSource = (platform) => `orb build on ${platform}: %%OPAM_PACKAGE%% %%PLATFORM%%\n`;

function room(earlier?: Room, templates = TEMPLATE, monotonic?: () => number): Room {
  const clock = { now: earlier?.now ?? START };
  const reports: string[] = [];
  const db = earlier?.db ?? openDatabase(":memory:");
  const store = earlier?.store ?? new FakeStore();
  const service = openBuildService({
    ...{ db, contents: store.contents, builds: store.builds },
    templates,
    now: () => clock.now,
    ...(monotonic === undefined ? {} : { clock: monotonic }),
    random: () => 0,
    report: (text) => void reports.push(text),
  });
  open.push(service);
  return {
    ...{ db, store, service, reports },
    get now() {
      return clock.now;
    },
    set now(now) {
      clock.now = now;
    },
  };
}

function script(more: Partial<JobSettings> = {}): JobSettings {
  return {
    ...DEFAULT_SETTINGS,
    work: { kind: "script", script: "#!/bin/sh\necho hi\n" },
    platforms: [DEBIAN],
    ...more,
  };
}

function define({ service }: Room, name: JobName = HELLO, settings = script()): void {
  expect(service.dispatch({ kind: "define", name, settings, isNew: true }).ok).toBe(true);
}

function startJob(
  { service }: Room,
  name: JobName = HELLO,
  more: { platform?: Platform; copies?: number } = {},
) {
  const outcome = service.dispatch({
    ...{ kind: "start", name, platform: more.platform, reason: "by alice", place: "back", priority: 0 },
    ...{ copies: more.copies, mayMove: more.copies === undefined },
  });
  if (!outcome.ok) throw new Error(outcome.refusal.message);
  return outcome.value;
}

const never = new AbortController().signal;
const worker = (name = "w1", platforms: Platform[] = [DEBIAN], link: "http" | "builder" = "http") => ({
  ...{ name, platforms, link, address: "local" },
});

async function take({ service }: Room, ticket?: string): Promise<Assignment> {
  const options = { waitMs: 0, signal: never, ...(ticket === undefined ? {} : { ticket }) };
  const assignment = await service.desk.take(worker(), options);
  if (assignment === undefined) throw new Error("there is no work");
  return assignment;
}

const line = (text: string, delta = 1n) => ({ delta, text: new TextEncoder().encode(text) });
const runOf = ({ service }: Room, { run }: Assignment): Run => service.run(run)!;

describe("schedule", () => {
  test("a daily job is queued once when its time has come, and once after days without a server", () => {
    const it = room();
    define(it);
    expect(it.service.job(HELLO)!.nextAt).toBe(START + 86_400_000);
    it.service.tick();
    expect(it.service.queue(DEBIAN)).toHaveLength(0);
    it.now += 86_400_001;
    it.service.tick();
    expect(it.service.queue(DEBIAN).map(({ reason, number }) => [reason, number])).toEqual([["schedule", 1]]);
    expect(it.service.job(HELLO)!.nextAt).toBe(START + 2 * 86_400_000);
    it.now += 5 * 86_400_000;
    it.service.tick();
    it.service.tick();
    expect(it.service.queue(DEBIAN)).toHaveLength(1);
    expect(it.service.job(HELLO)!.nextAt).toBe(START + 7 * 86_400_000);
  });

  test("many jobs that come due together are queued some at a time, each once", async () => {
    const it = room();
    for (let i = 0; i < 120; i++) define(it, `job-${i}` as JobName);
    it.now += 86_400_001;
    it.service.tick();
    expect(it.service.queue(DEBIAN).length).toBeLessThan(120);
    await until("all are queued", () => it.service.queue(DEBIAN).length >= 120);
    it.service.tick();
    expect(new Set(it.service.queue(DEBIAN).map(({ job }) => job)).size).toBe(120);
    expect(it.service.queue(DEBIAN)).toHaveLength(120);
  });

  test("a job that skips what was missed waits for its next time", () => {
    const it = room();
    define(it, HELLO, script({ catchUp: "skip" }));
    it.now += 3 * 86_400_000 + 3_600_000;
    it.service.tick();
    expect(it.service.queue(DEBIAN)).toHaveLength(0);
    expect(it.service.job(HELLO)!.nextAt).toBe(START + 4 * 86_400_000);
  });

  test("a cron line says when, and what is no line is refused by the settings", () => {
    const it = room();
    define(it, HELLO, script({ recurrence: { kind: "cron", line: "30 4 * * *" } }));
    const next = new Date(it.service.job(HELLO)!.nextAt!);
    expect([next.getHours(), next.getMinutes()]).toEqual([4, 30]);
  });

  test("a switched off job isn't queued, and what it missed isn't made up for", () => {
    const it = room();
    define(it);
    it.service.dispatch({ kind: "enable", name: HELLO, isEnabled: false });
    it.now += 10 * 86_400_000;
    it.service.tick();
    expect(it.service.queue(DEBIAN)).toHaveLength(0);
    it.service.dispatch({ kind: "enable", name: HELLO, isEnabled: true });
    it.service.tick();
    expect(it.service.queue(DEBIAN)).toHaveLength(0);
    expect(it.service.job(HELLO)!.nextAt).toBe(it.now + 86_400_000);
  });

  test("run numbers go on when a job is removed and made again", () => {
    const it = room();
    define(it);
    startJob(it);
    it.service.dispatch({ kind: "forget", name: HELLO });
    expect(it.service.runs({ limit: 10 })[0]).toMatchObject({
      state: "aborted",
      outcome: "the job was removed",
    });
    define(it);
    expect(startJob(it)[0]!.number).toBe(2);
  });

  test("the first worker of a platform gets all jobs for it, behind what was asked for", async () => {
    const it = room();
    define(
      it,
      "everywhere" as JobName,
      script({ work: { kind: "orb", opamPackage: "p.1.2" }, platforms: [] }),
    );
    expect(() => startJob(it, "everywhere" as JobName)).toThrow("no platform has a worker yet");
    const assignment = await it.service.desk.take(worker("w", [BSD]), { waitMs: 0, signal: never });
    expect(assignment).toMatchObject({
      job: "everywhere",
      script: "orb build on freebsd-14: p.1.2 freebsd-14\n",
    });
    expect(await it.service.desk.take(worker("w", [BSD]), { waitMs: 0, signal: never })).toBeUndefined();
  });

  test("a dropped platform loses its queue and its script jobs, and gets no more", () => {
    const it = room();
    define(it);
    define(it, "both" as JobName, script({ platforms: [DEBIAN, BSD] }));
    startJob(it);
    startJob(it, "both" as JobName);
    expect(it.service.dispatch({ kind: "drop", platform: "other" as Platform, mayBeNew: false }).ok).toBe(
      false,
    );
    expect(it.service.dispatch({ kind: "drop", platform: DEBIAN, mayBeNew: false }).ok).toBe(true);
    expect(it.service.jobs().map(({ name, platforms }) => [name, platforms] as unknown)).toEqual([
      ["both", [BSD]],
    ]);
    expect(it.service.queue(DEBIAN)).toHaveLength(0);
    expect(it.service.queue(BSD)).toHaveLength(1);
    expect(it.service.droppedPlatforms()).toEqual([DEBIAN]);
    expect(() => startJob(it, "both" as JobName, { platform: DEBIAN })).toThrow("is for freebsd-14");
    expect(it.service.dispatch({ kind: "undrop", platform: DEBIAN }).ok).toBe(true);
    expect(it.service.dispatch({ kind: "undrop", platform: DEBIAN }).ok).toBe(false);
  });
});

describe("a job whose template can't be used", () => {
  test("waits with the reason, which is reported once, and is built when the template is mended", async () => {
    const templates = { text: " " };
    const it = room(undefined, () => templates.text);
    const work = { kind: "orb" as const, opamPackage: "p" };
    define(it, HELLO, script({ work }));
    startJob(it);
    const options = { waitMs: 0, signal: never };
    for (let i = 0; i < 3; i++) {
      expect(await it.service.desk.take(worker(), options)).toBeUndefined();
      it.now += 61_000;
    }
    const why = "the orb template of debian-12 is empty";
    expect(it.service.findRun("hello:1")).toMatchObject({ state: "queued", outcome: why, attempts: 0 });
    expect(it.reports).toEqual([`hello:1: ${why}`]);
    templates.text = "orb %%OPAM_PACKAGE%%\n";
    expect(await it.service.desk.take(worker(), options)).toMatchObject({ script: "orb p\n" });
    expect(it.service.findRun("hello:1")).toMatchObject({ state: "running", outcome: null });
  });
});

describe("queues", () => {
  test("a job that waits is not queued twice, unless copies are asked for", () => {
    const it = room();
    define(it);
    startJob(it);
    startJob(it);
    expect(it.service.queue(DEBIAN)).toHaveLength(1);
    startJob(it, HELLO, { copies: 2 });
    expect(it.service.queue(DEBIAN).map(({ reason }) => reason)).toEqual([
      "by alice",
      "by alice, 1 of 2",
      "by alice, 2 of 2",
    ]);
  });

  test("what is moved to the front is handed out first", async () => {
    const it = room();
    for (const name of ["a", "b", "c"]) {
      define(it, name as JobName);
      startJob(it, name as JobName);
    }
    it.service.move(it.service.findRun("c:1")!, "front");
    it.service.move(it.service.findRun("a")!, "back");
    const order = [];
    for (let i = 0; i < 3; i++) order.push((await take(it)).job as string);
    expect(order).toEqual(["c", "b", "a"]);
  });

  test("a run's place is how many are handed out before it", () => {
    const it = room();
    for (const name of ["a", "b", "c"]) {
      define(it, name as JobName);
      startJob(it, name as JobName);
    }
    const places = () => ["a", "b", "c"].map((name) => it.service.before(it.service.findRun(name)!));
    expect(places()).toEqual([0, 1, 2]);
    it.service.move(it.service.findRun("c")!, "front");
    expect(places()).toEqual([1, 2, 0]);
    it.service.abort(it.service.findRun("c")!, "alice");
    expect(places()).toEqual([0, 1, undefined]);
  });

  test("a worker that waits gets a job as soon as there is one", async () => {
    const it = room();
    define(it);
    const taken = it.service.desk.take(worker(), { signal: never });
    startJob(it);
    expect((await taken)!.job).toBe(HELLO);
    expect(it.service.desk.workers()).toMatchObject([{ name: "w1", state: "building" }]);
  });

  test("a request whose answer was lost is answered with the same job", async () => {
    const it = room();
    define(it);
    startJob(it, HELLO, { copies: 2 });
    const ticket = crypto.randomUUID();
    expect(await take(it, ticket)).toEqual(await take(it, ticket));
    expect(it.service.queue(DEBIAN)).toHaveLength(1);
  });

  test("the queries of a long queue use their indexes", () => {
    const { db } = room();
    for (const [name, sql] of Object.entries(QUERIES)) {
      const plan = db
        .query<{ detail: string }, (string | number)[]>(`EXPLAIN QUERY PLAN ${sql}`)
        .all(...Array.from(sql.matchAll(/\?/g), () => "1"))
        .map(({ detail }) => detail);
      expect([name, plan.filter((detail) => detail.includes("SCAN") && !detail.includes("INDEX"))]).toEqual([
        name,
        [],
      ]);
      if (name !== "waitingJob") {
        expect([name, plan.filter((detail) => detail.includes("TEMP B-TREE"))]).toEqual([name, []]);
      }
    }
  });
});

describe("runs", () => {
  test("console and files become the build, and lines that come twice are kept once", async () => {
    const it = room();
    define(it);
    startJob(it);
    const { uuid, run } = await take(it);
    const { desk } = it.service;
    expect(desk.append(uuid, 0, [line("one"), line("two")])).toMatchObject({ ok: true, value: { taken: 2 } });
    expect(desk.append(uuid, 0, [line("one"), line("two"), line("three")])).toMatchObject({
      value: { taken: 3 },
    });
    expect(desk.append(uuid, 5, [line("six")])).toMatchObject({ value: { taken: 3 } });
    const content = it.store.put(new Uint8Array([1, 2, 3]));
    const end = await desk.finish(uuid, { kind: "exited", code: 0 }, [{ path: "bin/a", content }]);
    expect(end).toEqual({ ok: true, value: { build: uuid } });
    expect(it.store.console(uuid)).toEqual(["one", "two", "three"]);
    expect(it.store.kept.get(uuid)!.files).toEqual([{ path: "bin/a", content }]);
    expect(it.service.run(run)).toMatchObject({ state: "finished", outcome: "exited 0", lines: 3 });
    // Saying it again is saying it once.
    expect(await desk.finish(uuid, { kind: "exited", code: 0 }, [])).toEqual(end);
    expect(desk.append(uuid, 3, [line("late")])).toMatchObject({ ok: false, refusal: { code: "stale" } });
  });

  test("a silent worker's attempt is kept as it was, tried again, and refused when it comes back", async () => {
    const it = room();
    define(it);
    startJob(it);
    const first = await take(it);
    it.service.desk.append(first.uuid, 0, [line("so far")]);
    it.now += 31_000;
    it.service.tick();
    expect(runOf(it, first)).toMatchObject({ state: "queued", attempts: 1, notBefore: it.now + 5000 });
    await until("the lost attempt is kept", () => it.store.kept.has(first.uuid));
    expect(it.store.kept.get(first.uuid)!.result).toEqual({ kind: "message", text: "its worker is gone" });
    expect(it.store.console(first.uuid)).toEqual(["so far"]);
    expect(await it.service.desk.finish(first.uuid, { kind: "exited", code: 0 }, [])).toMatchObject({
      refusal: { code: "stale" },
    });
    it.now += 5001;
    const second = await take(it);
    expect(second.run).toBe(first.run);
    it.service.desk.append(second.uuid, 0, [line("again")]);
    await it.service.desk.finish(second.uuid, { kind: "exited", code: 3 }, []);
    expect(it.store.console(second.uuid)).toEqual(["again"]);
    const all = [...it.service.lines(first.run, 0)].flat();
    expect(all.map(({ text }) => new TextDecoder().decode(text))).toEqual(["so far", "again"]);
  });

  test("what is lost again and again ends with the reason", async () => {
    const it = room();
    define(it);
    startJob(it);
    for (let i = 0; i < ATTEMPTS_MAX; i++) {
      const { uuid } = await take(it);
      it.service.desk.lose(uuid, "end of file");
      it.now += 3_600_000;
    }
    expect(it.service.findRun("hello:1")).toMatchObject({
      state: "finished",
      outcome: "execution aborted: end of file, 3 times",
    });
  });

  test("a job that hangs is kept as a time-out and waits before it is tried again", async () => {
    const it = room();
    define(it);
    startJob(it);
    const assignment = await take(it);
    for (let i = 0; i < 76; i++) {
      it.now += 60_000;
      it.service.desk.append(assignment.uuid, 0, []);
      it.service.tick();
    }
    const run = runOf(it, assignment);
    expect(run.state).toBe("queued");
    expect(run.notBefore).toBeGreaterThan(it.now + 8 * 60_000);
    await until("it is kept", () => it.store.kept.get(assignment.uuid)?.result);
    expect(it.store.kept.get(assignment.uuid)!.result).toEqual({ kind: "message", text: "timeout" });
  });

  test("an abort takes a waiting run out, and tells a running one's worker", async () => {
    const it = room();
    define(it);
    const [waiting] = startJob(it);
    expect(it.service.abort(waiting!, "alice")).toMatchObject({ value: { state: "aborted" } });
    startJob(it);
    const { uuid, run } = await take(it);
    it.service.abort(it.service.run(run)!, "bob");
    expect(it.service.desk.append(uuid, 0, [])).toMatchObject({ value: { abort: "bob" } });
    await it.service.desk.finish(uuid, { kind: "message", text: "aborted" }, []);
    expect(it.service.run(run)).toMatchObject({
      state: "aborted",
      outcome: "execution aborted: aborted by bob",
    });
    expect(it.service.abort(it.service.run(run)!, "bob")).toMatchObject({ refusal: { code: "ended" } });
  });

  test("a new server goes on with a worker that comes back, and gives up those whose connection is gone", async () => {
    const it = room();
    define(it);
    startJob(it, HELLO, { copies: 2 });
    const http = await take(it);
    const tcp = await it.service.desk.take(worker("t", [DEBIAN], "builder"), { waitMs: 0, signal: never });
    it.service.desk.append(http.uuid, 0, [line("before")]);
    const next = room(it);
    expect(next.service.run(tcp!.run)).toMatchObject({ state: "queued" });
    expect(next.service.desk.append(http.uuid, 1, [line("after")])).toMatchObject({ value: { taken: 2 } });
    await next.service.desk.finish(http.uuid, { kind: "exited", code: 0 }, []);
    expect(next.store.console(http.uuid)).toEqual(["before", "after"]);
    await until("the other is kept", () => next.store.kept.get(tcp!.uuid));
  });

  test("lines in many batches are read from anywhere, in order, and go when the build has them", async () => {
    const it = room();
    define(it);
    startJob(it);
    const { uuid, run } = await take(it);
    const all = Array.from({ length: 1234 }, (_, i) => `line ${i}`);
    for (let at = 0; at < all.length; at += 7) {
      it.service.desk.append(
        uuid,
        at,
        all.slice(at, at + 7).map((text) => line(text)),
      );
    }
    const from = (at: number) => [...it.service.lines(run, at)].flat();
    for (const at of [0, 1, 6, 7, 8, 500, 1233, 1234, 9999]) {
      const lines = from(at);
      expect(lines.map(({ text }) => new TextDecoder().decode(text))).toEqual(all.slice(at));
      expect(lines.map(({ index }) => index)).toEqual(all.slice(at).map((_, i) => at + i));
    }
    await it.service.desk.finish(uuid, { kind: "exited", code: 0 }, []);
    it.now += 2 * 3_600_000;
    it.service.tick();
    expect(from(0)).toEqual([]);
    expect(it.store.console(uuid)).toEqual(all);
  });

  test("of a worker that comes over a network are waited for longer than of one that is here", async () => {
    const it = room();
    define(it);
    startJob(it, HELLO, { copies: 3 });
    const far = { ...worker("far"), address: "192.0.2.7" };
    const remote = (await it.service.desk.take(far, { waitMs: 0, signal: never }))!;
    const here = await take(it);
    const gone = { ...worker("local-1-999999999"), address: "local" };
    const dead = (await it.service.desk.take(gone, { waitMs: 0, signal: never }))!;
    it.now += 1000;
    it.service.tick();
    // Its process isn't there: nothing is waited for.
    expect(runOf(it, dead).state).toBe("queued");
    it.now += 30_000;
    it.service.tick();
    expect([runOf(it, here).state, runOf(it, remote).state]).toEqual(["queued", "running"]);
    it.now += 270_001;
    it.service.tick();
    expect(runOf(it, remote).state).toBe("queued");
  });

  test("of a silent worker end soon when they are aborted", async () => {
    const it = room();
    define(it);
    startJob(it);
    const far = { ...worker("far"), address: "192.0.2.7" };
    const assignment = (await it.service.desk.take(far, { waitMs: 0, signal: never }))!;
    it.service.abort(runOf(it, assignment), "alice");
    it.now += 31_000;
    it.service.tick();
    expect(runOf(it, assignment)).toMatchObject({ state: "aborted", outcome: "aborted by alice" });
  });

  test("are not lost by a clock that is set: spans are measured by another one", async () => {
    const clock = { now: 0 };
    const it = room(undefined, TEMPLATE, () => clock.now);
    define(it);
    startJob(it);
    const { run } = await take(it);
    for (const jump of [12 * 3_600_000, -48 * 3_600_000]) {
      it.now += jump;
      clock.now += 10_000;
      it.service.tick();
      expect(it.service.run(run)!.state).toBe("running");
    }
    clock.now += 20_000;
    it.service.tick();
    expect(it.service.run(run)!.state).toBe("queued");
  });

  test("followers see each line once, from the first, and the end", async () => {
    const it = room();
    define(it);
    startJob(it);
    const { uuid, run } = await take(it);
    const seen: string[][] = [[], []];
    const follow = async (i: number) => {
      for await (const lines of it.service.follow(run, 0, never))
        seen[i]!.push(...lines.map(({ text }) => new TextDecoder().decode(text)));
    };
    const early = follow(0);
    const all: string[] = [];
    for (let i = 0; i < 300; i++) {
      const texts = [`${i} a`, `${i} b`];
      all.push(...texts);
      it.service.desk.append(
        uuid,
        i * 2,
        texts.map((text) => line(text)),
      );
      if (i % 50 === 0) await Bun.sleep(0);
    }
    const late = follow(1);
    await it.service.desk.finish(uuid, { kind: "exited", code: 0 }, []);
    await Promise.all([early, late]);
    expect(seen).toEqual([all, all]);
  });
});
