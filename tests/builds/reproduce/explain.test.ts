import { describe, expect, test } from "bun:test";
import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ZlibOptions, gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { sha256Of } from "../../../src/lib/sha256-of.ts";
import { bytesSource } from "../../../src/image/source.ts";
import { ArchiveError } from "../../../src/builds/reproduce/archive-member.ts";
import { readArchive } from "../../../src/builds/reproduce/archive-members.ts";
import { explainDifference, formatExplanation } from "../../../src/builds/reproduce/explain.ts";
import { compareOutputs, verdictOn } from "../../../src/builds/reproduce/outputs.ts";
import { lacks, needsCommands } from "../../needs.ts";
import { temporaryDirectory } from "../../robur.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const source = (content: string | Uint8Array) =>
  bytesSource(typeof content === "string" ? bytes(content) : content);
const file = (path: string, content: string) => ({ path, size: content.length, sha256: sha256Of(content) });

async function tar(members: Readonly<Record<string, string>>, mtime = 0): Promise<Uint8Array> {
  const archive = pack();
  for (const [name, content] of Object.entries(members))
    archive.entry({ name, mtime: new Date(mtime) }, content);
  archive.finalize();
  const parts: Uint8Array[] = [];
  for await (const part of archive as AsyncIterable<Uint8Array>) parts.push(part);
  return Buffer.concat(parts);
}

function ar(members: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const parts: Uint8Array[] = [bytes("!<arch>\n")];
  for (const [name, content] of Object.entries(members)) {
    const head = `${name.padEnd(16)}${"0".padEnd(12)}${"0".padEnd(6)}${"0".padEnd(6)}${"100644".padEnd(8)}${String(content.length).padEnd(10)}\`\n`;
    parts.push(bytes(head), content, new Uint8Array(content.length % 2));
  }
  return Buffer.concat(parts);
}

describe("the verdict", () => {
  const original = [file("bin/a", "1"), file("opam-switch", "x"), file("a.build-hashes", "y")];

  test("is GOOD when all results are the same, whatever the inputs are", () => {
    const files = compareOutputs(original, [file("bin/a", "1"), file("opam-switch", "other")]);
    expect(files).toEqual([{ path: "bin/a", state: "same", sha256: sha256Of("1") }]);
    expect(verdictOn(files)).toBe("GOOD");
  });

  test("is BAD when one differs, is missing or is new", () => {
    expect(verdictOn(compareOutputs(original, [file("bin/a", "2")]))).toBe("BAD");
    expect(verdictOn(compareOutputs(original, []))).toBe("BAD");
    expect(verdictOn(compareOutputs(original, [file("bin/a", "1"), file("bin/b", "2")]))).toBe("BAD");
    expect(compareOutputs(original, [file("bin/b", "2")]).map(({ state }) => state)).toEqual([
      "missing",
      "new",
    ]);
  });

  test("is UNKNOWN when there was nothing to compare", () => {
    expect(verdictOn(compareOutputs([file("opam-switch", "x")], [file("bin/b", "2")]))).toBe("UNKNOWN");
    expect(verdictOn([])).toBe("UNKNOWN");
  });
});

