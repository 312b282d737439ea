import { describe, expect, test } from "bun:test";
import {
  type FilterVariables,
  lockedDependencies,
  lockedVersions,
} from "../../src/opam/locked-dependencies.ts";
import { parseOpam } from "../../src/opam/parse-opam.ts";
import { printValue } from "../../src/opam/print-opam.ts";

const system: FilterVariables = new Map([
  ["os", "linux"],
  ["os-version", "12"],
  ["arch", "x86_64"],
]);
const depends = (formula: string) => parseOpam(`depends: [${formula}]`);
const versions = (formula: string) => Object.fromEntries(lockedVersions(depends(formula), system));

/** What is recorded of the root `root`, whose dependencies are the first of the packages. */
function recorded(packages: Readonly<Record<string, string>>, lock = Object.keys(packages)): string {
  const { root = "", ...others } = packages;
  const locked = new Map(lock.map((name) => [name, "1"]));
  const files = new Map(Object.entries(others).map(([name, formula]) => [name, depends(formula)]));
  return printValue(lockedDependencies("root", depends(root), locked, files, system)).replaceAll(/\s+/g, " ");
}

describe("a lock file", () => {
  test("has one version of each package, whatever else is asked of it", () => {
    expect(versions('"a" {= "1"} "b" {= "2~x" & ?vendor} "c" {?monorepo & = "3" & !with-test}')).toEqual({
      ...{ a: "1", b: "2~x", c: "3" },
    });
    expect(versions('"a" {= "1"} "b" {= "2" & os = "plan9"} "c" {= "3" & with-test}')).toEqual({ a: "1" });
  });

  test("that leaves a version open says nothing of anything", () => {
    for (const formula of ['"a"', '"a" {>= "1"}', '"a" {= "1" & = "2"}', '"a" {= "1"} | "b" {= "2"}']) {
      expect(() => versions(formula), formula).toThrow("lock file");
    }
  });
});

describe("the packages that others need", () => {
  test("are told from the root on, the last name first, needed ones in opam's order", () => {
    expect(recorded({ root: '"b" "A" "a"', a: '"z"', b: "", A: '"b"', z: "" })).toBe(
      '[["z" []] ["root" ["A" "a" "b"]] ["b" []] ["a" ["z"]] ["A" ["b"]]]',
    );
  });

  test("are not those for tests, documentation, tools, or other systems", () => {
    const root =
      '"a" {>= "1" & with-test} "b" {build} "c" {with-doc | dev} "d" {os != "linux"} "e" {os-version < "9"} ' +
      '"f" {arch = "x86_64" & post} "g" {!with-test} "h" {?monorepo} "i" {?nonesuch} "j" {= version} "k" {with-dev-setup}';
    const packages = Object.fromEntries("abcdefghijk".split("").map((name) => [name, ""]));
    expect(recorded({ root, ...packages })).toContain('["root" ["f" "g" "h" "j"]]');
  });

  test("are the first of alternatives that is locked", () => {
    const packages = { root: '("x" | "a" {>= "1"} | "b") "c" {with-test} | "b"', a: "", b: "" };
    expect(recorded(packages, ["a", "b"])).toBe('[["root" ["a" "b"]] ["b" []] ["a" []]]');
    expect(() => recorded(packages, [])).toThrow("none of some alternatives");
    // Of several together, as the original has it, none is looked at.
    expect(recorded({ root: '("a" & "b") | "b"', a: "", b: "" })).toContain('["root" ["b"]]');
  });

  test("include the C library of Solo5, which nothing asks for", () => {
    const packages = { root: '"mirage-solo5"', "mirage-solo5": "", "ocaml-solo5": "" };
    expect(recorded(packages)).toContain('["root" ["mirage-solo5" "ocaml-solo5"]]');
    expect(recorded(packages, ["mirage-solo5"])).toContain('["root" ["mirage-solo5"]]');
  });

  test("may need one another", () => {
    expect(recorded({ root: '"a"', a: '"b"', b: '"a"' })).toBe('[["root" ["a"]] ["b" ["a"]] ["a" ["b"]]]');
  });

  test("can't be told where one is neither locked nor known, or a filter asks for what nobody knows", () => {
    expect(() => recorded({ root: '"a"' }, ["a"])).toThrow("nothing is known of a");
    expect(() => recorded({ root: '"a"', a: "" }, [])).toThrow("nothing is known of a");
    expect(() => recorded({ root: '"a" {enable-feature}', a: "" })).toThrow("isn't known");
    expect(() => recorded({ root: "1" })).toThrow("is no package");
  });
});
