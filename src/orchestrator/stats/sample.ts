/** What is measured of a running unikernel. Counters count from the start of its process. */

import type { TenderCounters } from "../../tender/counter-page.ts";

/** `raw` is each 10 s of the last ten minutes; minutes are kept for a day, hours for 30 days, days for a year. */
export type Resolution = "raw" | "minute" | "hour" | "day";

export interface NetworkCounters {
  readonly device: string;
  readonly tap: string;
  readonly mtu: number;
  /** From the unikernel: what the tap received. */
  readonly fromGuest: LinkCounters;
  /** To the unikernel: what the tap sent. */
  readonly toGuest: LinkCounters;
  readonly collisions: number;
}

export interface LinkCounters {
  readonly bytes: number;
  readonly packets: number;
  readonly errors: number;
  readonly dropped: number;
  readonly multicast: number;
}

/** One look at one unikernel. */
export interface StatsSample {
  readonly at: number;
  /** Microseconds. */
  readonly userTime: number;
  readonly systemTime: number;
  /** Share of one processor since the look before, 1 being all of it; null at the first. */
  readonly cpu: number | null;
  /** Bytes in memory, and bytes of address space. */
  readonly resident: number;
  readonly virtual: number;
  readonly minorFaults: number;
  readonly majorFaults: number;
  readonly voluntarySwitches: number;
  readonly involuntarySwitches: number;
  /** Bytes of block devices and console, as the process asked for them; null where the system doesn't tell. */
  readonly readBytes: number | null;
  readonly writtenBytes: number | null;
  /** Pages of text and data, as albatross reports them. */
  readonly textPages: number;
  readonly dataPages: number;
  /**
   * Exits of the guest to its tender and its hypercalls, of all kinds. Null for spt, whose guest makes its system
   * calls itself, so that there is nobody to count them; and where this server may not look at the tender.
   */
  readonly vmExits: number | null;
  readonly hypercalls: number | null;
  /** All that an hvt tender counts; null where the two above are. */
  readonly tender: TenderCounters | null;
  readonly networks: readonly NetworkCounters[];
  readonly startedAt: number;
}

/** A span of time, rolled up: averages and highest values of levels, and what counters grew by. */
export interface StatsPoint {
  /** The span's beginning. */
  readonly at: number;
  /** Average and highest share of one processor. */
  readonly cpu: number;
  readonly cpuMax: number;
  /** Bytes, average and highest. */
  readonly resident: number;
  readonly residentMax: number;
  /** Growth within the span. */
  readonly minorFaults: number;
  readonly majorFaults: number;
  readonly switches: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly fromGuestBytes: number;
  readonly fromGuestPackets: number;
  readonly toGuestBytes: number;
  readonly toGuestPackets: number;
  readonly vmExits: number;
  readonly hypercalls: number;
  /** How many looks it is made of. */
  readonly samples: number;
}

export interface StatsSeries {
  readonly resolution: Resolution;
  /** Milliseconds that a point stands for. */
  readonly step: number;
  readonly points: readonly StatsPoint[];
}
