/** builder's protocol: conversations of the original programs replayed, and a job driven from a client to a build. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Platform } from "../../src/builds/api.ts";
import { listenBuilder } from "../../src/builds/wire/listen.ts";
import { FrameReader, frame } from "../../src/protocols/builder/framing.ts";
import { type Message, decodeMessage } from "../../src/protocols/builder/messages.ts";
import { NEVER } from "../../src/protocols/builder/times.ts";
import { until } from "../robur.ts";
import { CLIENT, Line, type Room, WORKER, room } from "./wire-room.ts";

const VECTORS = join(import.meta.dir, "../vectors/builder");
const vector = (name: string) => new Uint8Array(readFileSync(join(VECTORS, `${name}.bin`)));

/** One command and what is answered behind the hello. */
async function command(
  { port }: Room,
  message: Message | Uint8Array,
  hello: Message = CLIENT,
): Promise<Message[]> {
  const [first, ...rest] = await new Line(port, hello, message).end();
  expect(first).toEqual({ type: "server-hello" });
  return rest;
}

const failure = (message: string) => [{ type: "failure" as const, message }];
const SUCCESS = [{ type: "success" as const }];
const script = (name: string, platform = "debian-12"): Message => ({
  type: "schedule",
  period: "daily",
  job: { name, script: "#!/bin/sh\necho hi\n", platform },
});
const line = (uuid: string, text: string): Message => ({
  ...{ type: "output", uuid, timestamp: undefined },
  output: new TextEncoder().encode(text),
});

/** Messages of a conversation with what differs each time taken out. */
function normalised(messages: readonly Message[]): Message[] {
  return messages.map((message) => {
    if (message.type === "job-schedule") return { ...message, uuid: "" };
    if (message.type !== "info-reply") return message;
    const next = (at: number) => (at === NEVER ? NEVER : 0);
    return {
      ...message,
      schedule: message.schedule.map((item) => ({ ...item, next: next(item.next) })).toSorted(byName),
    };
  });
}

const byName = (a: { job: { name: string } }, b: { job: { name: string } }) =>
  a.job.name < b.job.name ? -1 : 1;

function messagesOf(bytes: Uint8Array): Message[] {
  return new FrameReader().push(bytes).map(decodeMessage);
}

async function replay({ port }: Room, name: string): Promise<void> {
  const answer = await new Line(port, vector(`client/${name}.c2s`)).end();
  expect([name, normalised(answer)]).toEqual([name, normalised(messagesOf(vector(`client/${name}.s2c`)))]);
}

/** A recorded worker: asks, gets a job, says what was recorded with the job's own id. */
async function replayWorker({ port }: Room, name: string): Promise<string> {
  const said = messagesOf(vector(`worker/${name}.c2s`));
  const worker = new Line(port, ...said.slice(0, 2));
  const { uuid } = await worker.saw("job-schedule");
  expect(normalised(worker.got)).toEqual(normalised(messagesOf(vector(`worker/${name}.s2c`))));
  for (const message of said.slice(2))
    worker.send({ ...message, ...("uuid" in message ? { uuid } : {}) } as Message);
  await worker.end();
  return uuid;
}

describe("recorded conversations", () => {
  test("the original's clients and workers get the original's answers", async () => {
    const it = await room();
    await replay(it, "c01-info-empty");
    await replay(it, "c02-schedule-hello");
    await replay(it, "c03-schedule-weekly");
    await replay(it, "c04-schedule-dup");
    await replay(it, "c05-info");
    const hello = await replayWorker(it, "w01-hello");
    await replay(it, "c06-info-after-one");
    await replayWorker(it, "w02-net");
    await replay(it, "c07-schedule-fails");
    const fails = await replayWorker(it, "w03-fails");
    await replay(it, "c08-schedule-killed");
    await replay(it, "c09-schedule-twobins");
    await replay(it, "c10-orb-build");
    expect(it.store.kept.get(hello)).toMatchObject({
      ...{ job: "hello", platform: "debian-12", result: { kind: "exited", code: 0 } },
    });
    expect(it.store.kept.get(hello)!.files.map(({ path }) => path)).toContain("bin/hello.hvt");
    expect(it.store.kept.get(fails)!.result).toEqual({ kind: "exited", code: 3 });
    expect(it.store.console(fails)).toEqual(["building fails on Linux", "wrote 1 files", "to stderr"]);
  });
});

