/** `robur worker` for builder-servers that are scripted byte by byte: as the original, dying, hostile, and slow. */
import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { type Socket, createServer } from "node:net";
import { join } from "node:path";
import { FrameReader, frame, messageFrame } from "../../src/protocols/builder/framing.ts";
import { type Message, decodeMessage } from "../../src/protocols/builder/messages.ts";
import { start, temporaryDirectory, until } from "../robur.ts";

/** Payloads of the protocol's description. */
const HELLO = "ae093007a1020500020105";
const HELLO_ANSWER = "af020500";
const REQUEST = "b00b0c0964656269616e2d3132";
const SCHEDULE =
  "a23e303c0c1000112233445566778899aabbccddeeff30280c0568656c6c6f0c1223212f62696e2f73680a6563686f2068690a30000c0964656269616e2d3132";
const OUTPUT = "a41830160c1000112233445566778899aabbccddeeff0c026869";
const FINISHED = "a31b30190c1000112233445566778899aabbccddeeffa0030201003000";
const UUID = "00112233-4455-6677-8899-aabbccddeeff";

const hex = (text: string) => frame(Buffer.from(text, "hex"));
const job = (script: string, name = "hello"): Uint8Array =>
  messageFrame({ type: "job-schedule", uuid: UUID, job: { name, script, platform: "debian-12" } });

/** One connection of a worker: what it said, and a way to answer. */
class Caller {
  readonly socket: Socket;
  readonly payloads: Uint8Array[] = [];
  hasEnded = false;

  constructor(socket: Socket) {
    this.socket = socket;
    const reader = new FrameReader();
    socket.on("data", (bytes: Uint8Array) => void this.payloads.push(...reader.push(bytes)));
    socket.on("close", () => (this.hasEnded = true));
    socket.on("error", () => undefined);
  }

  get messages(): Message[] {
    return this.payloads.map(decodeMessage);
  }

  said(count: number): Promise<boolean> {
    return until(`${count} messages`, () => this.payloads.length >= count);
  }

  async finished(): Promise<Extract<Message, { type: "job-finished" }>> {
    return until("the end of the job", () =>
      this.messages.find((message) => message.type === "job-finished"),
    );
  }

  /** The conversation up to the job. */
  async give(bytes: Uint8Array): Promise<void> {
    await this.said(1);
    this.socket.write(hex(HELLO_ANSWER));
    await this.said(2);
    this.socket.write(bytes);
  }
}

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

/** A server, a worker for it, and the connections that it makes. */
async function scene(...more: readonly string[]) {
  const callers: Caller[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => void callers.push(new Caller(socket)));
  const { promise, resolve } = Promise.withResolvers<number>();
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    resolve(typeof address === "object" && address !== null ? address.port : 0);
  });
  const directory = temporaryDirectory();
  const port = await promise;
  const child = await start([
    ...["worker", "--server", `tcp://127.0.0.1:${port}`, "--platform", "debian-12"],
    ...["--unsafe-no-sandbox", "--data-dir", directory, ...more],
  ]);
  open.push(() => {
    for (const { socket } of callers) socket.destroy();
    server.close();
    child.kill("SIGKILL");
  });
  const caller = (i = 0) => until("a connection", () => callers[i]);
  /** No directory of a job is left, and no process of one. */
  const isClean = () =>
    (readdirSync(join(directory, "jobs")).length === 0 || !existsSync(join(directory, "jobs"))) &&
    readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .every((pid) => !environmentOf(pid).includes(directory));
  return { child, caller, callers, isClean, directory };
}

function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, "latin1");
  } catch {
    return "";
  }
}

