import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { encodeMessage } from "../../../src/protocols/builder/messages.ts";
import { writeRecord } from "../../../src/protocols/builder/record-writer.ts";
import {
  type ConsoleEntry,
  ENTRY,
  type RecordLimits,
  readJobFinished,
  readRecord,
} from "../../../src/protocols/builder/record.ts";
import type { Result } from "../../../src/protocols/builder/result-text.ts";
import { decode } from "../../../src/protocols/der/der.ts";
import { DerError } from "../../../src/protocols/der/der-error.ts";

const hex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));

/** The record of the wire's reference. */
const KNOWN = hex(
  "a0819f30819c30280c0568656c6c6f0c1223212f62696e2f73680a6563686f2068690a30000c0964656269616e2d31320c10001122334455" +
    "66778899aabbccddeeff3018300a020459682f000c026869300a0201030c0566697273743026180f32303236303130323033303430355a" +
    "181332303236303130323033303530352e3235305aa003020100301730150c0d62696e2f68656c6c6f2e6876740c047f454c46",
);
const OF_0_1 = hex(
  "a0683066301d0c0568656c6c6f0c1223212f62696e2f73680a6563686f2068690a30000c1000112233445566778899aabbccddeeff300c30" +
    "0a0201030c056669727374301e170d3236303130323033303430355a170d3236303130323033303530355aa0030201003000",
);
const FULL = readFileSync(join(import.meta.dir, "../../vectors/builder/files/full-hello.bin"));

interface Whole {
  name: string;
  script: Uint8Array;
  platform: string;
  uuid: string;
  startedAt: number;
  finishedAt: number;
  result: Result;
  /** Oldest first. */
  console: ConsoleEntry[];
  files: { path: string; bytes: Uint8Array; offset: number }[];
  frame: Uint8Array;
}

async function* pieces(bytes: Uint8Array, size = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function readWhole(
  stream: AsyncIterable<Uint8Array>,
  limits: Partial<RecordLimits> = {},
): Promise<Whole> {
  const frame: Uint8Array[] = [];
  const whole: Partial<Whole> & Pick<Whole, "console" | "files"> = { console: [], files: [] };
  for await (const part of readRecord(stream, { limits, frame: (bytes) => frame.push(bytes.slice()) })) {
    if (part.kind === "console")
      whole.console.unshift(...part.encoded.map((entry) => decode(ENTRY, entry)).toReversed());
    else if (part.kind === "file") {
      const bytes = await collect(part.bytes());
      whole.files.push({ path: part.path, bytes, offset: part.offset });
    } else {
      const { kind: _, ...fields } = part;
      Object.assign(whole, fields);
    }
  }
  return { ...(whole as Whole), frame: Buffer.concat(frame) };
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part.slice());
  return new Uint8Array(Buffer.concat(parts));
}

function written(whole: Omit<Whole, "frame" | "files"> & { files: { path: string; bytes: Uint8Array }[] }) {
  const files = whole.files.map(({ path, bytes }) => ({
    path,
    size: bytes.length,
    bytes: () => pieces(bytes, 3),
  }));
  return writeRecord(whole, whole.console, files);
}

test("the reference record is read, and written again as it was", async () => {
  const whole = await readWhole(pieces(KNOWN));
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  expect(whole).toMatchObject({
    name: "hello",
    platform: "debian-12",
    uuid: "00112233-4455-6677-8899-aabbccddeeff",
    startedAt: Date.UTC(2026, 0, 2, 3, 4, 5),
    finishedAt: Date.UTC(2026, 0, 2, 3, 5, 5, 250),
    result: { kind: "exited", code: 0 },
  });
  expect(text(whole.script)).toBe("#!/bin/sh\necho hi\n");
  expect(whole.console.map(({ delta, text: bytes }) => [delta, text(bytes)])).toEqual([
    [3n, "first"],
    [1_500_000_000n, "hi"],
  ]);
  expect(whole.files.map(({ path }) => path)).toEqual(["bin/hello.hvt"]);
  const again = written(whole);
  expect(await collect(again.stream())).toEqual(KNOWN);
  expect(again.size).toBe(KNOWN.length);
});

test("a record of 0.1 is read", async () => {
  const whole = await readWhole(pieces(OF_0_1));
  expect(whole).toMatchObject({
    platform: "no-platform",
    startedAt: Date.UTC(2026, 0, 2, 3, 4, 5),
    files: [],
  });
});

