import { describe, expect, test } from "bun:test";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { FrameReader, messageFrame } from "../../../src/protocols/builder/framing.ts";
import { type Message, decodeMessage, encodeMessage } from "../../../src/protocols/builder/messages.ts";
import { NEVER } from "../../../src/protocols/builder/times.ts";
import { DerError } from "../../../src/protocols/der/der-error.ts";

const uuid = "00112233-4455-6677-8899-aabbccddeeff";
const script = "#!/bin/sh\necho hi\n";
const platform = "debian-12";
const job = { name: "hello", script, platform };
const time = Date.UTC(2026, 0, 2, 3, 4, 5);
const utf8 = (text: string) => new TextEncoder().encode(text);
const hex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

const JOB = "30280c0568656c6c6f0c1223212f62696e2f73680a6563686f2068690a30000c0964656269616e2d3132";
const ID = "0c1000112233445566778899aabbccddeeff";

const KNOWN: [string, Message, string][] = [
  ["a client's hello", { type: "client-hello", role: "client", version: 13 }, "ae093007a002050002010d"],
  ["a worker's hello", { type: "client-hello", role: "worker", version: 5 }, "ae093007a1020500020105"],
  ["the server's hello", { type: "server-hello" }, "af020500"],
  ["a request", { type: "job-requested", platform }, "b00b0c0964656269616e2d3132"],
  ["a job", { type: "job-schedule", uuid, job }, `a23e303c${ID}${JOB}`],
  ["output", { type: "output", uuid, output: utf8("hi"), timestamp: undefined }, `a4183016${ID}0c026869`],
  [
    "output with its time",
    { type: "output", uuid, output: utf8("hi"), timestamp: 1_500_000_000n },
    `a41e301c${ID}0c026869020459682f00`,
  ],
  [
    "an end with a file",
    {
      type: "job-finished",
      uuid,
      result: { kind: "exited", code: 0 },
      files: [{ path: "bin/hello.hvt", bytes: hex("7f454c46") }],
    },
    `a3323030${ID}a003020100301730150c0d62696e2f68656c6c6f2e6876740c047f454c46`,
  ],
  ["an end by SIGKILL", finished({ kind: "signalled", signal: -7 }), `a31b3019${ID}a1030201f93000`],
  ["an end with 124", finished({ kind: "exited", code: 124 }), `a31b3019${ID}a00302017c3000`],
  ["an end with 255", finished({ kind: "exited", code: 255 }), `a31c301a${ID}a004020200ff3000`],
  ["a timeout", finished({ kind: "message", text: "timeout" }), `a321301f${ID}a3090c0774696d656f75743000`],
  ["a daily job", { type: "schedule", period: "daily", job }, `a530302ea1020500${JOB}`],
  [
    "a weekly orb job",
    { type: "schedule-orb", period: "weekly", job: { name: "hello", opamPackage: "mirage-unikernel-hello" } },
    "ac273025a2020500301f0c0568656c6c6f0c166d69726167652d756e696b65726e656c2d68656c6c6f",
  ],
  [
    "an orb job that is never due",
    { type: "schedule-orb", period: "never", job: { name: "h", opamPackage: "p" } },
    "ac0e300ca302050030060c01680c0170",
  ],
  ["unschedule", { type: "unschedule", name: "hello" }, "a9070c0568656c6c6f"],
  ["info", { type: "info" }, "a6020500"],
  ["observe", { type: "observe", uuid }, `aa12${ID}`],
  ["execute", { type: "execute", name: "hello", platform: undefined }, "b40930070c0568656c6c6f"],
  [
    "execute on",
    { type: "execute", name: "hello", platform },
    "b41430120c0568656c6c6f0c0964656269616e2d3132",
  ],
  [
    "reschedule",
    { type: "reschedule", name: "hello", next: time, period: undefined },
    "ad1a30180c0568656c6c6f180f32303236303130323033303430355a",
  ],
  [
    "reschedule with a period",
    { type: "reschedule", name: "hello", next: time + 678, period: "hourly" },
    "ad2230200c0568656c6c6f181332303236303130323033303430352e3637385aa0020500",
  ],
  ["drop", { type: "drop-platform", platform }, "b10b0c0964656269616e2d3132"],
  ["undrop", { type: "undrop-platform", platform }, "b50b0c0964656269616e2d3132"],
  ["success", { type: "success" }, "b2020500"],
  ["failure", { type: "failure", message: "no such platform" }, "b3120c106e6f207375636820706c6174666f726d"],
  [
    "an empty reply",
    { type: "info-reply", schedule: [], queues: [], running: [], dropped: [] },
    "b60a30083000300030003000",
  ],
  [
    "a reply",
    {
      type: "info-reply",
      schedule: [{ next: time, period: "daily", job: { type: "orb", name: "hello", opamPackage: "p" } }],
      queues: [{ platform, jobs: [{ type: "script", ...job }] }],
      running: [{ started: time, uuid, job }],
      dropped: ["old"],
    },
    "b681bf3081bc30253023180f32303236303130323033303430355aa1020500a10c300a0c0568656c6c6f0c0170" +
      `303b30390c0964656269616e2d3132302ca02a${JOB}` +
      `304f304d180f32303236303130323033303430355a${ID}${JOB}30050c036f6c64`,
  ],
  // Of older versions.
  ["execute before 12", { type: "execute-old", name: "hello" }, "ab070c0568656c6c6f"],
  [
    "a reply before 13",
    {
      type: "info-reply-old",
      schedule: [{ next: time, period: "daily", job: { type: "orb", name: "hello", opamPackage: "p" } }],
      queues: [],
      running: [],
    },
    "a72b302930233021170d3236303130323033303430355aa1020500a10c300a0c0568656c6c6f0c017030003000",
  ],
];

