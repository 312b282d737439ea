/** What workers say over HTTP, on the real store: well formed, and as nobody should say it. */
import { afterAll, describe, expect, test } from "bun:test";
import type { Assignment, JobName, Platform } from "../../src/builds/api.ts";
import { encodeLines } from "../../src/builds/runs/console.ts";
import { DEFAULT_SETTINGS } from "../../src/builds/schedule/settings.ts";
import { sha256Of } from "../../src/lib/sha256-of.ts";
import { createHarness, errorOf } from "../server/harness.ts";

const harness = createHarness();
const { buildService: service, db } = harness.context;
afterAll(() => service[Symbol.asyncDispose]());

const PLATFORM = "debian-12" as Platform;
let count = 0;

async function ask(path: string, body?: Uint8Array | object): Promise<Response> {
  // So many requests in no time would be too many.
  harness.now += 100;
  if (body === undefined) return harness.ask(path, { socket: true });
  const isJson = !(body instanceof Uint8Array);
  return harness.ask(path, {
    socket: true,
    method: "POST",
    ...(isJson ? { json: body } : { body: new Uint8Array(body) }),
  });
}

async function assignment(): Promise<Assignment> {
  const name = `job-${(count += 1)}` as JobName;
  const settings = {
    ...DEFAULT_SETTINGS,
    work: { kind: "script" as const, script: "true\n" },
    platforms: [PLATFORM],
  };
  service.dispatch({ kind: "schedule", name, settings });
  const response = await ask("/api/v1/worker/take", {
    name: "w",
    platforms: [PLATFORM],
    ticket: crypto.randomUUID(),
  });
  return ((await response.json()) as { assignment: Assignment }).assignment;
}

const line = (text: string) => encodeLines([{ delta: 1_500_000_000n, text: new TextEncoder().encode(text) }]);
const end = (header: unknown, ...files: string[]) =>
  new TextEncoder().encode(
    `${typeof header === "string" ? header : JSON.stringify(header)}\n${files.join("")}`,
  );
const GOOD = { kind: "exited", code: 0 };

const SANDBOX = { kind: "bwrap", description: "", packagesSha256: sha256Of("a:all=1\n") };

describe("a worker over HTTP", () => {
  test("posts lines and the end, and the build has them; its console is there when the run's own is gone", async () => {
    const { uuid, job, run } = await assignment();
    expect(await (await ask(`/api/v1/worker/lines?uuid=${uuid}&from=0`, line("hello"))).json()).toEqual({
      ...{ taken: 1, abort: null },
    });
    const body = end(
      {
        result: GOOD,
        files: [
          { path: "bin/a", size: 3 },
          { path: "b", size: 0 },
        ],
      },
      "abc",
    );
    for (let i = 0; i < 2; i++) {
      const response = await ask(`/api/v1/worker/finish?uuid=${uuid}`, body);
      expect([response.status, await response.json()]).toEqual([200, { build: uuid }]);
    }
    const build = harness.context.builds.build(uuid)!;
    expect(build).toMatchObject({ job, worker: "w", result: GOOD });
    expect(build.artifacts.map(({ path, size }) => [path, size])).toEqual([
      ["bin/a", 3],
      ["b", 0],
    ]);
    for (const isThere of [true, false]) {
      if (!isThere) db.query("DELETE FROM run_console WHERE run = ?").run(run);
      const page = (await (await ask(`/api/v1/runs/${job}/console`)).json()) as { lines: unknown };
      expect(page.lines).toEqual([{ index: 0, seconds: 1.5, text: "hello" }]);
    }
    const stream = await (await ask(`/api/v1/runs/${job}/console/stream`)).text();
    expect(stream).toContain('"text":"hello"');
    expect(stream).toContain("event: end");
  });

  test("is refused what can't be, and the attempt goes on", async () => {
    const { uuid, run } = await assignment();
    const file = (path: unknown, size: unknown = 1) => ({ result: GOOD, files: [{ path, size }] });
    const bad: [string, Uint8Array, number][] = [
      [`lines?uuid=${uuid}&from=0`, new Uint8Array(5), 400],
      [`lines?uuid=${uuid}&from=0`, Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0, 0]), 400],
      [`lines?uuid=${uuid}&from=-1`, line("x"), 422],
      [`lines?uuid=nobody&from=0`, line("x"), 422],
      [`finish?uuid=${uuid}`, new Uint8Array(), 400],
      [`finish?uuid=${uuid}`, end("{"), 400],
      [`finish?uuid=${uuid}`, end({ result: { kind: "exited" }, files: [] }), 400],
      [`finish?uuid=${uuid}`, end({ result: GOOD, files: "all" }), 400],
      [`finish?uuid=${uuid}`, end(file("../a"), "x"), 400],
      [`finish?uuid=${uuid}`, end(file("/a"), "x"), 400],
      [`finish?uuid=${uuid}`, end(file("a//b"), "x"), 400],
      [`finish?uuid=${uuid}`, end(file("a\0"), "x"), 400],
      [`finish?uuid=${uuid}`, end(file("a", -1), "x"), 400],
      [`finish?uuid=${uuid}`, end(file("a", 2), "x"), 400],
      // Packages that the hash isn't of.
      [
        `finish?uuid=${uuid}`,
        end({ ...file("a"), sandbox: { ...SANDBOX, packages: "a:all=2\n" } }, "x"),
        400,
      ],
      [`finish?uuid=${uuid}`, end({ ...file("a"), sandbox: { ...SANDBOX, packagesSha256: "x" } }, "x"), 400],
    ];
    for (const [path, body, status] of bad) {
      const response = await ask(`/api/v1/worker/${path}`, body);
      expect([path, response.status]).toEqual([path, status]);
      await response.body?.cancel();
    }
    expect(service.run(run)).toMatchObject({ state: "running" });
    expect(harness.context.builds.build(uuid)).toBeUndefined();
  });

  test("whose attempt was given up is told so, whatever it says", async () => {
    const { uuid } = await assignment();
    service.desk.lose(uuid, "gone");
    const lines = await ask(`/api/v1/worker/lines?uuid=${uuid}&from=0`, line("x"));
    expect([lines.status, (await errorOf(lines)).code]).toEqual([409, "stale"]);
    const finish = await ask(`/api/v1/worker/finish?uuid=${uuid}`, end({ result: GOOD, files: [] }));
    expect([finish.status, (await errorOf(finish)).code]).toEqual([409, "stale"]);
    const unknown = await ask(`/api/v1/worker/lines?uuid=${crypto.randomUUID()}&from=0`, line("x"));
    expect([unknown.status, (await errorOf(unknown)).code]).toEqual([409, "stale"]);
  });
});

test("strangers see what is built, and not by whom or why", async () => {
  const { uuid, job } = await assignment();
  service.desk.append(uuid, 0, []);
  for (const socket of [true, false]) {
    harness.now += 100;
    for (const path of ["/api/v1/queue", "/api/v1/runs", `/api/v1/runs/${job}`]) {
      const text = await (await harness.ask(path, { socket })).text();
      expect(text).toContain(`"name":"${job}:1"`);
      expect([path, text.includes('"worker":"w"')]).toEqual([path, socket]);
      expect([path, text.includes('"reason":"scheduled"')]).toEqual([path, socket]);
    }
  }
});
