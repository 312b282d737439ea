import { afterAll, describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { OrchestratorEvent } from "../../src/orchestrator/api.ts";
import { deliverDue, queueEvent } from "../../src/server/hooks/deliver.ts";
import { nextAttempt, wantsEvent } from "../../src/server/hooks/schedule.ts";
import { listDeliveries } from "../../src/server/hooks/store.ts";
import type { BuildId } from "../../src/store/api.ts";
import { ID, PATH, RECORD, SHA } from "./builds/vector.ts";
import { type Harness, createHarness, errorOf } from "./harness.ts";

const received: { readonly headers: Headers; readonly body: string }[] = [];
let status = 200;
const receiver = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: async (request) => {
    received.push({ headers: request.headers, body: await request.text() });
    return new Response("", { status, headers: { location: "http://127.0.0.1:1/" } });
  },
});
afterAll(() => receiver.stop(true));
const target = `http://127.0.0.1:${receiver.port}/hook`;

const EVENT: OrchestratorEvent = {
  id: 7,
  at: 1_700_000_000_000,
  kind: "failed",
  path: "alice" as never,
  unikernel: { id: "x" as never, name: "alice:web" as never },
  text: "ended with status 1",
  who: "system",
};

async function addHook(harness: Harness, json: object) {
  const answer = await harness.ask("/api/v1/hooks", { json, socket: true });
  expect(answer.status).toBe(201);
  return (await answer.json()) as { hook: { id: number }; secret?: string };
}

describe("webhooks", () => {
  test("are signed, carry the event once in JSON, and are recorded", async () => {
    const harness = createHarness();
    const { hook, secret } = await addHook(harness, {
      name: "ci",
      kind: "webhook",
      target,
      events: ["unikernel.*"],
    });
    queueEvent(harness.context, EVENT);
    expect(harness.woken).toBe(1);
    expect(await deliverDue(harness.context)).toBe(1);
    const { headers, body } = received.at(-1)!;
    expect(headers.get("x-robur-signature")).toBe(
      `sha256=${createHmac("sha256", secret!).update(body).digest("hex")}`,
    );
    expect(headers.get("x-robur-event")).toBe("unikernel.failed");
    expect(JSON.parse(body)).toMatchObject({ event: "unikernel.failed", id: 7, unikernel: "alice:web" });
    const [delivery] = listDeliveries(harness.context.db, hook.id, 10);
    expect(delivery).toMatchObject({ attempts: 1, result: "answered 200 OK", doneAt: harness.now });
    expect(await deliverDue(harness.context)).toBe(0);
  });

  test("are repeated with growing pauses, byte for byte the same, and given up in the end", async () => {
    const harness = createHarness();
    const { hook } = await addHook(harness, { name: "ci", kind: "webhook", target, events: ["*"] });
    status = 500;
    queueEvent(harness.context, EVENT);
    const pauses: number[] = [];
    const bodies = new Set<string>();
    for (let begun = harness.now; ;) {
      expect(await deliverDue(harness.context)).toBe(1);
      bodies.add(received.at(-1)!.body);
      const { nextAt } = listDeliveries(harness.context.db, hook.id, 1)[0]!;
      if (nextAt === undefined) break;
      pauses.push((nextAt - begun) / 1000);
      expect(await deliverDue(harness.context)).toBe(0);
      begun = harness.now = nextAt;
    }
    status = 200;
    expect(pauses).toEqual([5, 30, 120, 600, 3600, 10_800, 28_800]);
    expect(bodies.size).toBe(1);
    expect(listDeliveries(harness.context.db, hook.id, 1)[0]?.result).toStartWith("answered 500");
  });

  test("of a build tell which, where it was built, how it ended, and its main binary", async () => {
    const harness = createHarness();
    await addHook(harness, { name: "ci", kind: "webhook", target, events: ["build.*"] });
    expect((await harness.ask("/upload", { method: "POST", body: RECORD, socket: true })).status).toBe(201);
    const told = harness.orchestrator.told.at(-1)!;
    const event = { ...EVENT, kind: told.kind as "build-finished", unikernel: null, text: told.text };
    queueEvent(harness.context, event);
    await deliverDue(harness.context);
    expect(JSON.parse(received.at(-1)!.body)).toMatchObject({
      event: "build.finished",
      unikernel: null,
      build: {
        job: "hello",
        uuid: ID,
        platform: "debian-12",
        started: "2024-09-04T10:11:12.123Z",
        finished: "2024-09-04T10:11:14.000Z",
        result: "exited 0",
        mainBinary: { path: "bin/hello.hvt", sha256: SHA, size: 4 },
        path: PATH,
      },
    });
    // It may have been removed since.
    harness.context.builds.remove(ID as BuildId);
    queueEvent(harness.context, event);
    await deliverDue(harness.context);
    expect(JSON.parse(received.at(-1)!.body)).toMatchObject({ event: "build.finished", build: null });
  });

  test("don't follow where they are sent on", async () => {
    const harness = createHarness();
    const { hook } = await addHook(harness, { name: "ci", kind: "webhook", target, events: ["*"] });
    status = 302;
    queueEvent(harness.context, EVENT);
    await deliverDue(harness.context);
    status = 200;
    expect(listDeliveries(harness.context.db, hook.id, 1)[0]?.result).toStartWith("answered 302");
  });

  test("can be tried, and repeated by hand; what isn't wanted isn't sent", async () => {
    const harness = createHarness();
    const { hook } = await addHook(harness, { name: "ci", kind: "webhook", target, events: ["image.put"] });
    queueEvent(harness.context, EVENT);
    expect(await deliverDue(harness.context)).toBe(0);
    const tried = await harness.ask(`/api/v1/hooks/${hook.id}/test`, { method: "POST", socket: true });
    const { delivery } = (await tried.json()) as { delivery: number };
    expect(await deliverDue(harness.context)).toBe(1);
    const path = `/api/v1/hooks/${hook.id}/deliveries/${delivery}/replay`;
    expect((await harness.ask(path, { method: "POST", socket: true })).status).toBe(200);
    expect(await deliverDue(harness.context)).toBe(1);
    expect(received.at(-1)?.body).toBe(received.at(-2)!.body);
  });

  test("show their secret when they are made, and never again", async () => {
    const harness = createHarness();
    const { secret } = await addHook(harness, { name: "ci", kind: "webhook", target, events: ["*"] });
    expect(secret).toHaveLength(43);
    const list = await (await harness.ask("/api/v1/hooks", { socket: true })).text();
    expect(list).not.toContain(secret!);
    expect(list).toContain('"hasSecret":true');
  });

  test("with a target that can't be are refused", async () => {
    const harness = createHarness();
    for (const wrong of [
      { kind: "webhook", target: "file:///etc/passwd" },
      { kind: "ntfy", target: "topic" },
      { kind: "script", target: "../../bin/sh" },
      { kind: "script", target: "/bin/sh" },
    ]) {
      const answer = await harness.ask("/api/v1/hooks", {
        json: { name: "x", events: ["*"], ...wrong },
        socket: true,
      });
      expect([answer.status, (await errorOf(answer)).code]).toEqual([422, "invalid-target"]);
    }
  });

  test("for an event that there isn't are refused: they would stay silent", async () => {
    const harness = createHarness();
    const given = { name: "x", kind: "webhook", target };
    for (const event of ["build.finnished", "unikernels.*"]) {
      const answer = await harness.ask("/api/v1/hooks", {
        json: { ...given, events: ["*", event] },
        socket: true,
      });
      expect([answer.status, (await errorOf(answer)).code]).toEqual([422, "invalid-event"]);
    }
    const { hook } = await addHook(harness, { ...given, events: ["build.*", "unikernel.failed"] });
    const json = { events: ["build.started"] };
    const changed = await harness.ask(`/api/v1/hooks/${hook.id}`, { json, socket: true, method: "PATCH" });
    expect([changed.status, (await errorOf(changed)).code]).toEqual([422, "invalid-event"]);
  });
});

