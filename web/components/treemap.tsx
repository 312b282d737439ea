/** Where the bytes of a binary go, as boxes: by language, library, module and function. */
import { type SizeNode, gatherSmall } from "../../src/image/sizes-tree.ts";
import type { TreemapPicture } from "../../src/store/visualisations/pictures.ts";
import { formatSize } from "./format.ts";
import { type Box, layoutTreemap, partsOf } from "./treemap-layout.ts";

export interface TreemapProps {
  readonly picture: TreemapPicture;
  /** The page that shows it alone, without a query: links into the picture lead there. */
  readonly source: string;
  /** What is opened, from the tree's root down; what doesn't exist is passed over. */
  readonly at?: readonly string[];
  /** Down to functions; else modules are the smallest boxes. */
  readonly isFine?: boolean;
  /** Bytes of the binary as it is delivered, where another file was measured. */
  readonly binarySize?: number;
}

const HEIGHT = 560;
const HEAD = 19;
/**
 * A picture for narrow and one for wide places; which of them shows, and which labels fit in it, the style sheet
 * says by the place's width.
 */
const SHAPES = [
  { name: "narrow", width: 340, fits: [280, 340, 420] },
  { name: "wide", width: 900, fits: [560, 700, 850, 1000, 1200] },
] as const;
const LARGEST_SHOWN = 30;
/** Of the picture: what is smaller can't be pointed at. */
const SMALLEST_SHOWN = 0.0005;

export function Treemap({ picture, source, at = [], isFine = false, binarySize }: TreemapProps) {
  const tree = isFine ? picture.tree : withoutSymbols(picture.tree);
  const { node, path } = open(isFine || at.length === 0 ? tree : picture.tree, at);
  const link = (to: readonly string[], fine = isFine) => address(source, to, fine);
  const summary = `${formatSize(node.size)} in ${partsOf(node).length} parts`;
  return (
    <section class="treemap" data-island="treemap" aria-label="Where the bytes go">
      <nav class="treemap-path" aria-label="What is opened">
        {path.length === 0 ? <b>All that is loaded</b> : <a href={link([])}>All that is loaded</a>}
        {path.map((name, i) => (
          <span key={i}>
            {" / "}
            {i === path.length - 1 ? <b>{name}</b> : <a href={link(path.slice(0, i + 1))}>{name}</a>}
          </span>
        ))}
        <span class="treemap-summary">{summary}</span>
        <a class="treemap-detail" href={link(path, !isFine)}>
          {isFine ? "only modules" : "down to functions"}
        </a>
      </nav>
      {node.size === 0 ? (
        <p class="muted">Nothing of it is loaded.</p>
      ) : (
        SHAPES.map((shape) => (
          <Boxes
            key={shape.name}
            shape={shape}
            node={node}
            path={path}
            total={picture.tree.size}
            link={link}
          />
        ))
      )}
      <p class="treemap-note" aria-live="polite" />
      {path.length === 0 && <Whole picture={picture} binarySize={binarySize} />}
      <Largest node={node} path={path} link={link} />
    </section>
  );
}

/** The address of the page with something opened. */
export function address(source: string, at: readonly string[], isFine: boolean): string {
  const query = [
    ...(at.length === 0 ? [] : [`at=${at.map(encodeURIComponent).join("/")}`]),
    ...(isFine ? ["fine"] : []),
  ];
  return query.length === 0 ? source : `${source}?${query.join("&")}`;
}

/** The path in a query: names separated by `/`, each escaped. Nothing for what can't be one. */
export function pathIn(search: string): string[] {
  const text = /[?&]at=([^&]*)/.exec(search)?.[1] ?? "";
  try {
    return text.split("/").map(decodeURIComponent).filter(Boolean).slice(0, 16);
  } catch {
    return [];
  }
}

/** As deep as the names lead. */
function open(tree: SizeNode, at: readonly string[]): { readonly node: SizeNode; readonly path: string[] } {
  let node = tree;
  const path: string[] = [];
  for (const name of at) {
    const next = node.children.find((child) => child.name === name && child.children.length > 0);
    if (next === undefined) break;
    node = next;
    path.push(name);
  }
  return { node, path };
}

/** Functions and values become their module's own bytes. */
function withoutSymbols(node: SizeNode): SizeNode {
  const children = node.children
    .filter(({ kind }) => kind !== "function" && kind !== "value" && kind !== "more")
    .map(withoutSymbols);
  // What was put together beside modules is modules too, mostly.
  const more = node.children.filter(({ kind }) => kind === "more");
  const kept = children.length === 0 ? [] : [...children, ...more].sort((a, b) => b.size - a.size);
  return { ...node, children: kept, own: node.size - kept.reduce((sum, { size }) => sum + size, 0) };
}

interface BoxesProps {
  readonly shape: (typeof SHAPES)[number];
  readonly node: SizeNode;
  readonly path: readonly string[];
  readonly total: number;
  readonly link: (to: readonly string[]) => string;
}

function Boxes({ shape, node, path, total, link }: BoxesProps) {
  const { width } = shape;
  const levels = path.length === 0 ? 3 : 2;
  const shown = gatherSmall(node, 0, node.size * SMALLEST_SHOWN);
  const boxes = layoutTreemap(shown, path, { width, height: HEIGHT, levels, head: HEAD, gap: 2 });
  return (
    <svg class={`treemap-picture ${shape.name}`} height={HEIGHT} role="group" aria-label="The parts as boxes">
      {boxes.map((box) => (
        <Part key={box.path.join("\0")} box={box} shape={shape} total={total} link={link} />
      ))}
    </svg>
  );
}

