/** Who may upload, and what comes of it. */
import { describe, expect, test } from "bun:test";
import { readBasic } from "../../../src/server/access/authenticate.ts";
import { setPassword, changeUser } from "../../../src/server/accounts/users.ts";
import { allowUpload } from "../../../src/server/accounts/upload-access.ts";
import { timedLines } from "../../../src/server/builds/push-build.ts";
import { pacedBody } from "../../../src/server/builds/slow-body.ts";
import type { Build, JobName } from "../../../src/store/api.ts";
import { type AskOptions, type Harness, PASSWORD, createHarness, errorOf } from "../harness.ts";
import { ID, PATH, RECORD, SHA, recordWithId } from "./vector.ts";

const basic = (user: string, password: string) =>
  `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;

async function upload(harness: Harness, options: AskOptions & { authorization?: string } = {}) {
  const { authorization, ...rest } = options;
  const headers: Record<string, string> = { "content-type": "application/x-www-form-urlencoded" };
  if (authorization !== undefined) headers["authorization"] = authorization;
  const answer = await harness.ask("/upload", { method: "POST", body: RECORD, headers, ...rest });
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
}

function contentsOf({ context: { db } }: Harness): number {
  return db.query<{ n: number }, []>("SELECT count(*) AS n FROM build").get()!.n;
}

describe("the original's upload", () => {
  test("takes name and password, and is asked for them", async () => {
    const harness = createHarness();
    const root = harness.user("root", "admin");
    const none = await upload(harness);
    expect([none.status, none.text]).toEqual([401, "Unauthorized!\n"]);
    expect(none.headers.get("www-authenticate")).toBe('Basic realm="robur"');
    for (const authorization of [
      basic("root", "wrong password"),
      basic("nobody", PASSWORD),
      basic("root", ""),
    ]) {
      const wrong = await upload(harness, { authorization });
      expect([wrong.status, wrong.headers.has("www-authenticate")]).toEqual([401, true]);
    }
    for (const authorization of ["Basic", "Basic !!!", "Basic cm9vdA==", "Basic cm9v dDp4"]) {
      expect((await upload(harness, { authorization })).status).toBe(400);
    }
    expect(contentsOf(harness)).toBe(0);
    const right = await upload(harness, { authorization: basic("root", PASSWORD) });
    expect([right.status, right.text, right.headers.get("location")]).toEqual([201, "", PATH]);
    // A token does as well, by either scheme.
    const token = harness.token(root, "write");
    const again = await upload(harness, { authorization: basic("whoever", token) });
    expect([again.status, again.text]).toEqual([409, `Build with same uuid exists: hello(${ID})\n`]);
    expect((await upload(harness, { token })).status).toBe(409);
    expect((await upload(harness, { token: harness.token(root, "read") })).status).toBe(403);
  });

  test("wrong passwords are counted", async () => {
    const harness = createHarness();
    harness.user("root", "admin");
    const statuses: number[] = [];
    for (let i = 0; i < 12; i++) {
      statuses.push((await upload(harness, { authorization: basic("root", "wrong password") })).status);
    }
    expect(statuses.slice(0, 10)).toEqual(Array(10).fill(401) as number[]);
    expect(statuses.slice(10)).toEqual([429, 429]);
  });

  test("a password means nothing where only readers come", async () => {
    const harness = createHarness();
    harness.user("root", "admin");
    const headers = { authorization: basic("root", "wrong password") };
    expect((await harness.ask("/all-builds", { headers })).status).toBe(200);
    const list = await harness.ask("/api/v1/unikernels", {
      headers: { authorization: basic("root", PASSWORD) },
    });
    expect(list.status).toBe(401);
  });

  test("scrypt passwords of a builder-web go on working", async () => {
    const harness = createHarness();
    harness.user("root", "admin");
    const salt = Buffer.from("000102030405060708090a0b0c0d0e0f", "hex").toString("base64");
    const hash = Buffer.from(
      "f65993fc9274a1c364c9a4b1530f477aae2c3664ed15433eb4ccd187d37ba556",
      "hex",
    ).toString("base64");
    const text = (parameters: string) => `$scrypt$${parameters}$${salt}$${hash}`;
    setPassword(harness.context.db, "root", text("n=16384,r=8,p=1"), harness.now);
    expect((await upload(harness, { authorization: basic("root", "testtes") })).status).toBe(401);
    expect((await upload(harness, { authorization: basic("root", "testtest") })).status).toBe(201);
    // What is out of bounds, or no such text, is nobody's password, and costs nothing.
    for (const parameters of [
      "n=16385,r=8,p=1",
      "n=99999999,r=8,p=1",
      "n=16384,r=9999,p=1",
      "n=16384,r=8,p=99",
    ]) {
      setPassword(harness.context.db, "root", text(parameters), harness.now);
      expect((await upload(harness, { authorization: basic("root", "testtest") })).status).toBe(401);
    }
  });

  test("a builder-server goes on with the user name that it has, though an import had to change it", async () => {
    const harness = createHarness();
    harness.user("jane-doe");
    changeUser(harness.context.db, "jane-doe", { uploads: "any" });
    for (const name of ["Jane_Doe", "jane-doe", "JANE DOE"]) {
      expect((await upload(harness, { authorization: basic(name, "wrong password") })).status).toBe(401);
    }
    expect((await upload(harness, { authorization: basic("Jane_Doe", PASSWORD) })).status).toBe(201);
    expect((await upload(harness, { authorization: basic("___", PASSWORD) })).status).toBe(401);
  });

  test("is for those that the job is listed for, or who may any", async () => {
    const harness = createHarness();
    const { db } = harness.context;
    const alice = harness.user("alice");
    const authorization = basic("alice", PASSWORD);
    const status = async (body = RECORD) => (await upload(harness, { authorization, body })).status;
    expect(await status()).toBe(403);
    expect(contentsOf(harness)).toBe(0);
    // A job that isn't there can't be listed.
    expect(allowUpload(db, alice.id, "hello" as JobName)).toBe(false);
    changeUser(db, "alice", { uploads: "any" });
    expect(await status()).toBe(201);
    changeUser(db, "alice", { uploads: "listed" });
    expect(await status(recordWithId(1))).toBe(403);
    const socket = { socket: true, method: "PUT" };
    const listed = await harness.ask("/api/v1/users/alice/uploads/hello", socket);
    expect(await listed.json()).toEqual({ uploads: "listed", jobs: ["hello"] });
    expect((await harness.ask("/api/v1/users/alice/uploads/nothing", socket)).status).toBe(404);
    expect(await status(recordWithId(1))).toBe(201);
    changeUser(db, "alice", { uploads: "none" });
    expect(await status(recordWithId(2))).toBe(403);
    changeUser(db, "alice", { uploads: "listed" });
    await harness.ask("/api/v1/users/alice/uploads/hello", { ...socket, method: "DELETE" });
    expect(await status(recordWithId(2))).toBe(403);
    expect(contentsOf(harness)).toBe(2);
  });

  test("what is no exec document is refused, wherever it ends", async () => {
    const harness = createHarness();
    const status = async (body: Uint8Array<ArrayBuffer>) =>
      (await harness.ask("/upload", { method: "POST", body, socket: true })).status;
    expect(await status(new Uint8Array())).toBe(400);
    expect(await status(new Uint8Array(1000).fill(65))).toBe(400);
    for (let end = 1; end < RECORD.length; end += 7) {
      expect(await status(new Uint8Array(RECORD.subarray(0, end)))).toBe(400);
    }
    expect(await status(new Uint8Array(Buffer.concat([RECORD, Buffer.from([0])])))).toBe(400);
    expect(contentsOf(harness)).toBe(0);
  });

  test("tells of each build once", async () => {
    const harness = createHarness();
    await upload(harness, { socket: true });
    await upload(harness, { socket: true });
    expect(harness.orchestrator.told).toEqual([
      { kind: "build-finished", text: `hello on debian-12: built (${PATH})` },
    ]);
  });
});

describe("one binary by hand", () => {
  test("becomes a good build of now", async () => {
    const harness = createHarness();
    const send = (path: string) => harness.ask(path, { method: "POST", body: "binary", socket: true });
    const answer = await send("/job/manual+x/platform/debian-12/upload?binary_name=./a.hvt");
    expect(answer.status).toBe(201);
    const location = answer.headers.get("location")!;
    expect(location).toMatch(/^\/job\/manual%2Bx\/build\/[0-9a-f-]{36}$/);
    const file = await harness.ask(`${location}/f/bin/a.hvt`);
    expect(await file.text()).toBe("binary");
    expect(await (await harness.ask(`${location}/script`)).text()).toBe(
      "# This artifact was manually built\n",
    );
    const latest = await harness.ask("/job/manual+x/build/latest");
    expect(latest.headers.get("location")).toBe(location);
    await send("/job/plain/platform/debian-12/upload");
    const list = await harness.ask("/job/plain", { headers: { accept: "application/json" } });
    expect(await list.text()).toContain('"filename":"plain.bin"');
  });

  test("names that can't be are refused", async () => {
    const harness = createHarness();
    for (const path of [
      "/job/x/platform/p/upload?binary_name=..",
      "/job/x/platform/p/upload?binary_name=a/b",
      "/job/x/platform/p/upload?binary_name=%00",
      "/job/%2E%2Ex/platform/p/upload",
      "/job/x/platform/.p/upload",
      `/job/${"x".repeat(129)}/platform/p/upload`,
    ]) {
      const answer = await harness.ask(path, { method: "POST", body: "b", socket: true });
      expect([path, answer.status]).toEqual([path, 400]);
    }
    expect(contentsOf(harness)).toBe(0);
  });
});

describe("a build as a form", () => {
  const form = (build: unknown, ...files: [name: string, content: string, filename?: string][]) => {
    const data = new FormData();
    if (build !== undefined) data.append("build", typeof build === "string" ? build : JSON.stringify(build));
    for (const [name, content, filename] of files) data.append(name, new Blob([content]), filename ?? "x");
    return data;
  };
  const send = async (harness: Harness, body: FormData | string) => {
    const options = { method: "POST", body, socket: true } as unknown as AskOptions;
    return harness.ask("/api/v1/jobs/pushed/builds", options);
  };

  test("has its files, its console and what was said of it", async () => {
    const harness = createHarness();
    const facts = {
      platform: "debian-12",
      startedAt: 1000,
      finishedAt: 61_000,
      worker: "ci",
      script: "make\n",
    };
    const answer = await send(
      harness,
      form(facts, ["console", "0.5s:one\ntwo\n3s:three"], ["bin/a.hvt", "aaa"], ["file", "bbb", "doc/b.txt"]),
    );
    expect(answer.status).toBe(201);
    const { build } = (await answer.json()) as { build: Build };
    expect(build).toMatchObject({
      job: "pushed",
      platform: "debian-12",
      startedAt: 1000,
      finishedAt: 61_000,
      worker: "ci",
    });
    expect(build.artifacts.map(({ path, size }) => [path, size])).toEqual([
      ["bin/a.hvt", 3],
      ["doc/b.txt", 3],
    ]);
    const text = await (await harness.ask(`/job/pushed/build/${build.id}/console`)).text();
    expect(text).toBe("0.500s:one\n0.500s:two\n3.000s:three\n");
    const shown = (await (await harness.ask(`/api/v1/builds/${build.id.slice(0, 8)}`)).json()) as {
      build: Build;
    };
    // Strangers don't learn who works here.
    expect(shown.build.uploadedBy).toBe("");
    expect(shown.build.worker).toBeUndefined();
    const exec = await harness.ask(`/job/pushed/build/${build.id}/exec`);
    const other = createHarness();
    const copied = await other.ask("/upload", { method: "POST", body: await exec.bytes(), socket: true });
    expect(copied.headers.get("location")).toBe(`/job/pushed/build/${build.id}`);
  });

  test("says what is wrong with it, and keeps nothing", async () => {
    const harness = createHarness();
    const cases: readonly (readonly [FormData | string, number])[] = [
      [form(undefined, ["bin/a", "a"]), 422],
      [form("{", ["bin/a", "a"]), 400],
      [form({}, ["bin/a", "a"]), 422],
      [form({ platform: "-" }, ["bin/a", "a"]), 422],
      [form({ platform: "p", id: "x" }, ["bin/a", "a"]), 422],
      [form({ platform: "p", unknown: 1 }, ["bin/a", "a"]), 422],
      [form({ platform: "p", startedAt: 2, finishedAt: 1 }, ["bin/a", "a"]), 422],
      [form({ platform: "p" }, ["../a", "a"]), 400],
      [form({ platform: "p" }, ["bin/a", "a"], ["bin/a", "b"]), 400],
      [form({ platform: "p" }, ["build", "{}"]), 422],
      [form({ platform: "p" }, ["console", "a"], ["console", "b"]), 422],
      ["plain", 415],
    ];
    for (const [body, status] of cases) {
      const answer = await send(harness, body);
      expect([answer.status, (await errorOf(answer)).message]).toEqual([status, expect.any(String)]);
    }
    expect(contentsOf(harness)).toBe(0);
  });

  test("jobs, builds, pins and removals", async () => {
    const harness = createHarness();
    await harness.ask("/upload", { method: "POST", body: RECORD, socket: true });
    const get = async (path: string) => (await harness.ask(`/api/v1${path}`)).json();
    expect(await get("/jobs")).toMatchObject({ jobs: [{ name: "hello", newest: { id: ID } }] });
    expect(await get("/jobs/hello")).toMatchObject({
      job: { platforms: ["debian-12"] },
      outputs: [{ output: SHA, count: 1 }],
    });
    expect(await get("/jobs/hello/builds?kind=failed")).toEqual({ builds: [] });
    expect(await get("/jobs/hello/builds?limit=1")).toMatchObject({ builds: [{ id: ID }], next: 1 });
    expect((await harness.ask("/api/v1/jobs/nothing/builds")).status).toBe(404);
    expect((await harness.ask("/api/v1/builds/08")).status).toBe(404);
    expect((await harness.ask("/api/v1/jobs/hello/builds?platform=..")).status).toBe(422);
    const pin = { method: "PUT", json: { isPinned: true }, socket: true };
    expect(await (await harness.ask("/api/v1/builds/0845/pin", pin)).json()).toEqual({
      id: ID,
      isPinned: true,
    });
    expect(await get("/builds/0845")).toMatchObject({ build: { isPinned: true } });
    // A beginning isn't enough to remove something.
    const remove = { method: "DELETE", socket: true };
    expect((await harness.ask("/api/v1/builds/0845", remove)).status).toBe(404);
    expect((await harness.ask(`/api/v1/builds/${ID}`, remove)).status).toBe(200);
    expect((await harness.ask(`/api/v1/builds/${ID}`)).status).toBe(404);
    expect((await harness.ask("/api/v1/jobs/hello", remove)).status).toBe(200);
    expect((await harness.ask("/api/v1/jobs/hello", remove)).status).toBe(404);
  });
});

describe("bodies", () => {
  test("come at their sender's pace: the runtime's time-out doesn't count until they are answered", async () => {
    const harness = createHarness();
    let waits = 0;
    const peer = {
      via: "socket",
      address: "",
      keepOpen: () => undefined,
      waitForAnswer: () => void (waits += 1),
    } as const;
    const post = (path: string, body: string | FormData | typeof RECORD) =>
      harness.door(new Request(`http://robur.test${path}`, { method: "POST", body }), peer);
    expect((await post("/upload", RECORD)).status).toBe(201);
    expect((await post("/job/x/platform/p/upload", "binary")).status).toBe(201);
    const data = new FormData();
    data.append("build", '{"platform":"p"}');
    expect((await post("/api/v1/jobs/x/builds", data)).status).toBe(201);
    expect(waits).toBe(3);
    expect((await harness.door(new Request("http://robur.test/job/x"), peer)).status).toBe(200);
    expect(waits).toBe(3);
  });

  test("whose sender goes away are no fault of robur's", async () => {
    const logged: unknown[][] = [];
    const harness = createHarness({ log: (...line) => void logged.push(line) });
    const gone = new AbortController();
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        gone.abort();
        // As the runtime says it.
        controller.error(new DOMException("The connection was closed.", "AbortError"));
      },
    });
    const request = new Request("http://robur.test/upload", { method: "POST", body, signal: gone.signal });
    const peer = { via: "socket", address: "", keepOpen: () => undefined } as const;
    expect((await harness.door(request, peer)).status).toBe(400);
    expect(logged.filter(([level]) => level === "error")).toEqual([]);
  });

  test("that come too slowly end", async () => {
    const dripping = new ReadableStream<Uint8Array>({
      async pull(controller) {
        await Bun.sleep(5);
        controller.enqueue(new Uint8Array(1));
      },
    });
    const slow = pacedBody(dripping, { silence: 1000, rate: 1_000_000, window: 50 });
    expect(new Response(slow).bytes()).rejects.toMatchObject({ status: 408 });
    const silent = pacedBody(new ReadableStream(), { silence: 20, rate: 1, window: 1000 });
    expect(new Response(silent).bytes()).rejects.toMatchObject({ status: 408 });
  });

  test("lines are the same however the bytes are cut", async () => {
    const text = `0.1s:a\nb\n12s:${"x".repeat(70_000)}\n\n5s:end`;
    const read = async (size: number) => {
      const bytes = Buffer.from(text);
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, (i + 1) * size),
      );
      const stream = new ReadableStream<Uint8Array>({
        start(controller) {
          for (const piece of pieces) controller.enqueue(piece);
          controller.close();
        },
      });
      const lines = await Array.fromAsync(timedLines(stream));
      return lines.map(({ delta, text: line }) => [delta, Buffer.from(line).toString()]);
    };
    const whole = await read(1 << 20);
    expect(whole.map(([delta]) => delta)).toEqual([
      100_000_000n,
      100_000_000n,
      12_000_000_000n,
      12_000_000_000n,
      12_000_000_000n,
      5_000_000_000n,
    ]);
    for (const size of [1, 7, 4096, 65_536]) expect(await read(size)).toEqual(whole);
  });

  test("Basic is read as it is written down", () => {
    expect(readBasic(basic("a", "b:c"))).toEqual({ user: "a", password: "b:c" });
    expect(readBasic(`bAsIc ${Buffer.from("ü:ß").toString("base64")}`)).toEqual({ user: "ü", password: "ß" });
    expect(readBasic("Bearer x")).toBeUndefined();
  });
});