describe("other hooks", () => {
  test("ntfy gets a sentence, and what is bad is urgent", async () => {
    const harness = createHarness();
    await addHook(harness, { name: "phone", kind: "ntfy", target, secret: "tk_1", events: ["*"] });
    queueEvent(harness.context, EVENT);
    await deliverDue(harness.context);
    const { headers, body } = received.at(-1)!;
    expect(body).toBe("ended with status 1");
    expect(headers.get("title")).toStartWith("alice:web on ");
    expect(headers.get("priority")).toBe("high");
    expect(headers.get("authorization")).toBe("Bearer tk_1");
  });

  test("a script gets the event's name, and the event on its standard input", async () => {
    const harness = createHarness();
    const directory = join(harness.context.dataDirectory, "hooks");
    mkdirSync(directory);
    const out = join(directory, "out");
    writeFileSync(
      join(directory, "tell.sh"),
      `#!/bin/sh\necho "$1" > ${out}\ncat >> ${out}\nenv | grep -c SECRET >> ${out}\n`,
    );
    chmodSync(join(directory, "tell.sh"), 0o755);
    process.env["SOME_SECRET"] = "1";
    const { hook } = await addHook(harness, {
      name: "tell",
      kind: "script",
      target: "tell.sh",
      events: ["*"],
    });
    queueEvent(harness.context, EVENT);
    await deliverDue(harness.context);
    const [name, ...rest] = readFileSync(out, "utf8").split("\n");
    expect(name).toBe("unikernel.failed");
    expect(rest.join("")).toContain('"unikernel":"alice:web"');
    // The server's environment is not the script's.
    expect(readFileSync(out, "utf8")).toEndWith("0\n");
    expect(listDeliveries(harness.context.db, hook.id, 1)[0]?.result).toContain("ended with");
  });

  test("a script that isn't there is a failed delivery, not a failed server", async () => {
    const harness = createHarness();
    const { hook } = await addHook(harness, {
      name: "tell",
      kind: "script",
      target: "none.sh",
      events: ["*"],
    });
    queueEvent(harness.context, EVENT);
    await deliverDue(harness.context);
    expect(listDeliveries(harness.context.db, hook.id, 1)[0]?.result).toContain("ENOENT");
  });
});

test("patterns mean one event, one family, or all", () => {
  expect(wantsEvent(["unikernel.failed"], "unikernel.failed")).toBe(true);
  expect(wantsEvent(["unikernel.*"], "unikernel.failed")).toBe(true);
  expect(wantsEvent(["*"], "image.put")).toBe(true);
  expect(wantsEvent(["unikernel.*", "server.started"], "image.put")).toBe(false);
  expect(wantsEvent(["unikernel.*"], "unikernels.x")).toBe(false);
  expect(nextAttempt(99, 0)).toBeUndefined();
});
