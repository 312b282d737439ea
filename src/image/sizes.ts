/**
 * Where the bytes of a binary go: what is loaded of it by language, library, module and function, and the whole
 * file by section. Every byte is in each of the two once; what has no name is there as what it is.
 * Source: builder-web's treemap, the way in which modulectomy counts.
 */
import { OTHER_C, cLibrary } from "./c-libraries.ts";
import { type LineTable, readLines } from "./debug-lines.ts";
import { demangleOcaml, modulesOf } from "./ocaml-symbols.ts";
import { SHF_ALLOC, SHF_EXECINSTR, type SectionTable, readSections } from "./sections.ts";
import { type Piece, cutPieces, loadedSections } from "./sizes-pieces.ts";
import { type SizeNode, SizeTree, type Step } from "./sizes-tree.ts";
import type { UnitRanges } from "./sizes-units.ts";
import type { ImageSource } from "./source.ts";
import { hasSymbols } from "./symbols.ts";

export type { SizeKind, SizeNode } from "./sizes-tree.ts";

export interface Sizes {
  /** Bytes of the file. */
  readonly fileSize: number;
  /** Bytes that are zero at the start and take memory only. */
  readonly zeroed: number;
  /** Whether there were names to go by. Without them the tree knows sections only. */
  readonly hasSymbols: boolean;
  readonly hasLines: boolean;
  /** What is loaded: by language, library, module, and with `isFine` function. */
  readonly tree: SizeNode;
  /** The whole file: by what is loaded and what isn't, and section. */
  readonly sections: SizeNode;
}

/**
 * Reads the sizes of an ELF file, best of an unstripped one. `isFine` goes down to functions and values, else
 * modules are the leaves. Throws ImageError not-elf, unsupported-elf, invalid-elf.
 */
export function readSizes(source: ImageSource, isFine = false): Sizes {
  const table = readSections(source);
  const lines = readLines(source, table);
  const loaded = new Set(loadedSections(table));
  return {
    fileSize: source.size,
    zeroed: table.sections.reduce(
      (sum, section) =>
        sum +
        (!section.hasBytes && (section.flags & SHF_ALLOC) !== 0 && !loaded.has(section) ? section.size : 0),
      0,
    ),
    hasSymbols: hasSymbols(table),
    hasLines: lines !== undefined && lines.rows > 0,
    tree: treeOf(source, table, lines, isFine),
    sections: fileTree(source, table),
  };
}

/** The tree of what is loaded alone. Throws as `readSizes`. */
export function sizeTree(source: ImageSource, isFine = false): SizeNode {
  const table = readSections(source);
  return treeOf(source, table, readLines(source, table), isFine);
}

function treeOf(
  source: ImageSource,
  table: SectionTable,
  lines: LineTable | undefined,
  isFine: boolean,
): SizeNode {
  const { pieces, units } = cutPieces(source, table);
  const tree = new SizeTree("loaded", "group");
  const sorter = new Sorter(units, lines);
  const shares = fromNeighbours(pieces.map((piece) => sorter.sort(piece)));
  for (const { path, size, where } of shares) tree.add(isFine ? path : path.filter(isCoarse), size, where);
  return tree.finish();
}

/**
 * Linkers put an object's functions side by side: one of which nothing is known, between two of one library, is that
 * library's. Gaps don't part them.
 */
function fromNeighbours(sorted: readonly (readonly Share[])[]): Share[] {
  const libraries = sorted.map(([share]) =>
    share === undefined || share.path[0] === NAMELESS
      ? undefined
      : share.path[0] === C
        ? share.path[1]!
        : NONE,
  );
  const isKnown = (library: Step | undefined) => library !== undefined && library.name !== OTHER_C;
  const after: (Step | undefined)[] = [];
  let next: Step | undefined;
  for (let i = libraries.length - 1; i >= 0; i--) {
    after[i] = next;
    if (isKnown(libraries[i])) next = libraries[i];
  }
  let before: Step | undefined;
  return sorted.flatMap((shares, i) => {
    const library = libraries[i];
    if (isKnown(library)) before = library;
    if (library?.name !== OTHER_C || before === undefined || before === NONE) return shares;
    if (before.name !== after[i]?.name) return shares;
    const owner = before;
    return shares.map((share) => ({ ...share, path: [C, owner, ...share.path.slice(2)] }));
  });
}

const isCoarse = ({ kind }: Step) => kind !== "function" && kind !== "value";

interface Share {
  readonly path: readonly Step[];
  readonly size: number;
  readonly where?: string;
}

const OCAML: Step = { name: "OCaml", kind: "group" };
const C: Step = { name: "C", kind: "group" };
/** What isn't C belongs to none of its libraries. */
const NONE: Step = { name: "", kind: "library" };
const NAMELESS: Step = { name: "without a name", kind: "group" };

