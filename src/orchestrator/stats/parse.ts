/** Figures of a process and of interfaces, from the text of /proc files. Pure. */
import type { LinkCounters } from "./sample.ts";

/** Of every Linux on the machines that robur runs on (getconf CLK_TCK, PAGESIZE). */
const TICKS_PER_SECOND = 100;
const PAGE = 4096;

export interface ProcessFigures {
  /** Microseconds. */
  readonly userTime: number;
  readonly systemTime: number;
  readonly minorFaults: number;
  readonly majorFaults: number;
  /** Bytes. */
  readonly virtual: number;
  readonly resident: number;
}

/** /proc/PID/stat: fields 10, 12, 14, 15, 23, 24, counted behind the name, which may contain anything. */
export function parseProcessStat(text: string): ProcessFigures | undefined {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const field = (number: number) => Number(fields[number - 3]);
  if (fields.length < 22) return undefined;
  const microseconds = 1_000_000 / TICKS_PER_SECOND;
  return {
    userTime: field(14) * microseconds,
    systemTime: field(15) * microseconds,
    minorFaults: field(10),
    majorFaults: field(12),
    virtual: field(23),
    resident: field(24) * PAGE,
  };
}

/** /proc/PID/status: the numbers of context switches. */
export function parseSwitches(text: string): { readonly voluntary: number; readonly involuntary: number } {
  return {
    voluntary: Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(text)?.[1] ?? 0),
    involuntary: Number(/^nonvoluntary_ctxt_switches:\s+(\d+)$/m.exec(text)?.[1] ?? 0),
  };
}

/** /proc/PID/io: bytes that went through system calls; undefined where it may not be read. */
export function parseIo(text: string): { readonly read: number; readonly written: number } | undefined {
  const read = /^rchar: (\d+)$/m.exec(text)?.[1];
  const written = /^wchar: (\d+)$/m.exec(text)?.[1];
  return read === undefined || written === undefined
    ? undefined
    : { read: Number(read), written: Number(written) };
}

/** /proc/PID/statm: pages of text (4th) and data (6th). */
export function parseStatm(text: string): { readonly text: number; readonly data: number } {
  const fields = text.trim().split(" ");
  return { text: Number(fields[3] ?? 0), data: Number(fields[5] ?? 0) };
}

export interface InterfaceFigures {
  /** What the host received on it: from the guest, where it is a tap. */
  readonly received: LinkCounters;
  readonly sent: LinkCounters;
  readonly collisions: number;
}

/** /proc/net/dev, by interface. */
export function parseNetDev(text: string): Map<string, InterfaceFigures> {
  const interfaces = new Map<string, InterfaceFigures>();
  for (const line of text.split("\n")) {
    const [, name, rest] = /^\s*([^\s:]+):\s*(.*)$/.exec(line) ?? [];
    const n = (rest ?? "").trim().split(/\s+/).map(Number);
    if (name === undefined || n.length < 16) continue;
    const [bytes = 0, packets = 0, errors = 0, dropped = 0, , , , multicast = 0] = n;
    const [sentBytes = 0, sentPackets = 0, sentErrors = 0, sentDropped = 0, , collisions = 0] = n.slice(8);
    interfaces.set(name, {
      received: { bytes, packets, errors, dropped, multicast },
      sent: {
        bytes: sentBytes,
        packets: sentPackets,
        errors: sentErrors,
        dropped: sentDropped,
        multicast: 0,
      },
      collisions,
    });
  }
  return interfaces;
}
