import { expect, setDefaultTimeout, test } from "bun:test";
import { linkSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { close } from "../../../src/linux/libc.ts";
import { isSectorSize, openBlockFile } from "../../../src/tender/devices/block-file.ts";
import { TenderError } from "../../../src/tender/tender-error.ts";

setDefaultTimeout(120_000);

class Files implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "robur-block-"));
  file(name: string, size: number): string {
    const path = join(this.path, name);
    writeFileSync(path, Buffer.alloc(size));
    return path;
  }
  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

function refusal(action: () => unknown): TenderError {
  try {
    action();
  } catch (error) {
    if (error instanceof TenderError && error.code === "block-device") return error;
    throw error;
  }
  throw new Error("it was opened");
}

test("a file of whole sectors is opened with its size", () => {
  using files = new Files();
  for (const sector of [512, 4096, 32768]) {
    const { fd, capacity } = openBlockFile(files.file(`${sector}`, 3 * sector), sector);
    expect(capacity).toBe(3 * sector);
    close(fd);
  }
});

test("sizes that aren't whole sectors, or none, are refused with what to do", () => {
  using files = new Files();
  expect(refusal(() => openBlockFile(files.file("odd", 1000), 512)).hint).toContain("truncate --size %512");
  expect(refusal(() => openBlockFile(files.file("empty", 0), 512)).message).toContain("at least 1 block");
  expect(refusal(() => openBlockFile(files.file("small", 512), 4096)).message).toContain("block aligned");
  expect(refusal(() => openBlockFile(join(files.path, "none"), 512)).hint).toContain("truncate --size 16M");
  expect(refusal(() => openBlockFile(files.path, 512)).message).toContain("Is a directory");
});

test("a refused file is not left locked", () => {
  using files = new Files();
  const path = files.file("a", 1024);
  refusal(() => openBlockFile(path, 32768));
  close(openBlockFile(path, 512).fd);
});

test("one file can't be two devices, under no two names", () => {
  using files = new Files();
  const path = files.file("a", 1024);
  linkSync(path, join(files.path, "b"));
  const { fd } = openBlockFile(path, 512);
  for (const name of ["a", "b"]) {
    const error = refusal(() => openBlockFile(join(files.path, name), 512));
    expect(error.message).toContain("the same file is given to two block devices");
  }
  close(fd);
});

test("a file that another process has is refused with that process's name, until that one is gone", async () => {
  using files = new Files();
  const path = files.file("a", 1024);
  const { fd } = openBlockFile(path, 512);
  const child = Bun.spawn(["sleep", "1000"], { stdio: ["ignore", "ignore", "ignore", fd] });
  close(fd);
  const error = refusal(() => openBlockFile(path, 512));
  expect(error.message).toBe(`${path}: in use by another process`);
  expect(error.why).toBe(`process ${child.pid} (sleep 1000) has it locked`);
  refusal(() => openBlockFile(path, 512, { readOnly: true }));
  child.kill("SIGKILL");
  await child.exited;
  close(openBlockFile(path, 512).fd);
});

test("many may read one file, and nobody may write to it meanwhile", () => {
  using files = new Files();
  const path = files.file("a", 1024);
  const readers = [1, 2, 3].map(() => openBlockFile(path, 512, { readOnly: true }).fd);
  refusal(() => openBlockFile(path, 512));
  readers.forEach(close);
  close(openBlockFile(path, 512).fd);
});

test("sector sizes are powers of two that fit 16 bits", () => {
  expect([512, 1024, 32768].every(isSectorSize)).toBe(true);
  expect([0, 256, 513, 65536, -512, 512.5].some(isSectorSize)).toBe(false);
});
