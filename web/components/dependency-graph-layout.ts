/** Where each package stands: in columns by its distance from the root, long ones broken into several. */
import type { DependencyPicture, PackageNode } from "../../src/store/visualisations/pictures.ts";

export interface PlacedPackage {
  readonly node: PackageNode;
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

export interface Edge {
  readonly from: number;
  readonly to: number;
  /** The first way to a package from the layer before: these make a tree, which is shown at rest. */
  readonly isFirst: boolean;
}

export interface GraphLayout {
  readonly width: number;
  readonly height: number;
  /** In the picture's order. */
  readonly packages: readonly PlacedPackage[];
  readonly edges: readonly Edge[];
  /** Where each distance begins. */
  readonly heads: readonly { readonly x: number; readonly distance: number; readonly count: number }[];
}

export const ROW = 22;
export const HEAD = 26;
const MOST_ROWS = 34;
const LETTER = 7.1;
const PADDING = 16;
const BETWEEN_PARTS = 10;
const BETWEEN_LAYERS = 64;

export function layoutGraph({ packages }: DependencyPicture): GraphLayout {
  const layers: number[][] = [];
  for (const [place, { distance }] of packages.entries()) (layers[distance] ??= []).push(place);
  const rows = Math.min(MOST_ROWS, Math.max(1, ...layers.map((layer) => layer.length)));
  const placed: PlacedPackage[] = [];
  const heads: { x: number; distance: number; count: number }[] = [];
  let x = 2;
  for (const [distance, layer] of layers.entries()) {
    heads.push({ x, distance, count: layer.length });
    const parts = Math.ceil(layer.length / rows);
    const each = Math.ceil(layer.length / parts);
    for (let part = 0; part < parts; part++) {
      const members = layer.slice(part * each, (part + 1) * each);
      const width = Math.max(
        56,
        ...members.map(
          (place) => packages[place]!.name.length * LETTER + PADDING + countWidth(packages[place]!),
        ),
      );
      const top = HEAD + ((rows - members.length) * ROW) / 2;
      for (const [row, place] of members.entries())
        placed[place] = { node: packages[place]!, x, y: top + row * ROW, width };
      x += width + (part < parts - 1 ? BETWEEN_PARTS : BETWEEN_LAYERS);
    }
  }
  return {
    width: Math.max(100, x - BETWEEN_LAYERS + 2),
    height: HEAD + rows * ROW + 4,
    packages: placed,
    edges: edgesOf(packages),
    heads,
  };
}

const countWidth = ({ dependents }: PackageNode) => (dependents > 1 ? String(dependents).length * 6 + 10 : 0);

function edgesOf(packages: readonly PackageNode[]): Edge[] {
  const reached = new Set<number>();
  return packages.flatMap(({ dependencies, distance }, from) =>
    dependencies.map((to): Edge => {
      const isFirst = packages[to]!.distance === distance + 1 && !reached.has(to);
      if (isFirst) reached.add(to);
      return { from, to, isFirst };
    }),
  );
}

/** How often a package is used, in six steps from once to as often as any. */
export function shadeOf(dependents: number, most: number): number {
  if (dependents <= 1 || most <= 1) return 0;
  return Math.min(5, 1 + Math.floor((Math.log(dependents) / Math.log(most)) * 4.999));
}
