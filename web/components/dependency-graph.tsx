/** What a build depends on: packages in columns by their distance from the root, darker the more others need them. */
import type { DependencyPicture, PackageNode } from "../../src/store/visualisations/pictures.ts";
import {
  type Edge,
  type GraphLayout,
  HEAD,
  type PlacedPackage,
  ROW,
  layoutGraph,
  shadeOf,
} from "./dependency-graph-layout.ts";

export interface DependencyGraphProps {
  readonly picture: DependencyPicture;
  /** The page that shows it alone, without a query: links in the picture lead there. */
  readonly source: string;
  /** The package that is looked at. */
  readonly at?: string;
}

export function DependencyGraph({ picture, source, at }: DependencyGraphProps) {
  const layout = layoutGraph(picture);
  const { packages, isCut, unreached } = picture;
  const chosen = at === undefined ? -1 : packages.findIndex(({ name }) => name === at);
  const most = Math.max(1, ...packages.map(({ dependents }) => dependents));
  const link = (name: string) => `${source}?at=${encodeURIComponent(name)}`;
  const direct = packages.filter(({ distance }) => distance === 1).length;
  return (
    <section class="graph" data-island="dependency-graph" aria-label="Dependencies">
      <p class="graph-summary">
        <b>{packages[0]?.name ?? "nothing"}</b> depends on {direct} packages directly and on{" "}
        {Math.max(0, packages.length - 1)} in all.
        {unreached > 0 && ` ${unreached} more are installed.`}
        {isCut && " Only the first thousand are drawn."}
      </p>
      <div class="graph-scroll" tabindex={0} role="group" aria-label="The packages in columns">
        <svg
          class={`graph-picture ${fitClass(layout.width)}${chosen < 0 ? "" : " choosing"}`}
          width={Math.ceil(layout.width)}
          height={Math.ceil(layout.height)}
          viewBox={`0 0 ${Math.ceil(layout.width)} ${Math.ceil(layout.height)}`}
        >
          {layout.heads.map(({ x, distance, count }) => (
            <text key={distance} class="head" x={x} y={HEAD - 12}>
              {HEADS[distance] ?? `${distance} steps`}
              {distance > 0 && ` (${count})`}
            </text>
          ))}
          <g class="edges" aria-hidden="true">
            {layout.edges.map((edge) => (
              <path
                key={`${edge.from} ${edge.to}`}
                class={edgeClass(edge, chosen)}
                d={curve(layout, edge)}
                data-from={edge.from}
                data-to={edge.to}
              />
            ))}
          </g>
          {layout.packages.map((placed, place) => (
            <Package
              key={placed.node.name}
              placed={placed}
              place={place}
              shade={shadeOf(placed.node.dependents, most)}
              role={roleOf(packages, chosen, place)}
              href={link(placed.node.name)}
            />
          ))}
        </svg>
      </div>
      <div class="graph-note" aria-live="polite">
        {chosen >= 0 && <Chosen picture={picture} place={chosen} link={link} source={source} />}
      </div>
      <List packages={packages} link={link} />
    </section>
  );
}

/** Widths of the frame from which on the picture shrinks to fit; in narrower ones its columns are scrolled. */
const FITS = [560, 700, 850, 1000, 1200, 1400];
/** Names can be read down to so much of their size. */
const SMALLEST = 0.75;

function fitClass(width: number): string {
  const fit = FITS.find((least) => least >= width * SMALLEST);
  return fit === undefined ? "" : `fit-${fit}`;
}

const HEADS: Readonly<Record<number, string>> = { 0: "root", 1: "direct" };

function edgeClass({ from, to, isFirst }: Edge, chosen: number): string {
  const role = from === chosen ? " down" : to === chosen ? " up" : "";
  return `edge${isFirst ? " first" : ""}${role}`;
}

