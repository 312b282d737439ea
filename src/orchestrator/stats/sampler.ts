/** One look at one process. */
import { KIB, MIB } from "../../lib/units.ts";
import { readSmallFile } from "../../linux/libc.ts";
import { totalCalls } from "../../tender/counter-page.ts";
import { readCounters } from "../../tender/read-counters.ts";
import type { NetworkView } from "../api.ts";
import { type InterfaceFigures, parseIo, parseProcessStat, parseStatm, parseSwitches } from "./parse.ts";
import type { StatsSample } from "./sample.ts";

export interface SampleSubject {
  readonly pid: number;
  readonly startedAt: number;
  readonly networks: readonly NetworkView[];
  /** The tender's descriptor of its counters; undefined: it has none. */
  readonly counters: number | undefined;
}

/** Undefined when the process is gone. `interfaces` are all of the machine, read once for all subjects. */
export function takeSample(
  { pid, startedAt, networks, counters }: SampleSubject,
  before: StatsSample | undefined,
  interfaces: ReadonlyMap<string, InterfaceFigures>,
  now: number,
): StatsSample | undefined {
  const figures = parseProcessStat(readSmallFile(`/proc/${pid}/stat`) ?? "");
  if (figures === undefined) return undefined;
  const switches = parseSwitches(readSmallFile(`/proc/${pid}/status`) ?? "");
  const pages = parseStatm(readSmallFile(`/proc/${pid}/statm`) ?? "");
  const io = parseIo(readSmallFile(`/proc/${pid}/io`) ?? "");
  const tender = counters === undefined ? undefined : readCounters(pid, counters);
  const previous = before?.startedAt === startedAt ? before : undefined;
  return {
    ...figures,
    resident: exactResident(pid, figures.resident),
    at: now,
    startedAt,
    cpu: previous === undefined ? null : share(previous, figures, now),
    voluntarySwitches: switches.voluntary,
    involuntarySwitches: switches.involuntary,
    readBytes: io?.read ?? null,
    writtenBytes: io?.written ?? null,
    textPages: pages.text,
    dataPages: pages.data,
    vmExits: tender?.exits ?? null,
    hypercalls: tender === undefined ? null : totalCalls(tender),
    tender: tender ?? null,
    networks: networks.flatMap(({ device, tap }) => {
      const link = tap === null ? undefined : interfaces.get(tap);
      if (tap === null || link === undefined) return [];
      const { received, sent, collisions } = link;
      return [{ device, tap, mtu: mtuOf(tap), fromGuest: received, toGuest: sent, collisions }];
    }),
  };
}

function share(
  before: StatsSample,
  after: { readonly userTime: number; readonly systemTime: number },
  now: number,
): number {
  const elapsed = (now - before.at) * 1000;
  const used = after.userTime + after.systemTime - before.userTime - before.systemTime;
  return elapsed <= 0 ? 0 : Math.max(0, used / elapsed);
}

/** Linux counts pages on each processor apart, and tells nothing of the last few dozen. */
const INEXACT = 4 * MIB;

/** Bytes in memory. Small processes are looked at more closely, where that is permitted. */
function exactResident(pid: number, roughly: number): number {
  if (roughly >= INEXACT) return roughly;
  const kib = /^Rss:\s+(\d+) kB$/m.exec(readSmallFile(`/proc/${pid}/smaps_rollup`) ?? "")?.[1];
  return kib === undefined ? roughly : Number(kib) * KIB;
}

function mtuOf(tap: string): number {
  return Number(readSmallFile(`/sys/class/net/${tap}/mtu`) ?? 1500) || 1500;
}
