import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../robur.ts";
import { TestServer } from "./client-server.ts";

const received: { readonly signature: string | null; readonly body: string }[] = [];
const receiver = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: async (request) => {
    received.push({
      signature: request.headers.get("x-robur-signature"),
      body: await request.text(),
    });
    return new Response("thanks");
  },
});
let server: TestServer;
beforeAll(async () => void (server = await TestServer.start()));
afterAll(async () => {
  await receiver.stop(true);
  await server[Symbol.asyncDispose]();
});

interface Row {
  readonly id: number;
  readonly event: string;
  readonly result?: string;
  readonly doneAt?: number;
}
const deliveries = async (name: string) =>
  JSON.parse(await server.ok("hook", "deliveries", name, "--json")) as Row[];

test("a webhook is told of builds, with a signature by the key that was printed", async () => {
  const key = (
    await server.ok("hook", "add", "ci", receiver.url.href, "--event", "build.finished", "--event", "image.*")
  ).trim();
  expect(key).toHaveLength(43);
  expect(await server.ok("hook", "ls")).toContain("build.finished,image.*");
  const file = join(server.directory, "hello.hvt");
  writeFileSync(file, "the binary");
  const id = (await server.ok("push", "hello", file, "--platform", "debian-12")).trim();
  await until("the webhook was told", () => received.length > 0);
  const { signature, body } = received[0]!;
  expect(signature).toBe(`sha256=${createHmac("sha256", key).update(body).digest("hex")}`);
  expect(JSON.parse(body)).toMatchObject({ event: "build.finished", build: { job: "hello", uuid: id } });
  await until("that is written down", async () => (await deliveries("ci"))[0]?.doneAt !== undefined);
  const [delivery] = await deliveries("ci");
  expect(delivery).toMatchObject({ event: "build.finished", result: "answered 200 OK" });
  expect(await server.ok("hook", "deliveries", "ci")).toContain("arrived");
  await server.ok("hook", "replay", "ci", String(delivery!.id));
  await until("it was told again", () => received.length > 1);
  expect(received[1]!.body).toBe(body);
});

test("hooks are tried, switched off and on, and removed", async () => {
  const before = received.length;
  expect(await server.ok("hook", "disable", "ci")).toBe("ci\n");
  expect(JSON.parse(await server.ok("hook", "ls", "--json"))).toMatchObject([{ name: "ci", enabled: false }]);
  await server.ok("hook", "enable", "ci");
  await server.ok("hook", "test", "ci");
  await until("the test came", () => received.length > before);
  expect(JSON.parse(received.at(-1)!.body)).toMatchObject({ event: "hook.test", build: null });
  expect(await server.ok("hook", "rm", "ci")).toBe("ci\n");
  expect(await server.ok("hook", "ls", "-q")).toBe("");
});

test("a script that hangs on to its output keeps nobody else waiting", async () => {
  mkdirSync(join(server.data, "hooks"));
  const script = join(server.data, "hooks", "tell");
  const out = join(server.directory, "told");
  writeFileSync(
    script,
    `#!/bin/sh\nsleep 1000 &\necho $! > ${out}.pid\ncat > ${out}\necho said >&2\nexit 4\n`,
  );
  chmodSync(script, 0o755);
  expect(await server.ok("hook", "add", "local", "tell", "--event", "build.*")).toBe("local\n");
  await server.ok("hook", "test", "local");
  await until("it was told", async () => (await deliveries("local"))[0]?.result !== undefined);
  process.kill(Number(readFileSync(`${out}.pid`, "utf8")), "SIGKILL");
  expect((await deliveries("local"))[0]).toMatchObject({ result: "it ended with 4 said" });
  expect(existsSync(out)).toBe(true);
  await server.ok("hook", "rm", "local");
});

test("what can't be a hook is refused", async () => {
  for (const [args, code] of [
    [["add", "x", "../../bin/sh"], 1],
    [["add", "x", "ftp://example.org", "--kind", "webhook"], 1],
    [["add", "x", "https://example.org", "--event", "no such"], 1],
    [["add", "x"], 2],
    [["rm", "nobody"], 3],
    [["replay", "nobody", "1"], 3],
    [[], 2],
  ] as const) {
    const ended = await server.robur(["hook", ...args]);
    expect([args, ended.code]).toEqual([args, code]);
    expect(ended.stderr).toStartWith("error: ");
  }
  expect(await server.ok("hook", "ls", "-q")).toBe("");
});
