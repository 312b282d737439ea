/** What a package installed, copied from the switch to where it is collected, with its hashes. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, sep } from "node:path";
import { sha256Of } from "../../lib/sha256-of.ts";
import { type ChangeRecord, readChangeRecord } from "../../opam/change-record.ts";
import { say } from "./opam.ts";
import { OrbError } from "./orb-error.ts";
import type { PublishedFile } from "./recorded-build.ts";

/** opam's own record of a package's installation: text and meaning. Throws OrbError failed where there is none. */
export function readChanges(
  prefix: string,
  name: string,
): { readonly text: string; readonly record: ChangeRecord } {
  const path = join(prefix, ".opam-switch/install", `${name}.changes`);
  if (!existsSync(path)) throw new OrbError("failed", `opam has no record of what ${name} installed`);
  const text = readFileSync(path, "utf8");
  return { text, record: readChangeRecord(text) };
}

/**
 * Copies the files of a record from `prefix` to `out`, and writes NAME.build-hashes (opam's record: MD5; like the
 * original's without a last newline) and NAME.sha256 (as sha256sum writes it). Files that the package changed are its
 * own as much as those that it added; links are followed, but not out of the prefix. Answers the files.
 */
export function collectOutputs(
  prefix: string,
  out: string,
  name: string,
  text: string,
  record: ChangeRecord,
): PublishedFile[] {
  const base = realpathSync(prefix);
  const files: PublishedFile[] = [];
  for (const [path, { change, file }] of record) {
    if (change === "removed" || change === "perm-changed" || file?.kind === "directory") continue;
    if (path.startsWith("/") || path.split("/").includes("..")) {
      throw new OrbError("failed", `${name} records a path outside of its prefix: ${path}`);
    }
    const from = insideOf(base, join(base, path));
    if (from === undefined) {
      say(`${path} is left out: it is no file of ${prefix}`);
      continue;
    }
    const to = join(out, path);
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(from, to);
    files.push({ path, size: statSync(from).size, sha256: sha256Of(readFileSync(from)) });
  }
  mkdirSync(out, { recursive: true });
  say(`writing ${join(out, `${name}.build-hashes`)}`);
  writeFileSync(join(out, `${name}.build-hashes`), text.trimEnd());
  writeFileSync(join(out, `${name}.sha256`), files.map(sumLine).join(""));
  return files;
}

const sumLine = ({ path, sha256 }: PublishedFile) => `${sha256}  ${path}\n`;

/** The file that a path leads to; undefined where that is none, or lies elsewhere. */
function insideOf(base: string, path: string): string | undefined {
  try {
    const real = realpathSync(path);
    return real.startsWith(base + sep) && statSync(real).isFile() ? real : undefined;
  } catch (error) {
    if (["ENOENT", "ELOOP", "ENOTDIR"].includes((error as { code?: string }).code ?? "")) return undefined;
    throw error;
  }
}
