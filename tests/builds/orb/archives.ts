/** Archives of small files for tests, the same bytes whenever they are made. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export const hex = (kind: "md5" | "sha256", bytes: Uint8Array) =>
  new Bun.CryptoHasher(kind).update(bytes).digest("hex");

/** An archive of some files, the same whenever it is made. `compress`: an option of tar. */
export function archive(
  files: Readonly<Record<string, string | Uint8Array>>,
  top: string,
  compress: string,
): Uint8Array {
  const scratch = mkdtempSync(join(tmpdir(), "robur-test-archive-"));
  try {
    for (const [path, content] of Object.entries(files)) {
      const at = join(scratch, top, path);
      mkdirSync(dirname(at), { recursive: true });
      writeFileSync(at, content, { mode: path.endsWith(".sh") ? 0o755 : 0o644 });
    }
    const same = [
      "--sort=name",
      "--mtime=@0",
      "--owner=0",
      "--group=0",
      "--numeric-owner",
      "--mode=u+rw,go=rX",
    ];
    const made = Bun.spawnSync(["tar", "-c", compress, ...same, "-C", scratch, top === "" ? "." : top]);
    if (!made.success) throw new Error(made.stderr.toString());
    return made.stdout;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** A zip of some files. */
export function zipOf(files: Readonly<Record<string, string>>): Uint8Array {
  const scratch = mkdtempSync(join(tmpdir(), "robur-test-zip-"));
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(scratch, dirname(path)), { recursive: true });
      writeFileSync(join(scratch, path), text);
    }
    const tops = new Set(Object.keys(files).map((path) => path.split("/")[0]!));
    const made = Bun.spawnSync(["python3", "-m", "zipfile", "-c", "made.zip", ...tops], { cwd: scratch });
    if (!made.success) throw new Error(made.stderr.toString());
    return readFileSync(join(scratch, "made.zip"));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
