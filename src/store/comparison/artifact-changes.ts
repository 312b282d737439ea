/** Which files two builds made, and how their sizes and contents differ. */
import type { Sha256 } from "../api.ts";

export interface ComparedFile {
  readonly path: string;
  readonly sha256: Sha256;
  readonly size: number;
}

/** A file that both have, with another content. */
export interface ChangedFile {
  readonly path: string;
  readonly left: { readonly sha256: Sha256; readonly size: number };
  readonly right: { readonly sha256: Sha256; readonly size: number };
  /** Bytes that it grew by. */
  readonly growth: number;
}

/** Each list by path. */
export interface ArtifactChanges {
  readonly added: readonly ComparedFile[];
  readonly removed: readonly ComparedFile[];
  readonly changed: readonly ChangedFile[];
  readonly sameCount: number;
  /** Bytes of all files. */
  readonly leftSize: number;
  readonly rightSize: number;
}

export type InputFile = "opam-switch" | "build-environment" | "system-packages";

const INPUTS: ReadonlySet<string> = new Set<InputFile>([
  "opam-switch",
  "build-environment",
  "system-packages",
]);

/** The three files that say what a build was made of; they are compared by what they say. */
export const isInputFile = (path: string) => INPUTS.has(path);

/** Without the input files. */
export function compareArtifacts(
  left: readonly ComparedFile[],
  right: readonly ComparedFile[],
): ArtifactChanges {
  const l = byPath(left);
  const r = byPath(right);
  const changed: ChangedFile[] = [];
  let sameCount = 0;
  for (const [path, file] of l) {
    const other = r.get(path);
    if (other === undefined) continue;
    if (other.sha256 === file.sha256) sameCount++;
    else {
      changed.push({
        path,
        left: { sha256: file.sha256, size: file.size },
        right: { sha256: other.sha256, size: other.size },
        growth: other.size - file.size,
      });
    }
  }
  return {
    added: [...r.values()].filter(({ path }) => !l.has(path)),
    removed: [...l.values()].filter(({ path }) => !r.has(path)),
    changed,
    sameCount,
    leftSize: sizeOf(l),
    rightSize: sizeOf(r),
  };
}

function byPath(files: readonly ComparedFile[]): Map<string, ComparedFile> {
  const outputs = files.filter(({ path }) => !isInputFile(path));
  const sorted = outputs.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  return new Map(sorted.map(({ path, sha256, size }) => [path, { path, sha256, size }]));
}

const sizeOf = (files: ReadonlyMap<string, ComparedFile>) =>
  [...files.values()].reduce((sum, { size }) => sum + size, 0);
