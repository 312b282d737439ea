/** --block-ro: a file that guests may read, several at once, and none may write. */
import { describe, expect, test } from "bun:test";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildGuest, compilerVersion } from "../guests/build.ts";
import { lacks, needsKvm } from "../needs.ts";
import { lockOnFile } from "../../src/linux/file-lock.ts";
import { run, start, temporaryDirectory, until } from "../robur.ts";

const noCompiler = compilerVersion() === undefined ? "gcc is not installed" : undefined;
const content = new Uint8Array(1 << 20).fill(7);

function file(): string {
  const path = join(temporaryDirectory(), "shared.img");
  writeFileSync(path, content);
  return path;
}

describe.skipIf(lacks(noCompiler))("a block device for reading only", () => {
  test("is read by two at once, and not shared with one that writes", async () => {
    const image = await buildGuest("blkbench", "spt");
    const path = file();
    const reading = (flag: string, ...args: string[]) => [
      "run",
      "-m",
      "16M",
      flag,
      `storage=${path}`,
      image,
      ...args,
    ];
    // It reads for as long as it is let.
    const first = await start(reading("--block-ro", "op=read", "mb=1000000"));
    try {
      const fd = openSync(path, "r");
      await until("the first to have it", () => lockOnFile(fd));
      closeSync(fd);
      expect((await run(reading("--block-ro", "op=read", "mb=4"))).code).toBe(0);
      const writer = await run(reading("--block", "op=read", "mb=4"));
      expect(writer.code).toBe(125);
      expect(writer.stderr).toContain("in use by another process");
    } finally {
      first.kill("SIGKILL");
      await first.exited;
    }
  });

  test("is not written by spt", async () => {
    const path = file();
    const image = await buildGuest("blkbench", "spt");
    const { code } = await run([
      "run",
      "-m",
      "16M",
      "--block-ro",
      `storage=${path}`,
      image,
      "op=write",
      "mb=1",
    ]);
    expect(code).not.toBe(0);
    expect(readFileSync(path)).toEqual(Buffer.from(content));
  });

  test.skipIf(lacks(needsKvm()))(
    "answers a write with an error under hvt, and the guest goes on",
    async () => {
      const path = file();
      const image = await buildGuest("blkraw", "hvt");
      const args = ["run", "-m", "16M", "--block-ro", `storage=${path}`, image];
      const { code, stdout } = await run([...args, "op=write", "handle=1", "offset=0", "len=512"]);
      expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining("result 3") });
      expect(readFileSync(path)).toEqual(Buffer.from(content));
    },
  );

  test("is one with --block or --block-ro, not both", async () => {
    const { code, stderr } = await run(["run", "--block", "a=x", "--block-ro", "a=x", "hello.spt"]);
    expect(code).toBe(2);
    expect(stderr).toContain("a is given both with --block and with --block-ro");
  });
});
