/** From a switch export to what the picture of its dependencies is made of. */
import { type Dependencies, dependenciesOf } from "../../opam/dependencies.ts";
import { readSwitchExport } from "../../opam/switch-export.ts";
import type { DependencyPicture, PackageNode } from "./pictures.ts";

/** Beyond this nobody sees anything. */
const MOST_PACKAGES = 1000;
const MOST_LINES = 10_000;

/** Throws OpamError for what isn't a switch export. */
export function drawDependencies(text: string): DependencyPicture {
  const exported = readSwitchExport(text);
  const dependencies = dependenciesOf(exported);
  const versions = new Map(exported.installed.map(({ name, version }) => [name, version]));
  const roots = exported.roots.map(({ name }) => name).filter((name) => versions.has(name));
  const distances = distancesFrom(roots, dependencies);
  const reached = [...distances.keys()];
  const layers = layersOf(dependencies, distances);
  const order = drawable(layers.flat(), dependencies);
  const places = new Map(order.map((name, place) => [name, place]));
  const dependents = new Map<string, number>();
  for (const name of reached)
    for (const other of dependencies.get(name) ?? []) dependents.set(other, (dependents.get(other) ?? 0) + 1);
  return {
    kind: "dependencies",
    packages: order.map((name): PackageNode => ({
      name,
      version: versions.get(name) ?? "",
      distance: distances.get(name)!,
      dependencies: (dependencies.get(name) ?? [])
        .map((other) => places.get(other))
        .filter((place) => place !== undefined)
        .sort((a, b) => a - b),
      dependents: dependents.get(name) ?? 0,
    })),
    unreached: versions.size - reached.length,
    isCut: order.length < reached.length,
  };
}

/** The first packages, as many as can be drawn. */
function drawable(names: readonly string[], dependencies: Dependencies): readonly string[] {
  let lines = 0;
  const end = names.findIndex((name, place) => {
    lines += dependencies.get(name)?.length ?? 0;
    return place >= MOST_PACKAGES || lines > MOST_LINES;
  });
  return end < 0 ? names : names.slice(0, end);
}

/** Steps from the roots, breadth first. */
function distancesFrom(roots: readonly string[], dependencies: Dependencies): Map<string, number> {
  const distances = new Map(roots.map((name) => [name, 0]));
  for (const [name, distance] of distances) {
    for (const other of dependencies.get(name) ?? [])
      if (!distances.has(other)) distances.set(other, distance + 1);
  }
  return distances;
}

const SWEEPS = 6;

/**
 * Packages by distance, each layer sorted by the mean place of its neighbours in the layers beside it: the barycentre
 * method of layered drawing (Sugiyama, Tagawa and Toda, 1981).
 */
function layersOf(dependencies: Dependencies, distances: ReadonlyMap<string, number>): string[][] {
  const layers: string[][] = [];
  for (const [name, distance] of distances) (layers[distance] ??= []).push(name);
  for (const layer of layers) layer.sort();
  const neighbours = new Map<string, string[]>([...distances.keys()].map((name) => [name, []]));
  for (const name of distances.keys()) {
    for (const other of dependencies.get(name) ?? []) {
      if (Math.abs(distances.get(name)! - distances.get(other)!) !== 1) continue;
      neighbours.get(name)!.push(other);
      neighbours.get(other)!.push(name);
    }
  }
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const indices = layers.map((_, i) => i).slice(1);
    for (const i of sweep % 2 === 0 ? indices : indices.toReversed()) {
      const beside = new Map<string, number>();
      for (const layer of [layers[i - 1], layers[i + 1]])
        for (const [place, name] of (layer ?? []).entries()) beside.set(name, (place + 0.5) / layer!.length);
      const middle = new Map(
        layers[i]!.map((name, place) => {
          const found = neighbours.get(name)!.flatMap((other) => beside.get(other) ?? []);
          const own = (place + 0.5) / layers[i]!.length;
          return [name, found.length === 0 ? own : found.reduce((sum, at) => sum + at, 0) / found.length];
        }),
      );
      layers[i]!.sort((a, b) => middle.get(a)! - middle.get(b)! || (a < b ? -1 : 1));
    }
  }
  return layers;
}