describe("commands", () => {
  test("every refusal has the original's words", async () => {
    const it = await room();
    const orb = { type: "schedule-orb", period: "never", job: { name: "o", opamPackage: "p" } } as const;
    expect(await command(it, orb)).toEqual(SUCCESS);
    expect(await command(it, orb)).toEqual(failure("job name already used"));
    expect(await command(it, { type: "execute", name: "o", platform: "debian-12" })).toEqual(
      failure("execute failed: no such platform"),
    );
    expect(await command(it, script("hello"))).toEqual(SUCCESS);
    expect(await command(it, script("hello"))).toEqual(failure("job name already used"));
    expect(await command(it, { type: "unschedule", name: "x" })).toEqual(failure("unknown job x"));
    expect(await command(it, { type: "reschedule", name: "x", next: 0, period: undefined })).toEqual(
      failure("couldn't find job x"),
    );
    expect(await command(it, { type: "execute", name: "x", platform: undefined })).toEqual(
      failure("execute failed: job not found"),
    );
    expect(await command(it, { type: "execute", name: "hello", platform: "freebsd-14" })).toEqual(
      failure("execute failed: job is for a different platform: debian-12"),
    );
    expect(await command(it, { type: "observe", uuid: crypto.randomUUID() })).toEqual(
      failure("uuid not found"),
    );
    expect(await command(it, { type: "drop-platform", platform: "x" })).toEqual(
      failure("unknown platform x"),
    );
    expect(await command(it, { type: "undrop-platform", platform: "debian-12" })).toEqual(
      failure("unknown platform debian-12"),
    );
    expect(await command(it, { type: "drop-platform", platform: "debian-12" })).toEqual(SUCCESS);
    expect(await command(it, script("other"))).toEqual(failure("platform dropped; can't schedule jobs"));
    expect(await command(it, { type: "undrop-platform", platform: "debian-12" })).toEqual(SUCCESS);
    expect(await command(it, { type: "job-requested", platform: "p" })).toEqual(failure("bad communication"));
    expect(await command(it, { type: "execute-old", name: "o" })).toEqual(SUCCESS);
  });

  test("reschedule queues at once and stores one period more, as the original's clients know it", async () => {
    const it = await room();
    await command(it, script("hello"));
    it.service.dispatch({ kind: "forget", name: "hello" as never });
    await command(it, script("hello"));
    const next = it.now + 1_000_000;
    expect(await command(it, { type: "reschedule", name: "hello", next, period: "hourly" })).toEqual(SUCCESS);
    const [reply] = await command(it, { type: "info" });
    expect(reply).toMatchObject({ schedule: [{ next: next + 3_600_000, period: "hourly" }] });
  });

  test("clients of 11 and 12 get the state in the form that they read", async () => {
    const it = await room();
    await command(it, script("hello"));
    await command(it, { type: "schedule-orb", period: "never", job: { name: "o", opamPackage: "p" } });
    for (const version of [11, 12, 13]) {
      const hello: Message = { type: "client-hello", role: "client", version };
      const type = version < 13 ? "info-reply-old" : "info-reply";
      // Those know no `never`.
      const jobs = version < 13 ? ["hello"] : ["hello", "o"];
      const [reply, end] = await command(it, { type: "info" }, hello);
      if (reply?.type !== type) throw new Error(`version ${version} got ${reply?.type}`);
      expect([version, reply.schedule.map(({ job }) => job.name)]).toEqual([version, jobs]);
      expect(end).toEqual(SUCCESS[0]!);
      const execute: Message =
        version === 11
          ? { type: "execute-old", name: "hello" }
          : { type: "execute", name: "hello", platform: undefined };
      expect(await command(it, execute, hello)).toEqual(SUCCESS);
    }
  });

  test("other versions are told why, and garbage gets an answer or an end, and nobody else suffers", async () => {
    const it = await room();
    const old = await new Line(it.port, { type: "client-hello", role: "client", version: 9 }).end();
    expect(old).toEqual([{ type: "failure", message: "version 9 is not known here: client 11 to 13" }]);
    expect(await command(it, frame(new Uint8Array([0xa8, 2, 5, 0])))).toMatchObject([{ type: "failure" }]);
    expect(await command(it, frame(new Uint8Array([0xaf, 2, 5, 0, 0x78])))).toMatchObject([
      { type: "failure" },
    ]);
    for (const bytes of ["ffffffffffffffff", "0000000000000000", "00000000ffffffff00"]) {
      expect(await new Line(it.port, Buffer.from(bytes, "hex")).end()).toEqual([]);
    }
    const worker = new Line(it.port, WORKER, { type: "job-requested", platform: "../x" });
    expect(await worker.end()).toEqual([{ type: "server-hello" }]);
    expect(await command(it, { type: "info" })).toHaveLength(2);
  });
});

