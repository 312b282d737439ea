/**
 * A switch export as a MirageOS unikernel has one, made up: as many packages as wanted, with opam files of the usual
 * fields and lengths. The same options give the same text.
 */
import { printOpam } from "../../src/opam/print-opam.ts";
import type { OpamField, OpamItem, OpamSection, OpamValue } from "../../src/opam/syntax.ts";

export interface ExportOptions {
  /** Beside the root, which is called mirage-unikernel-hello. */
  readonly packages?: number;
  readonly seed?: number;
  /** Of these packages the version is another one: lib-3 … */
  readonly upgraded?: readonly number[];
  /** These have one dependency more in their opam file. */
  readonly edited?: readonly number[];
  /** These are not installed. */
  readonly left?: readonly number[];
}

const text = (value: string): OpamValue => ({ kind: "string", value });
const identifier = (name: string): OpamValue => ({ kind: "identifier", name });
const list = (values: readonly OpamValue[]): OpamValue => ({ kind: "list", values });
const field = (name: string, value: OpamValue): OpamField => ({ kind: "field", name, value });
const texts = (...values: readonly string[]) => list(values.map(text));

/** Numbers below `limit`, by xorshift. */
function numbers(seed: number): (limit: number) => number {
  let state = seed | 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

export function generateExport(options: ExportOptions = {}): string {
  const { packages = 150, seed = 1, upgraded = [], edited = [], left = [] } = options;
  const installed = Array.from({ length: packages }, (_, i) => i).filter((i) => !left.includes(i));
  const version = (i: number) => `${1 + (i % 4)}.${i % 17}.${upgraded.includes(i) ? 9 : i % 5}`;
  const names = installed.map((i) => `lib-${i}.${version(i)}`).toSorted();
  const root = "mirage-unikernel-hello";
  const sections = [
    ...installed.map((i) => packageSection(i, version(i), numbers(seed * 7919 + i), edited.includes(i))),
    rootSection(root, installed),
  ];
  return printOpam({
    items: [
      field("opam-version", text("2.0")),
      field("roots", texts(`${root}.~dev`)),
      field("installed", texts(...names, `${root}.~dev`)),
      ...sections.toSorted((a, b) => ((a.name ?? "") < (b.name ?? "") ? -1 : 1)),
    ],
  });
}

function dependency(name: string, least: string): OpamValue {
  const options = [{ kind: "constraint", operator: ">=", value: text(least) } as const];
  return { kind: "option", value: text(name), options };
}

function packageSection(
  i: number,
  version: string,
  random: (limit: number) => number,
  isEdited: boolean,
): OpamSection {
  const needed = Array.from({ length: Math.min(i, random(8)) }, () => `lib-${random(i)}`);
  const address = `https://example.org/lib-${i}/releases/download/v${version}/lib-${i}-${version}.tbz`;
  const digest = Array.from({ length: 16 }, () => random(65536).toString(16).padStart(4, "0")).join("");
  const command = (...words: readonly (string | OpamValue)[]) =>
    list(words.map((word) => (typeof word === "string" ? text(word) : word)));
  const items: OpamItem[] = [
    field("opam-version", text("2.0")),
    field("version", text(version)),
    field("synopsis", text(`The library number ${i}, for things that need it`)),
    field(
      "description",
      text(
        `Line one of what lib-${i} does.\nIt says "hello" and more:\n${"words ".repeat(4 + random(40)).trim()}.`,
      ),
    ),
    field("maintainer", text(`Somebody <lib-${i}@example.org>`)),
    field("authors", texts("One Person <one@example.org>", "Other Person <other@example.org>")),
    field("license", text("ISC")),
    field("homepage", text(`https://example.org/lib-${i}`)),
    field(
      "depends",
      list([
        dependency("ocaml", "4.14.0"),
        dependency("dune", "2.9"),
        ...[...new Set(needed)].map((name) => dependency(name, "1.0.0")),
        ...(isEdited ? [text("lib-0")] : []),
      ]),
    ),
    field(
      "build",
      list([
        command("dune", "subst"),
        command("dune", "build", "-p", identifier("name"), "-j", identifier("jobs")),
        {
          kind: "option",
          value: command("dune", "runtest", "-p", identifier("name"), "-j", identifier("jobs")),
          options: [identifier("with-test")],
        },
      ]),
    ),
    field("dev-repo", text(`git+https://example.org/lib-${i}.git`)),
    {
      kind: "section",
      type: "url",
      name: undefined,
      items: [
        field("src", text(address)),
        field("checksum", texts(`sha256=${digest}`, `sha512=${digest}${digest}`)),
      ],
    },
  ];
  return { kind: "section", type: "package", name: `lib-${i}`, items };
}

function rootSection(name: string, installed: readonly number[]): OpamSection {
  const vendored = installed
    .filter((i) => i % 3 === 0)
    .map((i) =>
      list([
        text(`https://example.org/lib-${i}-${i % 9}.tbz`),
        text(`lib-${i}`),
        texts(`sha256=${i.toString(16).padStart(64, "0")}`),
      ]),
    );
  return {
    kind: "section",
    type: "package",
    name,
    items: [
      field("opam-version", text("2.0")),
      field("version", text("~dev")),
      field("synopsis", text("Says hello, built for hvt")),
      field("description", text("A unikernel that says hello.")),
      field("maintainer", text("somebody@example.org")),
      field("depends", list(installed.slice(-20).map((i) => dependency(`lib-${i}`, "1.0.0")))),
      field("x-mirage-opam-lock-location", text("mirage/hello-hvt.opam.locked")),
      field("x-opam-monorepo-duniverse-dirs", list(vendored)),
    ],
  };
}