function Part({ box, shape, total, link }: Omit<BoxesProps, "node" | "path"> & { readonly box: Box }) {
  const { node, path, x, y, width, height, isFrame } = box;
  const share = (value: number) => `${((value / shape.width) * 100).toFixed(3)}%`;
  const name = path.join(" / ");
  const content = (
    <svg x={share(x)} y={y.toFixed(1)} width={share(width)} height={height.toFixed(1)}>
      <rect width="100%" height="100%" rx="2" />
      <Label box={box} shape={shape} />
      <title>{`${name}: ${formatSize(node.size)}, ${shareOf(node.size, total)}${node.where === undefined ? "" : `, ${node.where}`}`}</title>
    </svg>
  );
  const kind = `box ${groupOf(path[0])} ${node.kind}${isFrame ? " frame" : ""}`;
  return node.children.length > 0 ? (
    <a class={kind} href={link(path)} data-name={name}>
      {content}
    </a>
  ) : (
    <g class={kind} data-name={name}>
      {content}
    </g>
  );
}

/** As much of a name as there is room for, for each width that the place may have at least. */
function Label({ box, shape }: { readonly box: Box; readonly shape: BoxesProps["shape"] }) {
  const { node, width, height, isFrame } = box;
  const { name } = node;
  if (height < 14) return null;
  const steps: {
    readonly from: number;
    till: number | undefined;
    readonly text: string;
    readonly letters: number;
  }[] = [];
  for (const from of shape.fits) {
    const letters = Math.floor(((width / shape.width) * from - 8) / LETTER);
    const cut = letters >= 4 ? `${name.slice(0, letters - 1)}…` : "";
    const text = letters >= name.length ? name : cut;
    const last = steps.at(-1);
    if (last?.text === text) continue;
    if (last !== undefined) last.till = from;
    steps.push({ from, till: undefined, text, letters });
  }
  return (
    <>
      {steps
        .filter(({ text }) => text !== "")
        .map(({ from, till, text, letters }) => (
          <g key={from} class={`label from-${from}${till === undefined ? "" : ` till-${till}`}`}>
            <text x="4" y={isFrame ? 14 : Math.min(15, Math.round(height / 2 + 4))}>
              {text}
            </text>
            {!isFrame && height >= 34 && letters >= 8 && (
              <text class="size" x="4" y="29">
                {formatSize(node.size)}
              </text>
            )}
          </g>
        ))}
    </>
  );
}

/** The width of a letter at the labels' size, the wide ones not counted. */
const LETTER = 6.6;

const GROUPS: Readonly<Record<string, string>> = { OCaml: "ocaml", C: "c" };
const groupOf = (name: string | undefined) => GROUPS[name ?? ""] ?? "nameless";

function shareOf(size: number, total: number): string {
  const share = total === 0 ? 0 : (size / total) * 100;
  return `${share < 0.1 ? "less than 0.1" : share.toFixed(1)} %`;
}

/** The binary beside what is loaded of it. */
function Whole({ picture, binarySize }: { picture: TreemapPicture; binarySize: number | undefined }) {
  const { tree, fileSize, zeroed, hasSymbols } = picture;
  const binary = binarySize ?? fileSize;
  const rest = binary - tree.size;
  return (
    <p class="treemap-whole muted">
      The binary has {formatSize(binary)}, of which {formatSize(Math.min(binary, tree.size))} are loaded
      {rest > 0 && `; the other ${formatSize(rest)} are headers, padding and tables`}.
      {zeroed > 0 && ` Another ${formatSize(zeroed)} of memory are zero at the start and take no room in it.`}
      {!hasSymbols && " Its names were stripped, so only sections are known."}
    </p>
  );
}

function Largest({ node, path, link }: Pick<BoxesProps, "node" | "path" | "link">) {
  const parts = partsOf(node);
  const shown = parts.slice(0, LARGEST_SHOWN);
  const rest = parts.slice(LARGEST_SHOWN);
  return (
    <details class="treemap-table">
      <summary>The largest parts as a table</summary>
      <table>
        <caption class="hidden-text">The largest parts, and what they are made of</caption>
        <thead>
          <tr>
            <th scope="col">Part</th>
            <th scope="col" class="number">
              Size
            </th>
            <th scope="col" class="number">
              Share
            </th>
            <th scope="col">Mostly</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((part) => (
            <tr key={`${part.kind} ${part.name}`}>
              <th scope="row">
                {part.children.length > 0 ? <a href={link([...path, part.name])}>{part.name}</a> : part.name}
              </th>
              <td class="number">{formatSize(part.size)}</td>
              <td class="number">{shareOf(part.size, node.size)}</td>
              <td>{mostly(part)}</td>
            </tr>
          ))}
          {rest.length > 0 && (
            <tr>
              <th scope="row">{rest.length} more</th>
              <td class="number">{formatSize(rest.reduce((sum, { size }) => sum + size, 0))}</td>
              <td class="number">
                {shareOf(
                  rest.reduce((sum, { size }) => sum + size, 0),
                  node.size,
                )}
              </td>
              <td />
            </tr>
          )}
        </tbody>
      </table>
    </details>
  );
}

function mostly(node: SizeNode): string {
  if (node.children.length === 0) return node.where ?? "";
  return partsOf(node)
    .slice(0, 3)
    .map(({ name, size }) => `${name} ${formatSize(size)}`)
    .join(", ");
}
