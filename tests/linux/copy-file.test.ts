import { expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nextData, renameToFree, shareBlocks } from "../../src/linux/copy-file.ts";
import { ERRNO } from "../../src/linux/errno.ts";

test("nextData() steps from one written part of a sparse file to the next", () => {
  const directory = mkdtempSync(join(tmpdir(), "robur-copy-"));
  const fd = openSync(join(directory, "sparse"), "w+");
  const size = 10 << 20;
  ftruncateSync(fd, size);
  expect(nextData(fd, 0, size)).toBeUndefined();
  writeSync(fd, "x".repeat(5000), 1 << 20);
  writeSync(fd, "y", 5 << 20);
  const first = nextData(fd, 0, size);
  // A file system may keep holes in larger units than 4 KiB, but it may not lose what was written.
  expect(first!.start).toBeLessThanOrEqual(1 << 20);
  expect(first!.end).toBeGreaterThanOrEqual((1 << 20) + 5000);
  const second = nextData(fd, first!.end, size);
  expect(second!.start).toBeLessThanOrEqual(5 << 20);
  expect(nextData(fd, second!.end, size)).toBeUndefined();
  expect(nextData(fd, 0, 1000)).toBeUndefined();
  closeSync(fd);
  rmSync(directory, { recursive: true });
});

test("renameToFree() never replaces", () => {
  const directory = mkdtempSync(join(tmpdir(), "robur-copy-"));
  const [from, to] = [join(directory, "from"), join(directory, "to")];
  writeFileSync(from, "new");
  writeFileSync(to, "old");
  expect(renameToFree(from, to)).toBe(-ERRNO.EEXIST);
  expect(readFileSync(to, "utf8")).toBe("old");
  rmSync(to);
  expect(renameToFree(from, to)).toBe(0);
  expect(existsSync(from)).toBe(false);
  expect(readFileSync(to, "utf8")).toBe("new");
  rmSync(directory, { recursive: true });
});

test("shareBlocks() of what can't share answers an error and changes nothing", () => {
  const directory = mkdtempSync(join(tmpdir(), "robur-copy-"));
  const to = openSync(join(directory, "to"), "w+");
  const memory = openSync("/dev/null", "r");
  expect(shareBlocks(memory, to)).toBeLessThan(0);
  closeSync(to);
  closeSync(memory);
  rmSync(directory, { recursive: true });
});