describe("a builder-server", () => {
  test("hears, byte by byte, what its own worker would say", async () => {
    const { child, caller, isClean } = await scene("--once");
    const call = await caller();
    await call.give(hex(SCHEDULE));
    await call.said(4);
    expect(call.payloads.map((payload) => Buffer.from(payload).toString("hex"))).toEqual([
      HELLO,
      REQUEST,
      OUTPUT,
      FINISHED,
    ]);
    call.socket.end();
    expect(await child.exited).toBe(0);
    expect(await child.stderr.text()).toMatch(/received job uuid 00112233-.*: name hello on debian-12\n$/);
    await until("nothing is left", isClean);
  });

  test("gets the status, the lines' bytes, and files that are larger than what is held", async () => {
    const { caller } = await scene();
    const cases = [
      ["exit 3", 3],
      ["exit 255", 255],
      ["kill -9 $$", 137],
    ] as const;
    for (const [i, [script, code]] of cases.entries()) {
      const call = await caller(i);
      await call.give(job(`#!/bin/sh\n${script}\n`));
      expect((await call.finished()).result).toEqual({ kind: "exited", code });
      call.socket.end();
    }
    const call = await caller(cases.length);
    const script = String.raw`printf '\377 a\rb\n\nlast'; mkdir -p bin .git d/e; head -c 20000000 /dev/zero > bin/big; printf x > d/e/f; : > empty; echo no > .git/x; ln -s / d/root`;
    await call.give(job(`#!/bin/sh\n${script}\n`));
    const { files } = await call.finished();
    expect(files.map(({ path, bytes }) => [path, bytes.length])).toEqual([
      ["bin/big", 20_000_000],
      ["d/e/f", 1],
      ["empty", 0],
    ]);
    const lines = call.messages.flatMap((message) =>
      message.type === "output" ? [Buffer.from(message.output).toString("latin1")] : [],
    );
    expect(lines).toEqual(["\xff a\rb", "", "last"]);
  });

  test("that dies in the middle ends the job, and the worker comes back for the next", async () => {
    const { caller, child, directory } = await scene();
    const first = await caller();
    await first.give(job("#!/bin/sh\nwhile :; do echo more; sleep 0.01; done\n"));
    await first.said(20);
    first.socket.destroy();
    const second = await caller(1);
    await second.give(job("#!/bin/sh\necho again\n"));
    expect((await second.finished()).result).toEqual({ kind: "exited", code: 0 });
    expect(readdirSync(join(directory, "jobs")).length).toBeLessThan(2);
    second.socket.end();
    await (await caller(2)).said(1);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  });

  test("that gives a silent job up ends it", async () => {
    const { caller, isClean } = await scene();
    const call = await caller();
    await call.give(job("#!/bin/sh\necho begun\nsleep 1000\n"));
    await call.said(3);
    call.socket.end();
    await caller(1);
    await until("nothing is left", isClean);
  });

  test("that speaks one byte at a time is understood", async () => {
    const { caller } = await scene("--once");
    const call = await caller();
    await call.said(1);
    for (const byte of Buffer.concat([hex(HELLO_ANSWER), hex(SCHEDULE)])) {
      call.socket.write(Uint8Array.of(byte));
      await Bun.sleep(0);
    }
    expect((await call.finished()).result).toEqual({ kind: "exited", code: 0 });
    call.socket.end();
  });

  test("that says what it should not is left, with the reason, and nothing is run", async () => {
    const cases: [string, (call: Caller) => void, string][] = [
      ["nothing", (call) => call.socket.end(), "end of file"],
      ["half a header", (call) => call.socket.end(Buffer.from("0000", "hex")), "end of file"],
      [
        "a frame of 2^62 bytes",
        (call) => call.socket.write(Buffer.from("4000000000000000", "hex")),
        "is more than",
      ],
      ["no DER", (call) => call.socket.write(hex("ffff")), ""],
      [
        "another version",
        (call) => call.socket.write(messageFrame({ type: "failure", message: "version 5 is old" })),
        "version 5 is old",
      ],
      ["another message", (call) => call.socket.write(messageFrame({ type: "success" })), "it said success"],
      [
        "no job's name",
        (call) => call.socket.write(Buffer.concat([hex(HELLO_ANSWER), job("touch /tmp/x", "../x")])),
        "can't be a job's name",
      ],
      [
        "another message than a job",
        (call) => call.socket.write(Buffer.concat([hex(HELLO_ANSWER), messageFrame({ type: "info" })])),
        "it said info",
      ],
    ];
    for (const [what, answer, why] of cases) {
      const { child, caller, isClean } = await scene("--once");
      const call = await caller();
      await call.said(1);
      answer(call);
      expect([what, await child.exited]).toEqual([what, 1]);
      const said = await child.stderr.text();
      expect([what, said]).toEqual([what, expect.stringContaining(why)] as never);
      expect(said).toStartWith("error: ");
      expect(isClean()).toBe(true);
    }
  }, 60_000);

  test("a second signal ends the job that runs", async () => {
    const { caller, child, isClean } = await scene();
    const call = await caller();
    await call.give(job("#!/bin/sh\necho begun\nsleep 1000\n"));
    await call.said(3);
    child.kill("SIGTERM");
    child.kill("SIGINT");
    expect((await call.finished()).result).toEqual({ kind: "message", text: "aborted" });
    call.socket.end();
    expect(await child.exited).toBe(0);
    await until("nothing is left", isClean);
  });
});