test("a record that builder-server wrote comes back byte for byte, from its parts and from its frame", async () => {
  for (const size of [1, 13, 4096, FULL.length]) {
    const whole = await readWhole(pieces(FULL, size));
    expect(whole.files.map(({ path }) => path)).toContain("bin/hello.hvt");
    expect(Buffer.compare(await collect(written(whole).stream()), FULL)).toBe(0);
    let done = 0;
    const parts = whole.files.flatMap(({ offset, bytes }) => {
      const before = whole.frame.subarray(done, offset);
      done = offset;
      return [before, bytes];
    });
    expect(Buffer.concat([...parts, whole.frame.subarray(done)]).equals(FULL)).toBe(true);
  }
});

describe("any record", () => {
  const record = fc.record({
    name: fc.string({ maxLength: 10 }),
    script: fc.uint8Array({ maxLength: 200 }),
    platform: fc.string({ maxLength: 10 }),
    uuid: fc.constant("00112233-4455-6677-8899-aabbccddeeff"),
    startedAt: fc.integer({ min: 0, max: 4e12 }),
    finishedAt: fc.integer({ min: 0, max: 4e12 }),
    result: fc.constantFrom<Result[]>(
      { kind: "signalled", signal: -7 },
      { kind: "message", text: "timeout" },
    ),
    console: fc.array(
      fc.record({ delta: fc.bigInt({ min: 0n, max: 2n ** 62n - 1n }), text: fc.uint8Array() }),
    ),
    files: fc.array(
      fc.record({ path: fc.stringMatching(/^[a-z]{1,9}$/), bytes: fc.uint8Array({ maxLength: 300 }) }),
      { maxLength: 6 },
    ),
  });

  test("comes back, in pieces of any size", async () => {
    await fc.assert(
      fc.asyncProperty(record, fc.integer({ min: 1, max: 700 }), async (value, size) => {
        const { stream, size: announced } = written(value);
        const bytes = await collect(stream());
        expect(bytes.length).toBe(announced);
        const { frame: _, files, ...rest } = await readWhole(pieces(bytes, size));
        expect({ ...rest, files: files.map(({ path, bytes }) => ({ path, bytes })) }).toEqual(value);
      }),
    );
  });

  test("with some bytes changed is a record or a DerError, never anything else", async () => {
    const change = fc.tuple(fc.nat(), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(record, fc.array(change, { minLength: 1, maxLength: 4 }), async (value, changes) => {
        const bytes = await collect(written(value).stream());
        for (const [at, octet] of changes) bytes[at % bytes.length] = octet;
        const error = await readWhole(pieces(bytes, 64)).then(
          () => undefined,
          (error: unknown) => error,
        );
        if (error !== undefined) expect(error).toBeInstanceOf(DerError);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("refused", () => {
  test("a record that is cut off anywhere", async () => {
    for (let end = 0; end < KNOWN.length; end++) {
      await expect(readWhole(pieces(KNOWN.subarray(0, end)))).rejects.toMatchObject({ code: "truncated" });
    }
  });

  test("bytes behind it", async () => {
    await expect(readWhole(pieces(Buffer.concat([KNOWN, Buffer.of(0)])))).rejects.toMatchObject({
      code: "trailing-bytes",
    });
  });

  test("the reserved kind", async () => {
    await expect(readWhole(pieces(hex("a1020500")))).rejects.toMatchObject({ code: "wrong-tag" });
  });

  test.each([
    [{ total: KNOWN.length - 1 }, "a record of"],
    [{ script: 1 }, "the script of"],
    [{ console: 1 }, "a console of"],
    [{ line: -30 }, "a line of the console"],
    [{ path: -10 }, "a path of"],
    [{ files: 0 }, "more than 0 files"],
  ] as const)("what is larger than %p", async (limits, message) => {
    await expect(readWhole(pieces(KNOWN), limits)).rejects.toMatchObject({
      code: "too-large",
      message: expect.stringContaining(message),
    });
  });

  test("a record that announces too much, before its bytes come", async () => {
    let taken = 0;
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      yield hex("a0867fffffffffff");
      for (;;) {
        taken += 1;
        yield new Uint8Array(1000);
      }
    };
    expect(await readWhole(endless()).catch((error: unknown) => error)).toMatchObject({ code: "too-large" });
    expect(taken).toBeLessThan(3);
  });
});

describe("a job's end that is read as it arrives", () => {
  const message = {
    type: "job-finished",
    uuid: "00112233-4455-6677-8899-aabbccddeeff",
    result: { kind: "exited", code: 124 },
    files: [
      { path: "bin/x", bytes: new Uint8Array(70_000).fill(7) },
      { path: "empty", bytes: new Uint8Array(0) },
    ],
  } as const;

  test("is the same as one that is read at once", async () => {
    const payload = encodeMessage(message);
    const files: { path: string; bytes: Uint8Array }[] = [];
    for await (const part of readJobFinished(pieces(payload))) {
      if (part.kind === "end")
        expect(part).toEqual({ kind: "end", uuid: message.uuid, result: message.result });
      else {
        const bytes = await collect(part.bytes());
        expect(payload.subarray(part.offset, part.offset + part.size)).toEqual(bytes);
        files.push({ path: part.path, bytes });
      }
    }
    expect(files).toEqual([...message.files]);
  });

  test("is refused when it is cut off, too large, or another message", async () => {
    const payload = encodeMessage(message);
    const read = async (bytes: Uint8Array, limits: Partial<RecordLimits> = {}) => {
      for await (const part of readJobFinished(pieces(bytes), { limits })) {
        if (part.kind === "file") await collect(part.bytes());
      }
    };
    await expect(read(payload.subarray(0, -1))).rejects.toMatchObject({ code: "truncated" });
    await expect(read(payload, { total: 1000 })).rejects.toMatchObject({ code: "too-large" });
    await expect(read(payload, { files: 1 })).rejects.toMatchObject({ code: "too-large" });
    await expect(read(encodeMessage({ type: "success" }))).rejects.toMatchObject({ code: "wrong-tag" });
  });
});

test("an error says what was wrong, and at which byte of the record", async () => {
  const bytes = KNOWN.slice();
  const started = Buffer.from(bytes).indexOf("20260102030405Z");
  bytes.set(Buffer.from("20261302"), started);
  await expect(readWhole(pieces(bytes, 7))).rejects.toMatchObject({
    code: "bad-value",
    message: `the times: a time that doesn't exist (at byte ${started - 2})`,
  });
});

test("a file of 100 MB passes through without being held", async () => {
  const size = 100_000_000;
  const chunk = new Uint8Array(65_536);
  const file = async function* (): AsyncGenerator<Uint8Array> {
    for (let left = size; left > 0; left -= chunk.length) yield chunk.subarray(0, left);
  };
  const { stream } = writeRecord(
    {
      name: "large",
      script: new Uint8Array(0),
      platform: "debian-12",
      uuid: "00112233-4455-6677-8899-aabbccddeeff",
      startedAt: 0,
      finishedAt: 0,
      result: { kind: "exited", code: 0 },
    },
    [],
    [{ path: "bin/large", size, bytes: file }],
  );
  Bun.gc(true);
  const before = process.memoryUsage().rss;
  let seen = 0;
  for await (const part of readRecord(stream())) {
    if (part.kind !== "file") continue;
    for await (const bytes of part.bytes()) seen += bytes.length;
  }
  expect(seen).toBe(size);
  expect(process.memoryUsage().rss - before).toBeLessThan(60e6);
});

test("a file that has changed its size is no part of a record", async () => {
  const short = written({
    name: "n",
    script: new Uint8Array(0),
    platform: "p",
    uuid: "00112233-4455-6677-8899-aabbccddeeff",
    startedAt: 0,
    finishedAt: 0,
    result: { kind: "exited", code: 0 },
    console: [],
    files: [],
  });
  expect(await collect(short.stream())).toHaveLength(short.size);
  const lying = writeRecord(
    {
      name: "n",
      script: new Uint8Array(0),
      platform: "p",
      uuid: "00112233-4455-6677-8899-aabbccddeeff",
      startedAt: 0,
      finishedAt: 0,
      result: { kind: "exited", code: 0 },
    },
    [],
    [{ path: "a", size: 10, bytes: () => pieces(new Uint8Array(9)) }],
  );
  await expect(collect(lying.stream())).rejects.toThrow("isn't 10 bytes any more");
});
