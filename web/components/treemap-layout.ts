/**
 * Boxes for a tree of sizes: the area of each is its share. The squarified treemap of Bruls, Huizing and van Wijk
 * (2000): rows along the shorter side, each as long as its boxes grow squarer.
 */
import type { SizeNode } from "../../src/image/sizes.ts";

export interface Box {
  readonly node: SizeNode;
  /** Names from the tree's root down, the root's own not included. */
  readonly path: readonly string[];
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** It holds others, below a line with its name. */
  readonly isFrame: boolean;
}

export interface LayoutOptions {
  readonly width: number;
  readonly height: number;
  /** How many levels to open. */
  readonly levels: number;
  /** Height of the line with a frame's name. */
  readonly head: number;
  readonly gap: number;
}

interface Area {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Boxes smaller than this aren't opened, in either direction. */
const SMALLEST_FRAME = 40;
const SMALLEST_BOX = 1.5;

/** The boxes of a node's parts, outer ones first; the node itself is the whole area. */
export function layoutTreemap(node: SizeNode, path: readonly string[], options: LayoutOptions): Box[] {
  const boxes: Box[] = [];
  fill(
    node,
    path,
    { x: 0, y: 0, width: options.width, height: options.height },
    options.levels,
    options,
    boxes,
  );
  return boxes;
}

/** What a node consists of: its parts, and what belongs to none of them. */
export function partsOf(node: SizeNode): readonly SizeNode[] {
  if (node.own === 0 || node.children.length === 0) return node.children;
  const own: SizeNode = {
    name: "itself",
    kind: node.kind === "library" ? "module" : node.kind,
    size: node.own,
    own: node.own,
    children: [],
  };
  return [...node.children, own].toSorted((a, b) => b.size - a.size);
}

function fill(
  node: SizeNode,
  path: readonly string[],
  area: Area,
  levels: number,
  options: LayoutOptions,
  boxes: Box[],
): void {
  const parts = partsOf(node);
  for (const [i, place] of squarify(
    parts.map(({ size }) => size),
    area,
  ).entries()) {
    const part = parts[i]!;
    if (place.width < SMALLEST_BOX || place.height < SMALLEST_BOX) continue;
    const here = [...path, part.name];
    const isFrame =
      levels > 1 &&
      part.children.length > 0 &&
      place.width >= SMALLEST_FRAME &&
      place.height >= SMALLEST_FRAME;
    boxes.push({ node: part, path: here, ...place, isFrame });
    if (!isFrame) continue;
    const { gap, head } = options;
    const inside = {
      x: place.x + gap,
      y: place.y + head,
      width: place.width - 2 * gap,
      height: place.height - head - gap,
    };
    fill(part, here, inside, levels - 1, options, boxes);
  }
}

/** Areas for sizes, which go down. */
export function squarify(sizes: readonly number[], area: Area): Area[] {
  const places: Area[] = [];
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total === 0) return sizes.map(() => ({ ...area, width: 0, height: 0 }));
  const scale = (area.width * area.height) / total;
  let { x, y, width, height } = area;
  let first = 0;
  while (first < sizes.length) {
    const side = Math.min(width, height);
    const biggest = sizes[first]! * scale;
    let sum = biggest;
    let end = first + 1;
    let worst = worstOf(biggest, biggest, sum, side);
    while (end < sizes.length) {
      const next = sizes[end]! * scale;
      const worse = worstOf(biggest, next, sum + next, side);
      if (worse > worst) break;
      worst = worse;
      sum += next;
      end++;
    }
    const thickness = side === 0 ? 0 : sum / side;
    let along = 0;
    for (let i = first; i < end; i++) {
      const length = thickness === 0 ? 0 : (sizes[i]! * scale) / thickness;
      places.push(
        width >= height
          ? { x, y: y + along, width: thickness, height: length }
          : { x: x + along, y, width: length, height: thickness },
      );
      along += length;
    }
    if (width >= height) {
      x += thickness;
      width = Math.max(0, width - thickness);
    } else {
      y += thickness;
      height = Math.max(0, height - thickness);
    }
    first = end;
  }
  return places;
}

/** How far from a square the worst of a row is, of which the biggest, the smallest and the sum are known. */
function worstOf(biggest: number, smallest: number, sum: number, side: number): number {
  const square = side * side;
  if (square === 0 || smallest === 0) return Infinity;
  return Math.max((square * biggest) / (sum * sum), (sum * sum) / (square * smallest));
}