/** Says for each piece to whom it belongs. */
class Sorter {
  readonly #units: UnitRanges;
  readonly #lines: LineTable | undefined;

  constructor(units: UnitRanges, lines: LineTable | undefined) {
    this.#units = units;
    this.#lines = lines;
  }

  sort(piece: Piece): Share[] {
    const { symbol, address, size, section } = piece;
    const unit = this.#units.at(address)?.unit;
    // Assembler of the runtime, which marks itself as a unit.
    const isSystem = unit === "system" || unit === "hot";
    if (symbol === undefined) {
      if (unit !== undefined && !isSystem) return [{ path: ocamlPath(unit), size }];
      return this.#gap(piece);
    }
    const isCode = (section.flags & SHF_EXECINSTR) !== 0;
    const kind = symbol.type === "function" || (isCode && symbol.type === "none") ? "function" : "value";
    const found = isCode ? this.#lines?.find(symbol.address) : undefined;
    const where = found === undefined || found.file === "" ? symbol.file : `${found.file}:${found.line}`;
    const name = demangleOcaml(symbol.name, this.#units.names);
    if ((unit !== undefined && !isSystem) || name !== undefined) {
      // The start-up code's own symbols are no names of a module.
      const own = name?.name ?? symbol.name.replace(/^caml_startup__?/, "");
      const owner = unit ?? name?.unit ?? "startup";
      const last: Step[] = own === "" ? [] : [{ name: labelOf(own), kind }];
      return [{ path: [...ocamlPath(owner), ...last], size, ...(where === undefined ? {} : { where }) }];
    }
    if (symbol.name.startsWith("caml_startup__"))
      return [
        {
          path: [...ocamlPath("startup"), { name: symbol.name.slice("caml_startup__".length), kind }],
          size,
        },
      ];
    const file = found?.file || symbol.file;
    return [
      {
        path: [...cPath(symbol.name, file), { name: symbol.name, kind }],
        size,
        ...(where === undefined ? {} : { where }),
      },
    ];
  }

  /** Code without a symbol still has lines, where it was assembled with them. */
  #gap({ address, size, section }: Piece): Share[] {
    const shares: Share[] = [];
    let left = size;
    if ((section.flags & SHF_EXECINSTR) !== 0 && this.#lines !== undefined) {
      for (const [file, bytes] of this.#lines.filesBetween(address, address + size)) {
        if (file === "" || /\.ml[lyi]?$/.test(file)) continue;
        shares.push({ path: cPath("", file), size: bytes, where: file });
        left -= bytes;
      }
    }
    if (left > 0)
      shares.push({
        path: [NAMELESS, { name: section.name || "(no section)", kind: "section" }],
        size: left,
      });
    return shares;
  }
}

function ocamlPath(unit: string): Step[] {
  if (unit === "startup") return [OCAML, { name: "start-up", kind: "library" }];
  return [
    OCAML,
    ...modulesOf(unit).map((name, depth): Step => ({ name, kind: depth === 0 ? "library" : "module" })),
  ];
}

function cPath(symbol: string, file: string | undefined): Step[] {
  const library: Step = { name: cLibrary(symbol, file), kind: "library" };
  const base = file?.split("/").at(-1);
  return base === undefined || base === "" ? [C, library] : [C, library, { name: base, kind: "module" }];
}

const LABELS: readonly (readonly [RegExp, string])[] = [
  [/^fun$/, "(anonymous functions)"],
  [/^\d+$/, "(constants)"],
  [/^entry$/, "(initialisation)"],
  [/^frametable$/, "(frame table)"],
  [/^gc_roots$/, "(roots)"],
  [/^(code|data)_(begin|end)$/, "(header)"],
];

/** What the compiler's own names mean. */
function labelOf(name: string): string {
  return LABELS.find(([pattern]) => pattern.test(name))?.[1] ?? name;
}

/** The whole file by section; headers, and bytes between sections, are what is left. */
function fileTree(source: ImageSource, { sections }: SectionTable): SizeNode {
  const tree = new SizeTree("file", "group");
  const ranges = sections
    .filter(({ hasBytes, size }) => hasBytes && size > 0)
    .sort((a, b) => a.offset - b.offset);
  let cursor = 0;
  let rest = 0;
  for (const { name, flags, offset, size } of ranges) {
    rest += Math.max(0, offset - cursor);
    // Sections that lie over each other count once.
    const counted = Math.max(0, offset + size - Math.max(cursor, offset));
    cursor = Math.max(cursor, offset + size);
    const group =
      (flags & SHF_ALLOC) !== 0 ? "loaded" : /^\.z?debug_/.test(name) ? "debug data" : "not loaded";
    tree.add(
      [
        { name: group, kind: "group" },
        { name, kind: "section" },
      ],
      counted,
    );
  }
  rest += source.size - cursor;
  tree.add([{ name: "headers and padding", kind: "group" }], rest);
  return tree.finish();
}
