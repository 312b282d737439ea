/** A course over time as SVG: drawn by the server, and again by the browser as figures come in. */
import { formatDuration } from "../../src/lib/duration.ts";
import { clock, formatSize, percent } from "./format.ts";

export interface ChartPoint {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly value: number;
}

export interface ChartProps {
  readonly title: string;
  /** Oldest first. */
  readonly points: readonly ChartPoint[];
  readonly format: "percent" | "size" | "duration";
  /** The axis's end at least. */
  readonly least: number;
  readonly isSecond?: boolean;
}

const WIDTH = 400;
const HEIGHT = 130;
const LEFT = 54;
const BOTTOM = 18;
const TOP = 6;

const FORMATS = { percent, duration: formatDuration, size: (value: number) => formatSize(Math.round(value)) };

/** A round number not below `value`: 1, 2 or 5 times a power of the base, in the unit people read. */
export function niceCeiling(value: number, format: ChartProps["format"]): number {
  const base = format === "size" ? 2 : 10;
  if (base === 2) return 2 ** Math.ceil(Math.log2(Math.max(value, 1)));
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-6)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= value * 0.999)!;
}

export function Chart({ title, points, format, least, isSecond = false }: ChartProps) {
  const write = FORMATS[format];
  const values = points.map(({ value }) => value);
  const top = niceCeiling(Math.max(least, ...values), format);
  const now = values.at(-1);
  const summary =
    now === undefined ? "no figures yet" : `now ${write(now)}, highest ${write(Math.max(...values))}`;
  return (
    <figure class={isSecond ? "chart second" : "chart"}>
      <figcaption>
        <b>{title}</b>
        <span class="now">{summary}</span>
      </figcaption>
      {now !== undefined && (
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`${title}: ${summary}`}>
          <Axis top={top} write={write} points={points} />
          <Curve top={top} points={points} />
        </svg>
      )}
    </figure>
  );
}

function Axis({
  top,
  write,
  points,
}: {
  top: number;
  write: (value: number) => string;
  points: readonly ChartPoint[];
}) {
  const first = points.at(0);
  const last = points.at(-1);
  return (
    <g aria-hidden="true">
      {[0, 0.5, 1].map((share) => (
        <g key={share}>
          <line class="grid" x1={LEFT} x2={WIDTH} y1={y(share)} y2={y(share)} />
          <text x={LEFT - 8} y={y(share) + 4} text-anchor="end">
            {share === 0 ? "0" : write(top * share)}
          </text>
        </g>
      ))}
      {first !== undefined && last !== undefined && first !== last && (
        <>
          <text x={LEFT} y={HEIGHT - 4} data-clock={first.at}>
            {label(first.at, last.at - first.at)}
          </text>
          <text x={WIDTH} y={HEIGHT - 4} text-anchor="end" data-clock={last.at}>
            {label(last.at, last.at - first.at)}
          </text>
        </>
      )}
    </g>
  );
}

function Curve({ top, points }: { top: number; points: readonly ChartPoint[] }) {
  const first = points.at(0);
  const last = points.at(-1);
  if (first === undefined || last === undefined) return null;
  const width = last.at - first.at || 1;
  const place = ({ at, value }: ChartPoint): [number, number] => [
    LEFT + ((at - first.at) / width) * (WIDTH - LEFT),
    y(Math.min(value / top, 1)),
  ];
  const path = points.map((point) =>
    place(point)
      .map((n) => n.toFixed(1))
      .join(" "),
  );
  const [endX, endY] = place(last);
  const base = y(0);
  return (
    <g aria-hidden="true">
      {points.length > 1 && (
        <path class="area" d={`M${LEFT} ${base}L${path.join("L")}L${endX.toFixed(1)} ${base}Z`} />
      )}
      {points.length > 1 && <path class="curve" d={`M${path.join("L")}`} />}
      <circle class="dot" cx={points.length > 1 ? endX : LEFT} cy={endY} r="3" />
    </g>
  );
}

/** The height of a share of the axis. */
function y(share: number): number {
  return TOP + (1 - share) * (HEIGHT - BOTTOM - TOP);
}

/** The time of day, or the day where the course is longer than two days. */
function label(at: number, width: number): string {
  return width > 2 * 86_400_000
    ? new Date(at).toISOString().slice(0, 10)
    : clock(at).slice(0, width > 600_000 ? 5 : 8);
}

/** A course without axes, for a table's cell. Nothing to draw: nothing is there. */
export function Spark({ values, title }: { values: readonly number[]; title: string }) {
  if (values.length < 2) return null;
  const top = Math.max(...values, 0.05);
  const path = values
    .map(
      (value, i) => `${((i / (values.length - 1)) * 96).toFixed(1)} ${(22 - (value / top) * 20).toFixed(1)}`,
    )
    .join("L");
  return (
    <svg class="spark" viewBox="0 0 96 24" role="img" aria-label={title} preserveAspectRatio="none">
      <path d={`M${path}`} />
    </svg>
  );
}
