/**
 * opam before 2.1.5 freezes sources in git by the first eight digits of their commits: too few to fetch them by, and
 * other inputs than those that a newer opam records of the same build. Pure.
 */
import { parseOpam } from "../../opam/parse-opam.ts";
import { printOpam } from "../../opam/print-opam.ts";
import { readSwitchExport } from "../../opam/switch-export.ts";
import { sectionsOf, textOf } from "../../opam/syntax.ts";

const SHORT = /^(git[+:].*#)([0-9a-f]{8})$/;

/** The export with whole commits. `commitOf` knows the commit that the source of NAME.VERSION was at. */
export function withFullCommits(text: string, commitOf: (full: string) => string | undefined): string {
  if (!/#[0-9a-f]{8}"/.test(text)) return text;
  const { installed, packages } = readSwitchExport(text);
  let result = text;
  for (const { name, version } of installed) {
    const file = packages.get(name);
    if (file === undefined) continue;
    const sections = [...sectionsOf(file, "url"), ...sectionsOf(file, "extra-source")];
    for (const section of sections) {
      const source = textOf(section, "src") ?? "";
      const [, place, short] = SHORT.exec(source) ?? [];
      if (place === undefined || short === undefined) continue;
      const commit = commitOf(`${name}.${version}`);
      if (commit === undefined || !commit.startsWith(short)) continue;
      result = result.replaceAll(`"${source}"`, () => `"${place}${commit}"`);
    }
  }
  // Longer texts are broken over lines elsewhere.
  return result === text ? text : printOpam(parseOpam(result));
}