test("a port that another program has is said, and nothing else suffers", async () => {
  const it = await room();
  const reports: string[] = [];
  const second = listenBuilder({
    ...{ service: it.service, host: "127.0.0.1", port: it.port },
    report: (text) => void reports.push(text),
  });
  await until("it is said", () => reports.length > 0);
  expect(reports[0]).toContain("another program has the port");
  second.stop();
  expect(await command(it, { type: "info" })).toHaveLength(2);
});

describe("a whole job", () => {
  test("a client schedules and observes what a worker builds, from the first line to the end", async () => {
    const it = await room();
    const worker = new Line(it.port, WORKER, { type: "job-requested", platform: "debian-12" });
    await worker.saw("server-hello");
    expect(await command(it, script("hello"))).toEqual(SUCCESS);
    const { uuid, job } = await worker.saw("job-schedule");
    expect(job).toEqual({ name: "hello", script: "#!/bin/sh\necho hi\n", platform: "debian-12" });
    for (let i = 0; i < 500; i++) worker.send(line(uuid, `line ${i}`));
    const early = new Line(it.port, CLIENT, { type: "observe", uuid });
    await early.saw("output");
    const late = new Line(it.port, CLIENT, { type: "observe", uuid });
    await late.saw("output");
    const bytes = new Uint8Array(300_000).map((_, i) => i % 251);
    worker.send({
      ...{ type: "job-finished", uuid, result: { kind: "exited", code: 0 } },
      files: [{ path: "bin/hello.hvt", bytes }],
    });
    for (const observer of [early, late]) {
      const seen = (await observer.end()).slice(1);
      const texts = seen.flatMap((one) =>
        one.type === "output" ? [new TextDecoder().decode(one.output)] : [],
      );
      expect(texts).toEqual([...Array.from({ length: 500 }, (_, i) => `line ${i}`), "exited 0"]);
      expect(seen.at(-1)).toEqual({ type: "success" });
    }
    const build = it.store.kept.get(uuid)!;
    expect(it.store.bytes.get(build.files[0]!.content.id)).toEqual(Buffer.from(bytes));
    expect(build.console).toHaveLength(500);
  });

  test("a worker that is lost leaves its console, and its observers an end", async () => {
    const it = await room();
    await command(it, script("hello"));
    const worker = new Line(it.port, WORKER, { type: "job-requested", platform: "debian-12" });
    const { uuid } = await worker.saw("job-schedule");
    worker.send(line(uuid, "so far"));
    const observer = new Line(it.port, CLIENT, { type: "observe", uuid });
    await observer.saw("output");
    worker.socket.destroy();
    const seen = await observer.end();
    const last = seen.at(-2);
    expect(last?.type === "output" ? new TextDecoder().decode(last.output) : "").toBe(
      "execution aborted: end of file",
    );
    await until("the build is kept", () => it.store.kept.get(uuid));
    expect(it.store.console(uuid)).toEqual(["so far"]);
    expect(it.service.queue("debian-12" as Platform)).toMatchObject([{ job: "hello", attempts: 1 }]);
  });

  test("a worker that leaves while it waits gets no job", async () => {
    const it = await room();
    const worker = new Line(it.port, WORKER, { type: "job-requested", platform: "debian-12" });
    await worker.saw("server-hello");
    await until("it waits", () => it.service.desk.workers().length === 1);
    worker.socket.destroy();
    await until("it has left", () => it.service.desk.workers().length === 0);
    await command(it, script("hello"));
    expect(it.service.queue("debian-12" as Platform)).toHaveLength(1);
  });

  test("files that lead out of the build are refused", async () => {
    const it = await room();
    await command(it, script("hello"));
    const worker = new Line(it.port, WORKER, { type: "job-requested", platform: "debian-12" });
    const { uuid } = await worker.saw("job-schedule");
    const files = [{ path: "../../etc/passwd", bytes: new Uint8Array([1]) }];
    worker.send({ type: "job-finished", uuid, result: { kind: "exited", code: 0 }, files });
    await worker.end();
    expect((await until("it is kept", () => it.store.kept.get(uuid))).files).toEqual([]);
  });
});
