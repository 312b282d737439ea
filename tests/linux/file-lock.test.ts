import { expect, setDefaultTimeout, test } from "bun:test";
import { linkSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ERRNO } from "../../src/linux/errno.ts";
import { identityOf, isNamed, lockFile, lockOnFile, openLocked } from "../../src/linux/file-lock.ts";
import { O_CLOEXEC, O_RDONLY, O_RDWR, close, open } from "../../src/linux/libc.ts";
import { describeHolders, lockHolders } from "../../src/linux/lock-holders.ts";

setDefaultTimeout(120_000);

class Files implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "robur-lock-"));
  file(name: string): string {
    const path = join(this.path, name);
    writeFileSync(path, name);
    return path;
  }
  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

const exclusive = (path: string) => openLocked(path, O_RDWR | O_CLOEXEC, "exclusive");
const shared = (path: string) => openLocked(path, O_RDONLY | O_CLOEXEC, "shared");

test("one has it exclusively, or many have it shared, also within one process and by other names", () => {
  using files = new Files();
  const path = files.file("a");
  linkSync(path, join(files.path, "hard"));
  symlinkSync(path, join(files.path, "soft"));
  const first = exclusive(path);
  for (const name of ["a", "hard", "soft"]) {
    expect(exclusive(join(files.path, name))).toBe(-ERRNO.EAGAIN);
    expect(shared(join(files.path, name))).toBe(-ERRNO.EAGAIN);
  }
  close(first);
  const [one, two] = [shared(path), shared(path)];
  expect(one > 0 && two > 0).toBe(true);
  expect(exclusive(path)).toBe(-ERRNO.EAGAIN);
  close(one);
  close(two);
  close(exclusive(path));
});

test("looking at a lock doesn't take one", () => {
  using files = new Files();
  const path = files.file("a");
  const looker = open(path, O_RDONLY | O_CLOEXEC);
  expect(lockOnFile(looker)).toBeUndefined();
  const holder = exclusive(path);
  expect(lockOnFile(looker)).toBe("exclusive");
  close(holder);
  const reader = shared(path);
  expect(lockOnFile(looker)).toBe("shared");
  close(reader);
  close(exclusive(path));
  close(looker);
});

test("the lock lasts as long as anybody has the descriptor, not as long as who asked for it", async () => {
  using files = new Files();
  const path = files.file("a");
  const fd = exclusive(path);
  const child = Bun.spawn(["sleep", "1000"], { stdio: ["ignore", "ignore", "ignore", fd] });
  close(fd);
  expect(exclusive(path)).toBe(-ERRNO.EAGAIN);
  expect(describeHolders(lockHolders(path))).toBe(`process ${child.pid} (sleep 1000)`);
  child.kill("SIGKILL");
  await child.exited;
  expect(lockHolders(path)).toEqual([]);
  close(exclusive(path));
});

test("a file that was replaced while it was opened is not taken for the one of that name", () => {
  using files = new Files();
  const [old, fresh] = [files.file("old"), files.file("fresh")];
  const before = open(old, O_RDWR | O_CLOEXEC);
  renameSync(fresh, old);
  expect(lockFile(before, "exclusive")).toBe(0);
  expect(isNamed(before, old)).toBe(false);
  const after = exclusive(old);
  expect(isNamed(after, old)).toBe(true);
  rmSync(old);
  expect(isNamed(after, old)).toBe(false);
  expect(identityOf(old)).toBeUndefined();
  close(before);
  close(after);
});

test("what can't be opened or locked says why", () => {
  using files = new Files();
  expect(exclusive(join(files.path, "nowhere"))).toBe(-ERRNO.ENOENT);
  expect(openLocked(files.file("a"), O_RDONLY | O_CLOEXEC, "exclusive")).toBe(-ERRNO.EBADF);
});

test("a process that merely has a file open has no lock, and command lines are safe to print", async () => {
  using files = new Files();
  const path = files.file("a");
  const plain = open(path, O_RDONLY | O_CLOEXEC);
  expect(lockHolders(path)).toEqual([]);
  const fd = exclusive(path);
  const child = Bun.spawn(["sleep", "1000"], {
    argv0: "sle\u001b[31mep\nx".padEnd(300, "y"),
    stdio: ["ignore", "ignore", "ignore", fd],
  });
  close(fd);
  const [holder] = lockHolders(path);
  expect(holder?.command.startsWith("sle?[31mep?xyyy")).toBe(true);
  expect(holder!.command.length).toBeLessThan(90);
  child.kill();
  await child.exited;
  close(plain);
});
