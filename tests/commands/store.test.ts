/** `robur store` and uploads in parts, by the compiled executable: its worker threads are embedded files. */
import { expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { join } from "node:path";
import { sha256Of } from "../../src/lib/sha256-of.ts";
import { run, temporaryDirectory } from "../robur.ts";
import { randomBytes } from "../store/bytes.ts";
import { TestServer } from "./client-server.ts";

interface UploadAnswer {
  readonly id: string;
  readonly offset: number;
}

const robur = (server: TestServer, ...args: string[]) =>
  run(["store", ...args, "--host", `unix://${server.socket}`], {
    env: { ROBUR_DATA_DIR: server.data },
  });

const ask = (server: TestServer, path: string, init: RequestInit = {}) =>
  fetch(`http://localhost/api/v1${path}`, { ...init, unix: server.socket });

async function begin(server: TestServer, size: number, kind = "content"): Promise<string> {
  const response = await ask(server, "/uploads", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ purpose: { kind }, size }),
  });
  expect(response.status).toBe(201);
  return ((await response.json()) as UploadAnswer).id;
}

const send = (
  server: TestServer,
  id: string,
  offset: number,
  body: Uint8Array | ReadableStream<Uint8Array>,
) => ask(server, `/uploads/${id}`, { method: "PATCH", headers: { "upload-offset": String(offset) }, body });

async function offsetOf(server: TestServer, id: string): Promise<number> {
  const response = await ask(server, `/uploads/${id}`, { method: "HEAD" });
  expect(response.status).toBe(200);
  return Number(response.headers.get("upload-offset"));
}

test("an upload survives a kill -9 of the server, and becomes the content that was sent", async () => {
  await using server = await TestServer.start();
  const bytes = randomBytes(12_000_000, 3);
  const id = await begin(server, bytes.length);
  // What was answered for is there after the kill, and so is much of what wasn't.
  expect((await send(server, id, 0, bytes.subarray(0, 4_000_000))).status).toBe(200);
  let sent = 4_000_000;
  const slow = new ReadableStream<Uint8Array>({
    async pull(controller) {
      controller.enqueue(bytes.subarray(sent, (sent += 500_000)));
      if (sent < 9_000_000) return;
      await server.kill();
      controller.error(new Error("the server is gone"));
    },
  });
  await send(server, id, 4_000_000, slow).catch(() => undefined);
  // The line breaks before the process has gone.
  await server.kill();
  await server.up();
  const offset = await offsetOf(server, id);
  expect(offset).toBeGreaterThanOrEqual(4_000_000);
  const wrong = await send(server, id, offset + 1, bytes.subarray(offset + 1));
  expect(wrong.status).toBe(409);
  expect(wrong.headers.get("upload-offset")).toBe(String(offset));
  const last = await send(server, id, offset, bytes.subarray(offset));
  expect(await last.json()).toMatchObject({ content: { sha256: sha256Of(bytes), size: bytes.length } });

  const stats = await robur(server, "stats", "--json");
  expect(JSON.parse(stats.stdout)).toMatchObject({ contents: 1, contentBytes: bytes.length });
  expect((await robur(server, "stats")).stdout).toContain("chunks");
  expect(await robur(server, "verify")).toMatchObject({ code: 0, stdout: "" });

  expect((await ask(server, `/uploads/${id}`, { method: "DELETE" })).status).toBe(204);
  expect((await ask(server, `/uploads/${id}`)).status).toBe(404);
  // Less than an hour old: it stays, for who is about to use it.
  expect((await robur(server, "gc")).stderr).toContain("contents: 0");
}, 60_000);

test("an exec upload that is no record is refused, and is gone then", async () => {
  await using server = await TestServer.start();
  const id = await begin(server, 100_000, "exec");
  const response = await send(server, id, 0, randomBytes(100_000, 1));
  expect(response.status).toBe(400);
  expect((await ask(server, `/uploads/${id}`)).status).toBe(404);
}, 60_000);

test("verify names what is damaged, and exits 1", async () => {
  await using server = await TestServer.start();
  const bytes = randomBytes(300_000, 5);
  await send(server, await begin(server, bytes.length), 0, bytes);
  {
    using db = new Database(join(server.data, "robur.db"));
    db.run("UPDATE chunk SET content = zeroblob(length(content)) WHERE id = (SELECT min(id) FROM chunk)");
  }
  const { code, stdout, stderr } = await robur(server, "verify");
  expect(code).toBe(1);
  expect(stdout).toContain(sha256Of(bytes));
  expect(stderr).toContain("1 of 1 contents are damaged");
}, 60_000);

test("retention is set, shown, and refused where it makes no sense", async () => {
  await using server = await TestServer.start();
  expect((await robur(server, "retention")).stdout).toBe("all builds are kept\n");
  const set = await robur(server, "retention", "set", "--keep-successful", "10", "--max-age", "365d");
  expect(set.stdout).toContain("newest 10 successful");
  expect(JSON.parse((await robur(server, "retention", "show", "--json")).stdout)).toEqual({
    keepSuccessful: 10,
    maxAgeDays: 365,
  });
  for (const bad of [[], ["--keep-successful", "0"], ["--max-age", "soon"]]) {
    expect((await robur(server, "retention", "set", ...bad)).code).toBe(2);
  }
}, 60_000);

test("vacuum removes by rule, and asks first", async () => {
  await using server = await TestServer.start();
  expect((await robur(server, "vacuum", "older-than", "1d")).stderr).toContain("no build is to be removed");
  expect((await robur(server, "vacuum", "except-latest", "0")).code).toBe(2);
  expect((await robur(server, "vacuum", "older-than", "yesterday")).code).toBe(2);
  expect((await robur(server, "vacuum")).code).toBe(2);
}, 60_000);

test("compact needs a database that no server has", async () => {
  const data = join(temporaryDirectory(), "data");
  const compact = () => run(["store", "gc", "--compact", "--data-dir", data]);
  expect((await compact()).stderr).toContain("there is no database");
  {
    await using server = await TestServer.start({ data });
    const { code, stderr } = await compact();
    expect(code).toBe(4);
    expect(stderr).toContain(String(server.pid));
  }
  expect(await compact()).toMatchObject({ code: 0 });
}, 60_000);
