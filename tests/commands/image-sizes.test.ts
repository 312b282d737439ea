// `robur image sizes` and `robur image diff`, on programs compiled here and now.
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { compileC } from "../image/compiled.ts";
import { lacks, needsCommands } from "../needs.ts";
import { run, temporaryDirectory } from "../robur.ts";

const here = temporaryDirectory();

describe.skipIf(lacks(needsCommands("gcc")))("robur image", () => {
  const left = compileC(here, "-g");
  const right = compileC(here, "-g", "-O2");
  writeFileSync(
    join(here, "text"),
    "no program at all, but a text of more than sixty-four bytes, so that it has a header",
  );

  test("sizes shows where the bytes go, by library or by function", async () => {
    const coarse = await run(["image", "sizes", left]);
    expect([coarse.code, coarse.stderr]).toEqual([0, ""]);
    expect(coarse.stdout).toMatch(/^ +SIZE +SHARE +PART\n.* 100\.0 % {2}loaded\n/);
    expect(coarse.stdout).not.toContain("table_of_words");
    expect((await run(["image", "sizes", "--fine", left])).stdout).toContain("table_of_words");
    const { tree, fileSize } = JSON.parse((await run(["image", "sizes", "--json", left])).stdout) as {
      tree: { size: number };
      fileSize: number;
    };
    expect(tree.size).toBeLessThan(fileSize);
  });

  test("diff ends with 0 for the same, with 1 for others, and says what differs", async () => {
    const same = await run(["image", "diff", left, left]);
    expect([same.code, same.stdout.startsWith("the same, byte for byte")]).toEqual([0, true]);
    const other = await run(["image", "diff", left, right]);
    expect(other.code).toBe(1);
    expect(other.stdout).toContain("build id");
    expect(other.stdout).toMatch(/^\.text +\d+ +\d+ +0x/m);
    const json = await run(["image", "diff", "--json", left, right]);
    expect(json.code).toBe(1);
    expect(JSON.parse(json.stdout)).toMatchObject({ isSame: false, left, right });
  });

  test("what isn't ELF, and what is missing, is called by its name", async () => {
    const text = await run(["image", "sizes", "text"], { cwd: here });
    expect([text.code, text.stdout]).toEqual([1, ""]);
    expect(text.stderr).toContain("text: not an ELF file");
    const second = await run(["image", "diff", left, "text"], { cwd: here });
    expect(second.stderr).toContain("text: not an ELF file");
    expect((await run(["image", "diff", left, "nosuch"], { cwd: here })).code).toBe(3);
  });
});