function finished(result: Extract<Message, { type: "job-finished" }>["result"]): Message {
  return { type: "job-finished", uuid, result, files: [] };
}

test.each(KNOWN)("%s is written and read", (_, message, bytes) => {
  expect(hexOf(encodeMessage(message))).toBe(bytes);
  expect(decodeMessage(hex(bytes))).toEqual(message);
});

describe("refused", () => {
  test.each([
    ["a trailing byte", "af02050078", "trailing-bytes"],
    ["half a message", "af", "truncated"],
    ["nothing", "", "truncated"],
    ["a bare NULL", "0500", "wrong-tag"],
    ["tag 30", "be020500", "wrong-tag"],
    ["tag 23", "b7020500", "wrong-tag"],
    ["an INTEGER with a byte too many", "ae0a3008a00205000202000d", "bad-value"],
    ["a length with a byte too many", "ae81093007a002050002010d", "bad-length"],
    ["the hello of 0.1", "a00302010e", "wrong-tag"],
    ["its reply", "a10302010e", "wrong-tag"],
    ["its request", "a8020500", "wrong-tag"],
    ["a UUID of 15 bytes", "aa110c0f00112233445566778899aabbccddee", "bad-value"],
    ["a file without a path", `a3223020${ID}a00302010030073005${"0c000c01"}41`, "bad-value"],
    ["a path with NUL", `a3233021${ID}a003020100300830060c01000c0141`, "bad-value"],
    ["an element too many", "b20405000500", "trailing-bytes"],
  ])("%s", (_, bytes, code) => {
    expect(() => decodeMessage(hex(bytes))).toThrow(expect.objectContaining({ name: "RoburError", code }));
  });

  test("period never for programs that don't know it has no time as UTCTime", () => {
    const item = { next: NEVER, period: "never", job: { type: "script", ...job } } as const;
    const message = { type: "info-reply-old", schedule: [item], queues: [], running: [] } as const;
    expect(() => encodeMessage(message)).toThrow(DerError);
  });
});

test("slashes that follow each other are one, and a job without a platform has none", () => {
  const message = decodeMessage(hex(`a3263024${ID}a003020100300b30090c04612f2f620c0141`));
  expect(message).toMatchObject({ files: [{ path: "a/b" }] });
  const old = decodeMessage(
    hex("a5253023a1020500301d0c0568656c6c6f0c1223212f62696e2f73680a6563686f2068690a3000"),
  );
  expect(old).toMatchObject({ job: { platform: "no-platform" } });
});

describe("conversations that the originals had", () => {
  const vectors = join(import.meta.dir, "../../vectors/builder");
  const files = ["client", "worker"].flatMap((side) =>
    readdirSync(join(vectors, side))
      .filter((name) => name.endsWith(".bin"))
      .sort()
      .map((name) => join(side, name)),
  );

  test("are all here", () => {
    expect(files.length).toBe(38);
  });

  test.each(files)("%s is read and written again as it was", (file) => {
    const bytes = readFileSync(join(vectors, file));
    const reader = new FrameReader();
    // In two pieces that part a frame.
    const payloads = [...reader.push(bytes.subarray(0, 13)), ...reader.push(bytes.subarray(13))];
    reader.finish();
    const again = payloads.map((payload) => messageFrame(decodeMessage(payload)));
    expect(Buffer.concat(again).equals(bytes)).toBe(true);
    expect(payloads.length).toBeGreaterThan(0);
  });
});

