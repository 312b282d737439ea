/** What a build gave, file by file, and whether building it again gave the same. Pure. */
import type { Sha256 } from "../../lib/sha256.ts";
import type { ImageSource } from "../../image/source.ts";

/** A file of a build, with its bytes within reach. */
export interface OutputFile {
  readonly path: string;
  readonly size: number;
  readonly sha256: Sha256;
  readonly source: ImageSource;
  /** Where it lies now. */
  readonly place: string;
}

/**
 * GOOD: every file is the same, bit for bit. BAD: at least one differs, is missing or is new. FAIL: it could not be
 * built again. UNKNOWN: there was nothing to compare.
 */
export type Verdict = "GOOD" | "BAD" | "FAIL" | "UNKNOWN";

export type FileComparison =
  | { readonly path: string; readonly state: "same"; readonly sha256: Sha256 }
  | {
      readonly path: string;
      readonly state: "differs";
      readonly left: Sha256;
      readonly right: Sha256;
      readonly leftSize: number;
      readonly rightSize: number;
    }
  | { readonly path: string; readonly state: "missing"; readonly sha256: Sha256 }
  | { readonly path: string; readonly state: "new"; readonly sha256: Sha256 };

/** What went in, or says how it went: no part of what has to be the same. */
const INPUTS = new Set(["opam-switch", "build-environment", "system-packages"]);

/** Whether a file counts as a result: lists of files and of their sums tell what the files themselves tell. */
export function isOutput(path: string): boolean {
  const isList = path.endsWith(".build-hashes") || /^[^/]+\.sha256$/.test(path);
  return !INPUTS.has(path) && !isList && path.split("/").at(-1) !== "README.md";
}

type Named = Pick<OutputFile, "path" | "size" | "sha256">;

/** Every result of either side, by path. */
export function compareOutputs(original: readonly Named[], rebuilt: readonly Named[]): FileComparison[] {
  const left = new Map(original.filter(({ path }) => isOutput(path)).map((file) => [file.path, file]));
  const right = new Map(rebuilt.filter(({ path }) => isOutput(path)).map((file) => [file.path, file]));
  const paths = [...new Set([...left.keys(), ...right.keys()])].toSorted();
  return paths.map((path): FileComparison => {
    const [was, is] = [left.get(path), right.get(path)];
    if (was === undefined) return { path, state: "new", sha256: is!.sha256 };
    if (is === undefined) return { path, state: "missing", sha256: was.sha256 };
    if (was.sha256 === is.sha256) return { path, state: "same", sha256: was.sha256 };
    return {
      ...{ path, state: "differs", left: was.sha256, right: is.sha256 },
      ...{ leftSize: was.size, rightSize: is.size },
    };
  });
}

/** The verdict on files that were compared. */
export function verdictOn(files: readonly FileComparison[]): "GOOD" | "BAD" | "UNKNOWN" {
  if (!files.some(({ state }) => state !== "new")) return "UNKNOWN";
  return files.every(({ state }) => state === "same") ? "GOOD" : "BAD";
}