/** Between the sides that face each other; around, where both stand in one column. */
function curve({ packages }: GraphLayout, { from, to }: Edge): string {
  const a = packages[from]!;
  const b = packages[to]!;
  const middle = (placed: PlacedPackage) => placed.y + ROW / 2 - 1;
  const isAhead = b.x >= a.x + a.width;
  const isBehind = b.x + b.width <= a.x;
  const x1 = isBehind ? a.x : a.x + a.width;
  const x2 = isAhead ? b.x : b.x + b.width;
  const bend = isAhead || isBehind ? Math.max(24, Math.abs(x2 - x1) / 2) : 36;
  const c1 = isBehind ? x1 - bend : x1 + bend;
  const c2 = isAhead ? x2 - bend : x2 + bend;
  return `M${x1.toFixed(0)} ${middle(a)}C${c1.toFixed(0)} ${middle(a)} ${c2.toFixed(0)} ${middle(b)} ${x2.toFixed(0)} ${middle(b)}`;
}

type Role = "chosen" | "down" | "up" | undefined;

function roleOf(packages: readonly PackageNode[], chosen: number, place: number): Role {
  if (chosen < 0) return undefined;
  if (chosen === place) return "chosen";
  if (packages[chosen]!.dependencies.includes(place)) return "down";
  return packages[place]!.dependencies.includes(chosen) ? "up" : undefined;
}

interface PackageProps {
  readonly placed: PlacedPackage;
  readonly place: number;
  readonly shade: number;
  readonly role: Role;
  readonly href: string;
}

function Package({ placed, place, shade, role, href }: PackageProps) {
  const { node, x, y, width } = placed;
  const { name, version, dependencies, dependents } = node;
  return (
    <a
      class={`package shade-${shade}${role === undefined ? "" : ` ${role}`}`}
      href={href}
      data-place={place}
      data-name={name}
    >
      <rect x={x.toFixed(1)} y={y.toFixed(1)} width={width.toFixed(1)} height={ROW - 3} rx="4" />
      <text x={(x + 7).toFixed(1)} y={(y + 13.5).toFixed(1)}>
        {name}
      </text>
      {dependents > 1 && (
        <text class="count" x={(x + width - 6).toFixed(1)} y={(y + 13.5).toFixed(1)} text-anchor="end">
          {dependents}
        </text>
      )}
      <title>{`${name} ${version}: depends on ${dependencies.length}, needed by ${dependents}`}</title>
    </a>
  );
}

interface ChosenProps {
  readonly picture: DependencyPicture;
  readonly place: number;
  readonly link: (name: string) => string;
  readonly source: string;
}

function Chosen({ picture: { packages }, place, link, source }: ChosenProps) {
  const { name, version, dependencies } = packages[place]!;
  const needed = packages.filter((other) => other.dependencies.includes(place));
  return (
    <>
      <p>
        <b>{name}</b> {version} <a href={source}>choose none</a>
      </p>
      <Names title="Depends on" packages={dependencies.map((to) => packages[to]!)} link={link} />
      <Names title="Needed by" packages={needed} link={link} />
    </>
  );
}

function Names({
  title,
  packages,
  link,
}: {
  title: string;
  packages: readonly PackageNode[];
  link: ChosenProps["link"];
}) {
  return (
    <p>
      {title}:{" "}
      {packages.length === 0
        ? "nothing"
        : packages.map(({ name }, i) => (
            <span key={name}>
              {i > 0 && ", "}
              <a href={link(name)}>{name}</a>
            </span>
          ))}
    </p>
  );
}

function List({ packages, link }: { packages: readonly PackageNode[]; link: ChosenProps["link"] }) {
  const sorted = packages.toSorted((a, b) => b.dependents - a.dependents || (a.name < b.name ? -1 : 1));
  return (
    <details class="graph-table">
      <summary>All packages as a table</summary>
      <table>
        <caption class="hidden-text">Packages, those that most others need first</caption>
        <thead>
          <tr>
            <th scope="col">Package</th>
            <th scope="col">Version</th>
            <th scope="col" class="number">
              Needed by
            </th>
            <th scope="col" class="number">
              Depends on
            </th>
            <th scope="col" class="number">
              Steps from the root
            </th>
          </tr>
        </thead>
        <tbody>
          {sorted.map(({ name, version, dependents, dependencies, distance }) => (
            <tr key={name}>
              <th scope="row">
                <a href={link(name)}>{name}</a>
              </th>
              <td>{version}</td>
              <td class="number">{dependents}</td>
              <td class="number">{dependencies.length}</td>
              <td class="number">{distance}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
