// The checked-in hello unikernel is what its source makes.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const directory = join(import.meta.dir, "../../assets/hello");
const images = ["hello.hvt", "hello.spt", "hello.virtio"];

function firstLine(...command: string[]): string {
  if (Bun.which(command[0]!) === null) return `no ${command[0]}`;
  return Bun.spawnSync(command, { env: { ...process.env, LC_ALL: "C" } })
    .stdout.toString()
    .split("\n")[0]!;
}

const wanted = readFileSync(join(directory, "COMPILER"), "utf8");
const here = `${firstLine("gcc", "--version")}\n${firstLine("ld", "--version")}\n`;
const sameCompiler = wanted === here;
if (!sameCompiler) {
  console.warn(
    `SKIP: hello is not rebuilt, because its images were made with\n${wanted}and this machine has\n${here}`,
  );
}

// A space in the path, because no path may matter.
const output = mkdtempSync(join(tmpdir(), "robur hello "));
afterAll(() => rmSync(output, { recursive: true }));

test("SHA256SUMS names the checked-in images", () => {
  const lines = images.map((name) => {
    const hash = new Bun.CryptoHasher("sha256").update(readFileSync(join(directory, name))).digest("hex");
    return `${hash}  ${name}\n`;
  });
  expect(readFileSync(join(directory, "SHA256SUMS"), "utf8")).toBe(lines.join(""));
});

test("the images are a few kilobytes", () => {
  for (const name of images) expect(Bun.file(join(directory, name)).size).toBeLessThan(8192);
});

test.skipIf(!sameCompiler)("building again gives the same bytes", () => {
  const build = Bun.spawnSync(["sh", join(directory, "build.sh"), output]);
  expect(build.stderr.toString()).toBe("");
  expect(build.exitCode).toBe(0);
  for (const name of images) {
    const equal = readFileSync(join(output, name)).equals(readFileSync(join(directory, name)));
    expect([name, equal]).toEqual([name, true]);
  }
});
