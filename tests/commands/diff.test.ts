import { describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { recordBytes, utf8 } from "../store/builds/lab.ts";
import { run, temporaryDirectory } from "../robur.ts";
import { generateExport } from "../opam/generate-export.ts";
import { TestServer } from "./client-server.ts";

const HELLO = join(import.meta.dir, "../../assets/hello/hello.hvt");

/** What orb leaves of a build. */
function makeBuild(name: string, opam: string, environment = "OS=linux\nSOURCE_DATE_EPOCH=1"): string {
  const directory = join(temporaryDirectory(), name);
  mkdirSync(join(directory, "bin"), { recursive: true });
  writeFileSync(join(directory, "opam-switch"), opam);
  writeFileSync(join(directory, "build-environment"), environment);
  writeFileSync(join(directory, "system-packages"), "zlib1g=1.2\n");
  cpSync(HELLO, join(directory, "bin/hello.hvt"));
  return directory;
}

describe("robur diff of files", () => {
  const left = makeBuild("left", generateExport());
  const right = makeBuild("right", generateExport({ upgraded: [3] }), "OS=linux\nSOURCE_DATE_EPOCH=2");

  test("ends with 0 where nothing but time and place differs", async () => {
    const same = makeBuild("same", generateExport(), "OS=linux\nSOURCE_DATE_EPOCH=2");
    const { code, stdout, stderr } = await run(["diff", left, same]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("same output: bin/hello.hvt");
    expect(stdout).toContain("no differences but those of time and place");
  });
  test("ends with 1 and says what differs, without colours where nobody looks", async () => {
    const { code, stdout } = await run(["diff", left, right]);
    expect(code).toBe(1);
    expect(stdout).toContain("! lib-3.4.3.3 -> 4.3.9");
    expect(stdout).not.toContain("\x1b");
  });
  test("writes JSON and Markdown, and nothing when asked for silence", async () => {
    const json = await run(["diff", left, right, "--json"]);
    expect(JSON.parse(json.stdout)).toMatchObject({
      left: { name: left },
      isSameOutput: true,
      opam: { state: "compared", versions: [{ name: "lib-3", isUpgrade: true }] },
    });
    const markdown = await run(["diff", left, right, "--format", "markdown"]);
    expect(markdown.stdout).toStartWith("### Different: `");
    expect(await run(["diff", left, right, "-q"])).toMatchObject({ code: 1, stdout: "", stderr: "" });
  });
  test("looks into main binaries that differ", async () => {
    const other = makeBuild("other", generateExport());
    cpSync(HELLO.replace(".hvt", ".spt"), join(other, "bin/hello.hvt"));
    const { code, stdout } = await run(["diff", left, other]);
    expect(code).toBe(1);
    expect(stdout).toContain("! hvt, ABI version 2 -> spt, ABI version 2\n");
    expect(stdout).toMatch(/! \.text \d+ -> \d+ bytes/);
  });
  test("reads a record that builder keeps, alone or as full in its directory", async () => {
    const directory = temporaryDirectory();
    const files = [
      ["bin/hello.hvt", new Uint8Array(await Bun.file(HELLO).arrayBuffer())],
      ["opam-switch", generateExport()],
      ["build-environment", "OS=linux"],
      ["system-packages", "zlib1g=1.2\n"],
    ] as const;
    const console = ["one", "two"].map((text, i) => ({ delta: BigInt(i), text: utf8(text) }));
    await Bun.write(join(directory, "full"), await recordBytes({ files, console }));
    expect(await run(["diff", directory, join(directory, "full")])).toMatchObject({ code: 0 });
    const failed = await recordBytes({
      files: [],
      result: { kind: "exited", code: 2 },
      console: console.slice(0, 1),
    });
    await Bun.write(join(directory, "failed"), failed);
    const { code, stdout } = await run(["diff", join(directory, "full"), join(directory, "failed")]);
    expect(code).toBe(1);
    expect(stdout).toContain("exited 0 -> exited 2");
    expect(stdout).toContain("first difference in line 2\n");
    expect(stdout).toContain(
      "hello@08455214-8a9b-413a-b116-a65353dc0743  debian-12, 2024-09-04 10:11 UTC, exited 0",
    );
  });

  const empty = temporaryDirectory();
  const secret = temporaryDirectory();
  symlinkSync("/nonexistent", join(secret, "opam-switch"));
  const trouble: readonly (readonly [string, readonly string[], string])[] = [
    ["a missing directory", [left, "/nonexistent/build"], "there is no such file or directory"],
    ["a directory without a build", [left, empty], "it holds no build"],
    ["links, which it doesn't follow", [left, secret], "it holds no build"],
    ["a file that is no record", [left, join(left, "opam-switch")], "it is no record of a build"],
    ["one build", [left], "need at least 2"],
    ["an unknown format", [left, right, "--format", "xml"], "xml"],
    ["a build here and one that is kept", [left, "hello"], "is here and the other build is on the server"],
    ["no server", ["hello", "world", "--host", "unix:///nonexistent/socket"], "no server runs here"],
  ];
  for (const [name, args, message] of trouble) {
    test(`ends with 2 for ${name}`, async () => {
      const { code, stdout, stderr } = await run(["diff", ...args]);
      expect([code, stdout]).toEqual([2, ""]);
      expect(stderr).toContain(message);
      expect(stderr).not.toContain("fault in robur");
    });
  }
});

describe("robur diff of kept builds", () => {
  test("asks the server, by job and by id", async () => {
    await using server = await TestServer.start();
    const post = async (uuid: string, opam: string, main: string) => {
      const body = await recordBytes({
        uuid,
        files: [
          ["bin/hello.hvt", new Uint8Array(await Bun.file(main).arrayBuffer())],
          ["opam-switch", opam],
        ],
      });
      const response = await fetch("http://localhost/upload", {
        ...{ method: "POST", body, unix: server.socket },
        headers: { "content-type": "application/octet-stream" },
      });
      if (!response.ok) throw new Error(await response.text());
    };
    await post("08455214-8a9b-413a-b116-a65353dc0743", generateExport(), HELLO);
    await post(
      "18455214-8a9b-413a-b116-a65353dc0743",
      generateExport({ edited: [5] }),
      HELLO.replace(".hvt", ".spt"),
    );
    const ask = (...args: string[]) => run(["diff", ...args, "--host", `unix://${server.socket}`]);
    const { code, stdout } = await ask("hello@0845", "18455214-8a9b-413a-b116-a65353dc0743");
    expect([code, stdout]).toEqual([1, expect.stringContaining("+++ right/lib-5/opam")]);
    expect(stdout).toMatch(/! \.text \d+ -> \d+ bytes/);
    const outside = await ask("hello@0845", "hello@1845", "--no-binary");
    expect([outside.code, outside.stderr]).toEqual([1, ""]);
    expect(outside.stdout).not.toContain(".text");
    expect(await ask("hello@0845", "hello@0845")).toMatchObject({ code: 0 });
    expect(await ask("hello@0845", "hello@9999")).toMatchObject({ code: 2, stdout: "" });
  });
});
