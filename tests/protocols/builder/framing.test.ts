import { expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  FrameError,
  FrameReader,
  frame,
  frameHeader,
  readFrames,
  readMessages,
} from "../../../src/protocols/builder/framing.ts";
import { DerError } from "../../../src/protocols/der/der-error.ts";

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const value of values) found.push(value);
  return found;
}

test("frames come out whole however the bytes come in", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 40 })),
      fc.integer({ min: 1, max: 50 }),
      (payloads, size) => {
        const bytes = Buffer.concat(payloads.map(frame));
        const reader = new FrameReader();
        const found: Uint8Array[] = [];
        for (let at = 0; at < bytes.length; at += size)
          found.push(...reader.push(bytes.subarray(at, at + size)));
        reader.finish();
        expect(found).toEqual(payloads);
      },
    ),
  );
});

test("a frame above the cap is refused at its header, whatever it claims", () => {
  const reader = new FrameReader(100);
  expect(reader.push(frame(new Uint8Array(100)))).toHaveLength(1);
  expect(() => reader.push(frameHeader(101))).toThrow(FrameError);
  for (const header of ["ffffffffffffffff", "8000000000000000", "7fffffffffffffff"]) {
    expect(() => new FrameReader().push(Buffer.from(header, "hex"))).toThrow(/is more than the/);
  }
});

test("the end within a frame is said", () => {
  for (const bytes of [frameHeader(0).subarray(0, 7), frameHeader(1)]) {
    const reader = new FrameReader();
    expect(reader.push(bytes)).toEqual([]);
    expect(() => reader.finish()).toThrow(/end of file/);
  }
});

test("room is made for what came, not for what was announced", () => {
  const reader = new FrameReader();
  const before = process.memoryUsage().rss;
  for (let i = 0; i < 50; i++) new FrameReader().push(frameHeader(1 << 30));
  reader.push(frameHeader(1 << 30));
  expect(process.memoryUsage().rss - before).toBeLessThan(64 << 20);
});

test("a stream's frames are read one after the other, large ones as they come", async () => {
  const bytes = Buffer.concat([
    frame(Uint8Array.of(1)),
    frame(new Uint8Array(10_000)),
    frame(Uint8Array.of(2)),
  ]);
  const seen: number[] = [];
  for await (const open of readFrames(pieces(bytes, 1000))) {
    if (open.length < 100) {
      seen.push((await open.bytes(100))[0]!);
      continue;
    }
    await expect(open.bytes(100)).rejects.toThrow(FrameError);
    let size = 0;
    for await (const part of open.stream()) size += part.length;
    seen.push(size);
  }
  expect(seen).toEqual([1, 10_000, 2]);
});

test("messages of a stream", async () => {
  const bytes = Buffer.concat(
    ["ae093007a002050002010d", "a6020500"].map((text) => frame(Buffer.from(text, "hex"))),
  );
  const messages = await all(readMessages(pieces(bytes, 3)));
  expect(messages.map(({ type }) => type)).toEqual(["client-hello", "info"]);
  await expect(all(readMessages(pieces(bytes.subarray(0, -1), 3)))).rejects.toThrow(DerError);
  await expect(all(readMessages(pieces(bytes, 3), 8))).rejects.toThrow(FrameError);
});
