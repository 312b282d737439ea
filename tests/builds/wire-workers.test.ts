/** Workers of builder's protocol that are slow, hostile, or die: the job is tried again or ends, and the server lives. */
import { describe, expect, test } from "bun:test";
import type { JobName, Platform } from "../../src/builds/api.ts";
import { ATTEMPTS_MAX } from "../../src/builds/runs/life.ts";
import { LINE_MAX } from "../../src/builds/runs/console.ts";
import { DEFAULT_SETTINGS } from "../../src/builds/schedule/settings.ts";
import { MIB } from "../../src/lib/units.ts";
import { frame, frameHeader, messageFrame } from "../../src/protocols/builder/framing.ts";
import type { Message } from "../../src/protocols/builder/messages.ts";
import { until } from "../robur.ts";
import { CLIENT, Line, type Room, WORKER, room } from "./wire-room.ts";

const DEBIAN = "debian-12" as Platform;
const HELLO = "hello" as JobName;
const REQUEST: Message = { type: "job-requested", platform: DEBIAN };
const hex = (text: string) => frame(Buffer.from(text, "hex"));

/** A job that waits. */
async function waiting(): Promise<Room> {
  const it = await room();
  const work = { kind: "script" as const, script: "#!/bin/sh\necho hi\n" };
  it.service.dispatch({
    ...{ kind: "schedule", name: HELLO },
    settings: { ...DEFAULT_SETTINGS, work, platforms: [DEBIAN] },
  });
  return it;
}

/** A worker that was given the job. */
async function working(it: Room): Promise<{ worker: Line; uuid: string }> {
  const worker = new Line(it.port, WORKER, REQUEST);
  const { uuid } = await worker.saw("job-schedule");
  return { worker, uuid };
}

const output = (uuid: string, text: string | Uint8Array): Message => ({
  ...{ type: "output", uuid, timestamp: undefined },
  output: typeof text === "string" ? new TextEncoder().encode(text) : text,
});
const finished = (uuid: string, files: { path: string; bytes: Uint8Array }[] = []): Message => ({
  ...{ type: "job-finished", uuid, result: { kind: "exited", code: 0 }, files },
});

/** The attempt is a build with the reason, and the run waits for its next attempt. */
async function isTriedAgain(it: Room, uuid: string, why: string): Promise<void> {
  const kept = await until("the attempt is kept", () => it.store.kept.get(uuid));
  expect(kept.result).toEqual({ kind: "message", text: expect.stringContaining(why) as never });
  expect(it.service.queue(DEBIAN)).toMatchObject([{ job: HELLO, state: "queued", attempts: 1 }]);
}

describe("a slow worker", () => {
  test("that says one byte at a time is understood", async () => {
    const it = await waiting();
    const worker = new Line(it.port);
    const say = async (bytes: Uint8Array) => {
      for (const byte of bytes) {
        worker.send(Uint8Array.of(byte));
        await Bun.sleep(0);
      }
    };
    await say(Buffer.concat([messageFrame(WORKER), messageFrame(REQUEST)]));
    const { uuid } = await worker.saw("job-schedule");
    const files = [{ path: "bin/a", bytes: Uint8Array.of(1, 2, 3) }];
    await say(Buffer.concat([output(uuid, "hi"), finished(uuid, files)].map(messageFrame)));
    await worker.end();
    expect(it.store.console(uuid)).toEqual(["hi"]);
    expect(it.store.kept.get(uuid)!.files.map(({ path }) => path)).toEqual(["bin/a"]);
  });

  test("that sends its request and its end before it was asked is taken at its word, with the job's own id", async () => {
    const it = await waiting();
    const other = crypto.randomUUID();
    const worker = new Line(it.port, WORKER, REQUEST, output(other, "early"), finished(other));
    const { uuid } = await worker.saw("job-schedule");
    await worker.end();
    expect(it.store.console(uuid)).toEqual(["early"]);
    expect(it.service.findRun("hello:1")).toMatchObject({ state: "finished", outcome: "exited 0" });
  });
});

describe("a line", () => {
  test("of many megabytes comes in pieces, and its bytes are kept", async () => {
    const it = await waiting();
    const { worker, uuid } = await working(it);
    const text = new Uint8Array(3 * LINE_MAX + 5).fill(120);
    worker.send(output(uuid, text));
    worker.send(output(uuid, Uint8Array.of(0xff, 0x0d, 0x1b)));
    worker.send(output(uuid, ""));
    worker.send(finished(uuid));
    await worker.end();
    const lines = it.store.kept.get(uuid)!.console;
    expect(lines.map((line) => line.text.length)).toEqual([LINE_MAX, LINE_MAX, LINE_MAX, 5, 3, 0]);
    expect([...lines[4]!.text]).toEqual([0xff, 0x0d, 0x1b]);
  });

  test("with line ends in it is some lines", async () => {
    const it = await waiting();
    const { worker, uuid } = await working(it);
    worker.send(output(uuid, "a\nb\n\nc"));
    worker.send(finished(uuid));
    await worker.end();
    expect(it.store.console(uuid)).toEqual(["a", "b", "", "c"]);
  });
});