describe("the explanation", () => {
  test("of a text names the line", async () => {
    const found = await explainDifference("a.txt", source("one\ntwo\nthree\n"), source("one\n2\nthree\n"));
    expect(found.kind).toBe("text");
    expect(found.findings).toContain('line 2: "two" is "2" now');
    const longer = await explainDifference("a.txt", source("one"), source("one\ntwo"));
    expect(longer.findings).toContain('line 2: nothing is "two" now');
  });

  test("of bytes says where they part and which strings only one has", async () => {
    const make = (date: string) =>
      Buffer.concat([Uint8Array.of(0, 1, 2, 3), bytes(date), Uint8Array.of(0, 9)]);
    const found = await explainDifference(
      "blob",
      source(make("built 2026-11-25 04:00")),
      source(make("built 2026-11-26 05:00")),
    );
    expect(found.kind).toBe("bytes");
    expect(found.first?.offset).toBe(4 + "built 2026-11-2".length);
    expect(found.strings).toEqual({ left: ["built 2026-11-25 04:00"], right: ["built 2026-11-26 05:00"] });
    expect(formatExplanation(found).join("\n")).toContain("- built 2026-11-25 04:00");
  });

  test("of a package goes down to the member that differs", async () => {
    const deb = async (content: string) =>
      ar({
        "debian-binary": bytes("2.0\n"),
        "data.tar.gz": gzipSync(await tar({ "./usr/bin/hello": content })),
      });
    const found = await explainDifference(
      "bin/hello.deb",
      source(await deb("one\n")),
      source(await deb("two\n")),
    );
    expect(found.kind).toBe("archive");
    expect(found.members[0]?.path).toBe("bin/hello.deb: data.tar.gz");
    expect(found.members[0]?.members[0]).toMatchObject({
      path: "bin/hello.deb: data.tar.gz: ./usr/bin/hello",
      findings: ['line 1: "one" is "two" now'],
    });
  });

  test("of archives whose members are the same names times, order and packing", async () => {
    const at = async (mtime: number) => source(await tar({ a: "1" }, mtime));
    const times = await explainDifference("x.tar", await at(0), await at(86_400_000));
    expect(times.findings).toEqual([
      "member a: its mtime 1970-01-01T00:00:00.000Z is 1970-01-02T00:00:00.000Z now",
    ]);
    const many = async (mtime: number) => source(await tar({ a: "1", b: "2", c: "3" }, mtime));
    expect((await explainDifference("x.tar", await many(0), await many(86_400_000))).findings).toEqual([
      "member a and 2 more: its mtime 1970-01-01T00:00:00.000Z is 1970-01-02T00:00:00.000Z now",
    ]);
    const order = await explainDifference(
      "x.tar",
      source(await tar({ a: "1", b: "2" })),
      source(await tar({ b: "2", a: "1" })),
    );
    expect(order.findings).toEqual(["the members are in another order"]);
    const plain = await tar({ a: Array.from({ length: 5000 }, (_, i) => `${i * 7919}`).join(" ") });
    const packed = async (left: ZlibOptions, right: ZlibOptions) =>
      (await explainDifference("x.tar.gz", source(gzipSync(plain, left)), source(gzipSync(plain, right))))
        .findings;
    expect(await packed({ memLevel: 9 }, { memLevel: 1 })).toEqual([
      "the members are the same, their packing differs",
    ]);
    expect(await packed({ level: 9 }, { level: 1 })).toEqual(["the packing: its level 2 is 4 now"]);
  });

  test("of a compressed file is about what is in it, and what gzip says of it", async () => {
    const at = (seconds: number, content: string) => {
      const packed = gzipSync(content);
      packed.writeUInt32LE(seconds, 4);
      return source(packed);
    };
    const page = await explainDifference("man/hello.1.gz", at(0, "one\n"), at(86_400, "two\n"));
    expect(page.findings).toEqual(["the packing: its mtime none is 1970-01-02T00:00:00.000Z now"]);
    expect(page.members).toMatchObject([
      { path: "man/hello.1.gz: contents", findings: ['line 1: "one" is "two" now'] },
    ]);
  });

  test.skipIf(lacks(needsCommands("xz", "bzip2")))("looks into what xz and bzip2 have packed", async () => {
    const packed = async (program: string, content: string) => {
      const child = Bun.spawn([program, "-c"], { stdin: bytes(content), stdout: "pipe" });
      return source(await child.stdout.bytes());
    };
    for (const program of ["xz", "bzip2"]) {
      const found = await explainDifference(
        "x",
        await packed(program, "one\n"),
        await packed(program, "two\n"),
      );
      expect(found.members).toMatchObject([
        { path: "x: contents", findings: ['line 1: "one" is "two" now'] },
      ]);
    }
    const damaged = Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 1, 2, 3);
    await expect(readArchive(damaged)).rejects.toThrow("can't be unpacked");
  });

  test.skipIf(lacks(needsCommands("zip")))("of a zip archive goes down to the member", async () => {
    const zip = async (content: string, ...options: string[]) => {
      const directory = temporaryDirectory();
      mkdirSync(join(directory, "sub"));
      writeFileSync(join(directory, "sub/a"), content);
      writeFileSync(join(directory, "b"), "the same");
      for (const name of ["sub/a", "b", "sub"]) utimesSync(join(directory, name), 500_000_000, 500_000_000);
      const made = Bun.spawnSync(["zip", "-q", "-X", "-r", ...options, "x.zip", "sub", "b"], {
        cwd: directory,
      });
      expect(made.exitCode).toBe(0);
      return Bun.file(join(directory, "x.zip")).bytes();
    };
    for (const option of ["-9", "-0"]) {
      const [one, two] = [await zip("one\n".repeat(9), option), await zip("two\n".repeat(9), option)];
      const found = await explainDifference("x.zip", source(one), source(two));
      expect(found.kind).toBe("archive");
      expect(found.findings).toEqual([]);
      expect(found.members).toMatchObject([
        { path: "x.zip: sub/a", findings: ['line 1: "one" is "two" now'] },
      ]);
      for (let cut = 1; cut < one.length; cut += 7) {
        await readArchive(one.subarray(0, cut)).catch((error: unknown) => {
          expect(error).toBeInstanceOf(ArchiveError);
        });
      }
    }
  });

  test("of a long line shows where in it they part", async () => {
    const line = (end: string) => `${"x".repeat(500)}${end}`;
    const found = await explainDifference("a.txt", source(line("one")), source(line("two")));
    expect(found.findings).toEqual([`line 1: "…${"x".repeat(40)}one" is "…${"x".repeat(40)}two" now`]);
  });

  test("takes a damaged archive for bytes, and never looks into a bomb", async () => {
    const good = gzipSync(await tar({ a: "1" }));
    const found = await explainDifference("x", source(good), source(good.subarray(0, good.length - 12)));
    expect(found.kind).toBe("bytes");
    const bomb = gzipSync(new Uint8Array(300 * 1024 * 1024));
    await expect(readArchive(bomb)).rejects.toThrow("too large to look into");
    const lying = Buffer.from(ar({ a: bytes("x") }));
    lying.write("999999999 ", 8 + 48, "latin1");
    await expect(readArchive(lying)).rejects.toThrow("damaged");
  });

  test.skipIf(lacks(needsCommands("gcc")))("of a program names the section and the date in it", async () => {
    const directory = temporaryDirectory();
    const build = async (date: string) => {
      const [code, program] = [join(directory, `${date}.c`), join(directory, date)];
      writeFileSync(
        code,
        `#include <stdio.h>\nconst char message[] = "made on ${date}";\nint main(void) { return puts(message) < 0; }\n`,
      );
      // The file's name must not be what differs.
      const child = Bun.spawn(["gcc", "-x", "c", "-o", program, "-"], { stdin: Bun.file(code) });
      expect(await child.exited).toBe(0);
      return bytesSource(await Bun.file(program).bytes());
    };
    const found = await explainDifference("bin/a", await build("2026-11-25"), await build("2027-12-31"));
    expect(found.kind).toBe("elf");
    expect(found.findings.join("\n")).toMatch(/section \.rodata differs from its byte \d+ on, in message/);
    expect(found.within).toBe(".rodata");
    expect(formatExplanation(found).join("\n")).toMatch(
      /at \.rodata \+ \d+: [0-9a-f]+ {2}\|.*on 2026.*\n +is now: +[0-9a-f]+ {2}\|.*on 2027/,
    );
    expect(found.findings).toContain('the date "2026-11-25" is only in the original');
    expect(found.findings).toContain('the date "2027-12-31" is only in the rebuilt file');
  });
});
