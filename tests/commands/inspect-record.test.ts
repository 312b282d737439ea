// `robur inspect-record`, and builder-inspect by its own name.
import { describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { recordBytes, utf8 } from "../store/builds/lab.ts";
import { run, temporaryDirectory } from "../robur.ts";

const VECTORS = join(import.meta.dir, "../vectors/builder/files");
const FULL = join(VECTORS, "full-hello.bin");

/** A new directory, with a record in it. */
async function withRecord(files: readonly (readonly [string, string])[]): Promise<string> {
  const here = temporaryDirectory();
  writeFileSync(join(here, "full"), await recordBytes({ files }));
  mkdirSync(join(here, "out"));
  return here;
}

describe("builder-inspect", () => {
  test("prints what the original printed", async () => {
    const { code, stdout } = await run([FULL, "--job", "--console"], { as: "builder-inspect" });
    expect(stdout).toBe(readFileSync(join(VECTORS, "full-hello.inspect.txt"), "utf8"));
    expect(code).toBe(0);
  });

  test("prints the script as it is, and nothing that wasn't asked for", async () => {
    const { stdout } = await run([FULL, "--script"], { as: "builder-inspect" });
    expect(stdout).toBe(readFileSync(join(VECTORS, "hello-1.sh"), "utf8"));
    expect(await run([FULL], { as: "builder-inspect" })).toMatchObject({ code: 0, stdout: "", stderr: "" });
  });

  test("ends with 123 for errors and 124 for wrong arguments", async () => {
    expect(await run(["/nonexistent/full"], { as: "builder-inspect" })).toMatchObject({
      code: 123,
      stdout: "",
    });
    expect(await run([], { as: "builder-inspect" })).toMatchObject({ code: 124, stdout: "" });
    expect(await run([FULL, "--wrong"], { as: "builder-inspect" })).toMatchObject({ code: 124, stdout: "" });
  });

  test("writes a console as OCaml writes strings", async () => {
    const here = temporaryDirectory();
    const console = [
      { delta: 999_999n, text: Uint8Array.of(0xff, 0, 9, 34, 92, 127) },
      { delta: 1_500_000_000n, text: utf8("é\n") },
    ];
    writeFileSync(
      join(here, "full"),
      await recordBytes({ console, result: { kind: "signalled", signal: -7 } }),
    );
    const { stdout } = await run(["full", "--console"], { as: "builder-inspect", cwd: here });
    expect(stdout.split("\n").slice(1, 4)).toEqual([
      '0ms: "\\255\\000\\t\\"\\\\\\127"',
      '1500ms: "\\195\\169\\n"',
      "signalled -7",
    ]);
  });
});

describe("robur inspect-record", () => {
  test("shows job, result and files, and the same as JSON", async () => {
    const { code, stdout } = await run(["inspect-record", FULL]);
    expect(code).toBe(0);
    for (const text of ["hello on debian-12", "exited 0", "bin/hello.hvt", "3 lines"])
      expect(stdout).toContain(text);
    const json = await run(["inspect-record", FULL, "--json"]);
    const shown = JSON.parse(json.stdout) as { job: string; files: { path: string; size: number }[] };
    expect(shown).toMatchObject({ job: "hello", uuid: "a66be947-8eac-4cf3-8b0b-723c9e2b6f9b", lines: 3 });
    expect(shown.files.find(({ path }) => path === "bin/hello.hvt")?.size).toBe(1224);
  });

  test("takes a record apart", async () => {
    const here = await withRecord([
      ["bin/tool", "program"],
      ["share/doc/x", "text"],
      ["empty", ""],
    ]);
    const { code, stdout } = await run(["inspect-record", "full", "--output", "out"], { cwd: here });
    expect({ code, stdout }).toEqual({ code: 0, stdout: "out/bin/tool\nout/share/doc/x\nout/empty\n" });
    expect(readFileSync(join(here, "out/bin/tool"), "utf8")).toBe("program");
    expect(readFileSync(join(here, "out/share/doc/x"), "utf8")).toBe("text");
    expect(statSync(join(here, "out/bin/tool")).mode & 0o777).toBe(0o755);
    expect(statSync(join(here, "out/empty"))).toMatchObject({ size: 0 });
  });

  test.each(["/tmp/robur-escaped", "../escaped", "a/../../escaped", "a\u001b[2Jb"])(
    "writes nothing of a record with the path %p",
    async (path) => {
      const here = await withRecord([
        ["fine", "x"],
        [path, "x"],
      ]);
      const { code, stderr } = await run(["inspect-record", "full", "--output", "out"], { cwd: here });
      expect(code).toBe(1);
      expect(stderr).toContain("which isn't written");
      expect(stderr).not.toContain("\u001b");
      expect(readdirSync(join(here, "out"))).toEqual([]);
      expect(existsSync(join(here, "escaped"))).toBe(false);
    },
  );

  test("follows no link and overwrites nothing", async () => {
    const here = await withRecord([["bin/tool", "new"]]);
    mkdirSync(join(here, "elsewhere"));
    symlinkSync("../elsewhere", join(here, "out/bin"));
    const linked = await run(["inspect-record", "full", "--output", "out"], { cwd: here });
    expect(linked).toMatchObject({ code: 1, stderr: expect.stringContaining("error: out/bin") });
    expect(readdirSync(join(here, "elsewhere"))).toEqual([]);

    const again = await withRecord([["tool", "new"]]);
    writeFileSync(join(again, "precious"), "old");
    symlinkSync("../precious", join(again, "out/tool"));
    const overwriting = await run(["inspect-record", "full", "--output", "out"], { cwd: again });
    expect(overwriting).toMatchObject({
      code: 4,
      stderr: expect.stringContaining("out/tool is there already"),
    });
    expect(readFileSync(join(again, "precious"), "utf8")).toBe("old");
  });

  test("writes nothing of a record that is cut off", async () => {
    const here = await withRecord([["bin/tool", "x".repeat(1000)]]);
    const bytes = readFileSync(join(here, "full"));
    writeFileSync(join(here, "full"), bytes.subarray(0, -1));
    const { code, stderr } = await run(["inspect-record", "full", "--output", "out"], { cwd: here });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining("this is no record of a build"),
    });
    expect(readdirSync(join(here, "out"))).toEqual([]);
  });

  test("takes a name of digits for a name", async () => {
    const here = await withRecord([]);
    renameSync(join(here, "full"), join(here, "007"));
    expect(await run(["inspect-record", "007", "--job"], { cwd: here })).toMatchObject({
      code: 0,
      stdout: "hello on debian-12\n",
    });
  });

  test("says what is wrong with its arguments", async () => {
    expect(await run(["inspect-record"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("which file?"),
    });
    expect(await run(["inspect-record", "/nonexistent"])).toMatchObject({ code: 3 });
    expect(await run(["inspect-record", "/tmp"])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("is a directory"),
    });
    const missing = await run(["inspect-record", FULL, "--output", "/nonexistent"]);
    expect(missing).toMatchObject({
      code: 3,
      stderr: expect.stringContaining("/nonexistent: there is no such file"),
    });
  });
});