describe("a worker that dies", () => {
  test("in the middle of a line, of a file, or of a frame's header leaves a build that says so", async () => {
    for (const cut of [
      (uuid: string) => messageFrame(output(uuid, "x".repeat(5_000_000))).subarray(0, 3_000_000),
      (uuid: string) =>
        messageFrame(finished(uuid, [{ path: "bin/a", bytes: new Uint8Array(5_000_000) }])).subarray(
          0,
          3_000_000,
        ),
      () => Uint8Array.of(0, 0, 0),
    ]) {
      const it = await waiting();
      const { worker, uuid } = await working(it);
      worker.send(output(uuid, "so far"));
      worker.send(cut(uuid));
      worker.socket.end();
      await isTriedAgain(it, uuid, "end of file");
      expect(it.store.console(uuid)[0]).toBe("so far");
      expect(it.store.kept.get(uuid)!.files).toEqual([]);
    }
  });

  test("again and again ends the run, after pauses that grow", async () => {
    const it = await waiting();
    const pauses: number[] = [];
    for (let i = 1; i <= ATTEMPTS_MAX; i++) {
      const { worker } = await working(it);
      worker.socket.destroy();
      const run = await until("it is lost", () => {
        const run = it.service.findRun("hello:1")!;
        return run.state !== "running" && run.attempts === i && run;
      });
      pauses.push(run.notBefore - it.now);
      it.now = Math.max(it.now, run.notBefore) + 1;
    }
    expect(it.service.findRun("hello:1")).toMatchObject({
      ...{ state: "finished", outcome: "execution aborted: end of file, 3 times" },
    });
    expect(pauses[1]).toBeGreaterThan(3 * pauses[0]!);
  });

  test("a job that its worker doesn't end after its time is a time-out, and waits for long", async () => {
    const it = await waiting();
    const { worker, uuid } = await working(it);
    worker.send(output(uuid, "begun"));
    await until("the line is there", () => it.service.findRun("hello:1")!.lines === 1);
    it.now += DEFAULT_SETTINGS.timeoutMs + 1;
    it.service.tick();
    await isTriedAgain(it, uuid, "timeout");
    expect(it.service.queue(DEBIAN)[0]!.notBefore).toBeGreaterThanOrEqual(it.now + 10 * 60_000);
    // Its connection is ended: its worker learns that nobody wants it any more.
    await worker.end();
  });
});

describe("a hostile worker", () => {
  test("that says what no worker says is left, and its job doesn't hang in the running ones", async () => {
    const cases: [string, (uuid: string) => Message | Uint8Array, string][] = [
      ["a command", () => ({ type: "drop-platform", platform: DEBIAN }), "a worker said drop-platform"],
      [
        "a line with a time",
        (uuid) => ({ ...output(uuid, "x"), timestamp: 5n }) as Message,
        "a worker said output",
      ],
      ["no DER", () => hex("ffffffff"), ""],
      ["a retired tag", () => hex("a8020500"), ""],
      ["trailing bytes", () => hex("af02050078"), ""],
      ["a frame of 2^63 bytes", () => Buffer.from("8000000000000000", "hex"), "is more than"],
      [
        "a large frame of nothing",
        () => Buffer.concat([frameHeader(2_000_000), Buffer.alloc(2_000_000)]),
        "neither a line nor",
      ],
      [
        "a file that leads out",
        (uuid) => finished(uuid, [{ path: "../x", bytes: Uint8Array.of(1) }]),
        "leads out of the build",
      ],
      [
        "an absolute file",
        (uuid) => finished(uuid, [{ path: "/etc/x", bytes: Uint8Array.of(1) }]),
        "leads out of the build",
      ],
      ["a file's length that lies", (uuid) => hex(lying(uuid)), ""],
    ];
    for (const [what, say, why] of cases) {
      const it = await waiting();
      const { worker, uuid } = await working(it);
      worker.send(say(uuid));
      await worker.end();
      await isTriedAgain(it, uuid, why);
      expect([what, it.service.runningAttempts()]).toEqual([what, []]);
    }
  });

  test("that sends without end while it waits for a job makes nobody hold it", async () => {
    const it = await room();
    const worker = new Line(it.port, WORKER, REQUEST);
    await worker.saw("server-hello");
    worker.send(frameHeader(400 * MIB));
    for (let i = 0; i < 64; i++) worker.send(new Uint8Array(MIB));
    // Others are answered meanwhile.
    for (let i = 0; i < 20; i++) {
      const other = new Line(it.port, CLIENT, { type: "info" });
      expect((await other.end()).map(({ type }) => type)).toEqual(["server-hello", "info-reply", "success"]);
    }
    // What the kernel's buffers don't take stays with who sends it.
    expect(worker.socket.writableLength).toBeGreaterThan(40 * MIB);
    expect(it.service.desk.workers()).toHaveLength(1);
  });

  test("of another version, or for no platform, gets no job", async () => {
    const it = await waiting();
    const old = await new Line(it.port, { type: "client-hello", role: "worker", version: 4 }, REQUEST).end();
    expect(old).toEqual([{ type: "failure", message: "version 4 is not known here: worker 5" }]);
    for (const platform of ["", "..", "a/b", "a\0b", "x".repeat(200)]) {
      const seen = await new Line(it.port, WORKER, { type: "job-requested", platform }).end();
      expect([platform, seen.map(({ type }) => type)]).toEqual([platform, ["server-hello"]]);
    }
    expect(it.service.queue(DEBIAN)).toHaveLength(1);
  });
});

/** An end with a file that claims more bytes than its message has. */
function lying(uuid: string): string {
  const id = uuid.replaceAll("-", "");
  return `a33230300c10${id}a003020100301730150c0d62696e2f68656c6c6f2e6876740c7f7f454c46`;
}
