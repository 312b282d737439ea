import { expect, setDefaultTimeout, test } from "bun:test";
import * as fc from "fast-check";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { hasPackedName, openSource, packingOf } from "../../../src/orchestrator/volumes/source.ts";
import { MIB, PROJECT, TestRoom, noise } from "./room.ts";

setDefaultTimeout(120_000);

const PROGRAM = `
  const { openSource } = await import(${JSON.stringify(join(PROJECT, "src/orchestrator/volumes/source.ts"))});
  const source = openSource("-", process.argv[1] === "unpack");
  const hash = new Bun.CryptoHasher("sha256");
  for await (const chunk of source.chunks()) hash.update(chunk);
  console.log(hash.digest("hex"), Math.round(process.memoryUsage.rss() / 1048576));`;

const sha256 = (bytes: Uint8Array) => new Bun.CryptoHasher("sha256").update(bytes).digest("hex");

test("any bytes come out as they went in, packed or not", async () => {
  using room = new TestRoom();
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.nat({ max: 3 * MIB }).map((n) => noise(n)),
  );
  const pack = { plain: (b: Uint8Array) => b, zst: zstdCompressSync, gz: gzipSync };
  await fc.assert(
    fc.asyncProperty(bytes, fc.constantFrom("plain", "zst", "gz"), async (content, kind) => {
      // Packed things that are taken as they are, too.
      const path = room.path(`in.${kind}`);
      writeFileSync(path, pack[kind](content));
      const source = openSource(path);
      const pieces: Buffer[] = [];
      for await (const chunk of source.chunks()) pieces.push(Buffer.from(chunk));
      source.close();
      rmSync(path);
      expect(Buffer.concat(pieces).equals(content)).toBe(true);
      expect(source.size).toBe(kind === "plain" ? content.length : undefined);
    }),
    { numRuns: 40 },
  );
});

test("standard input of any length is read in bounded memory, and unpacked only when told", async () => {
  const run = async (input: Uint8Array, ...args: string[]) => {
    const child = Bun.spawn([process.execPath, "-e", PROGRAM, ...args], { stdin: "pipe", stdout: "pipe" });
    // Much more than a pipe holds, piece by piece.
    for (let i = 0; i < input.length; i += 3 * MIB) {
      child.stdin.write(input.subarray(i, i + 3 * MIB));
      await child.stdin.flush();
    }
    child.stdin.end();
    const [hash = "", rss = ""] = (await child.stdout.text()).trim().split(" ");
    return { hash, rss: Number(rss) };
  };
  const content = noise(200 * MIB);
  const plain = await run(content);
  expect(plain.hash).toBe(sha256(content));
  expect(plain.rss).toBeLessThan(120);
  const packed = zstdCompressSync(content);
  const unpacked = await run(packed, "unpack");
  expect(unpacked.hash).toBe(sha256(content));
  expect(unpacked.rss).toBeLessThan(160);
  expect((await run(packed)).hash).toBe(sha256(packed));
});

test("names and first bytes tell what is packed", () => {
  expect(["a.zst", "b.tar.GZ", "c.tgz", "d.zstd"].every(hasPackedName)).toBe(true);
  expect(["a.img", "gz", "a.gz.img", "-"].some(hasPackedName)).toBe(false);
  expect(packingOf(zstdCompressSync(Buffer.from("x")))).toBe("zstd");
  expect(packingOf(gzipSync(Buffer.from("x")))).toBe("gzip");
  expect(packingOf(Buffer.from("\x1f\x8b"))).toBeUndefined();
});