describe("any message", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 20 });
  const id = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => {
    const digits = hexOf(bytes);
    return [
      digits.slice(0, 8),
      digits.slice(8, 12),
      digits.slice(12, 16),
      digits.slice(16, 20),
      digits.slice(20),
    ].join("-");
  });
  const instant = fc.integer({ min: Date.UTC(0, 0, 1), max: NEVER });
  const period = fc.constantFrom("hourly" as const, "daily" as const, "weekly" as const, "never" as const);
  const scriptJob = fc.record({ name: text, script: text, platform: text });
  const orbJob = fc.record({ name: text, opamPackage: text });
  const anyJob = fc.oneof(
    scriptJob.map((value) => ({ type: "script" as const, ...value })),
    orbJob.map((value) => ({ type: "orb" as const, ...value })),
  );
  const result = fc.oneof(
    fc.record({ kind: fc.constant("exited" as const), code: fc.maxSafeInteger() }),
    fc.record({ kind: fc.constantFrom("signalled" as const, "stopped" as const), signal: fc.integer() }),
    fc.record({ kind: fc.constant("message" as const), text }),
  );
  const path = fc.stringMatching(/^[a-z.]{1,5}(\/[a-z]{1,5}){0,3}$/);
  const queues = fc.array(fc.record({ platform: text, jobs: fc.array(anyJob, { maxLength: 3 }) }), {
    maxLength: 3,
  });
  const message: fc.Arbitrary<Message> = fc.oneof(
    fc.record({ type: fc.constant("job-schedule" as const), uuid: id, job: scriptJob }),
    fc.record({
      type: fc.constant("job-finished" as const),
      uuid: id,
      result,
      files: fc.array(fc.record({ path, bytes: fc.uint8Array({ maxLength: 300 }) }), { maxLength: 5 }),
    }),
    fc.record({
      type: fc.constant("output" as const),
      uuid: id,
      output: fc.uint8Array(),
      timestamp: fc.option(fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n - 1n }), { nil: undefined }),
    }),
    fc.record({ type: fc.constant("schedule" as const), period, job: scriptJob }),
    fc.record({ type: fc.constant("schedule-orb" as const), period, job: orbJob }),
    fc.record({
      type: fc.constant("reschedule" as const),
      name: text,
      next: instant,
      period: fc.option(period, { nil: undefined }),
    }),
    fc.record({
      type: fc.constant("execute" as const),
      name: text,
      platform: fc.option(text, { nil: undefined }),
    }),
    fc.record({ type: fc.constantFrom("unschedule" as const, "execute-old" as const), name: text }),
    fc.record({
      type: fc.constantFrom("job-requested" as const, "drop-platform" as const, "undrop-platform" as const),
      platform: text,
    }),
    fc.record({
      type: fc.constant("client-hello" as const),
      role: fc.constantFrom("client" as const, "worker" as const),
      version: fc.integer(),
    }),
    fc.record({ type: fc.constant("failure" as const), message: text }),
    fc.record({
      type: fc.constant("info-reply" as const),
      schedule: fc.array(fc.record({ next: instant, period, job: anyJob }), { maxLength: 3 }),
      queues,
      running: fc.array(fc.record({ started: instant, uuid: id, job: scriptJob }), { maxLength: 3 }),
      dropped: fc.array(text, { maxLength: 3 }),
    }),
  );

  test("comes back as it was", () => {
    fc.assert(
      fc.property(message, (value) => {
        expect(decodeMessage(encodeMessage(value))).toEqual(value);
      }),
    );
  });

  test("with some bytes changed or cut off is a message or a DerError, never anything else", () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(message, changes, fc.nat(), (value, changed, end) => {
        const bytes = encodeMessage(value).slice();
        for (const [at, octet] of changed) bytes[at % bytes.length] = octet;
        for (const some of [bytes, bytes.subarray(0, end % (bytes.length + 1))]) {
          try {
            decodeMessage(some);
          } catch (error) {
            expect(error).toBeInstanceOf(DerError);
          }
        }
      }),
      { numRuns: 3000 },
    );
  });
});
