/** From looks to spans of time, and from short spans to long ones. Pure. */
import type { Resolution, StatsPoint, StatsSample } from "./sample.ts";

const MINUTE_MS = 60_000;

/** How long a span is, and for how long it is kept. */
export const SPAN: Readonly<
  Record<Exclude<Resolution, "raw">, { readonly ms: number; readonly keptMs: number }>
> = {
  minute: { ms: MINUTE_MS, keptMs: 24 * 60 * MINUTE_MS },
  hour: { ms: 60 * MINUTE_MS, keptMs: 30 * 24 * 60 * MINUTE_MS },
  day: { ms: 24 * 60 * MINUTE_MS, keptMs: 365 * 24 * 60 * MINUTE_MS },
};

/** The beginning of the span that a time is in. */
export function spanOf(at: number, ms: number): number {
  return Math.floor(at / ms) * ms;
}

/** What a counter grew by; it begins anew with each process. */
function growth(before: number | null | undefined, after: number | null): number {
  if (after === null) return 0;
  return before === null || before === undefined || before > after ? after : after - before;
}

/** The span between two looks at the same unikernel; the first look of a process counts from its start. */
export function pointBetween(before: StatsSample | undefined, after: StatsSample): StatsPoint {
  const previous = before?.startedAt === after.startedAt ? before : undefined;
  const links = (
    sample: StatsSample | undefined,
    direction: "fromGuest" | "toGuest",
    of: "bytes" | "packets",
  ) =>
    sample === undefined
      ? undefined
      : sample.networks.reduce((sum, network) => sum + network[direction][of], 0);
  const link = (direction: "fromGuest" | "toGuest", of: "bytes" | "packets") =>
    growth(links(previous, direction, of), links(after, direction, of) ?? 0);
  const switches = ({ voluntarySwitches, involuntarySwitches }: StatsSample) =>
    voluntarySwitches + involuntarySwitches;
  return {
    at: after.at,
    cpu: after.cpu ?? 0,
    cpuMax: after.cpu ?? 0,
    resident: after.resident,
    residentMax: after.resident,
    minorFaults: growth(previous?.minorFaults, after.minorFaults),
    majorFaults: growth(previous?.majorFaults, after.majorFaults),
    switches: growth(previous === undefined ? undefined : switches(previous), switches(after)),
    readBytes: growth(previous?.readBytes, after.readBytes),
    writtenBytes: growth(previous?.writtenBytes, after.writtenBytes),
    fromGuestBytes: link("fromGuest", "bytes"),
    fromGuestPackets: link("fromGuest", "packets"),
    toGuestBytes: link("toGuest", "bytes"),
    toGuestPackets: link("toGuest", "packets"),
    vmExits: growth(previous?.vmExits, after.vmExits),
    hypercalls: growth(previous?.hypercalls, after.hypercalls),
    samples: 1,
  };
}

/** Several spans as one, which begins at `at`. Throws RangeError for none. */
export function rollUp(points: readonly StatsPoint[], at: number): StatsPoint {
  const [first] = points;
  if (first === undefined) throw new RangeError("no points to roll up");
  const samples = points.reduce((sum, point) => sum + point.samples, 0);
  const total = (of: keyof StatsPoint) => points.reduce((sum, point) => sum + point[of], 0);
  const average = (of: "cpu" | "resident") =>
    points.reduce((sum, point) => sum + point[of] * point.samples, 0) / samples;
  return {
    at,
    cpu: average("cpu"),
    cpuMax: Math.max(...points.map(({ cpuMax }) => cpuMax)),
    resident: Math.round(average("resident")),
    residentMax: Math.max(...points.map(({ residentMax }) => residentMax)),
    minorFaults: total("minorFaults"),
    majorFaults: total("majorFaults"),
    switches: total("switches"),
    readBytes: total("readBytes"),
    writtenBytes: total("writtenBytes"),
    fromGuestBytes: total("fromGuestBytes"),
    fromGuestPackets: total("fromGuestPackets"),
    toGuestBytes: total("toGuestBytes"),
    toGuestPackets: total("toGuestPackets"),
    vmExits: total("vmExits"),
    hypercalls: total("hypercalls"),
    samples,
  };
}
