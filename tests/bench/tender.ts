/**
 * What the hvt tender costs, beside the solo5-hvt on PATH where there is one: both in turns, in one run, so that the
 * ratios mean something on a busy machine as well.
 *
 *     bun tests/bench/tender.ts [--json] [--quick]
 */
import { readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildGuest } from "../guests/build.ts";
import { needsKvm, needsNetwork, needsRoot } from "../needs.ts";
import { Network } from "../private-network.ts";
import { sleeps, threadTimes } from "../process.ts";
import { calledAs, environment, temporaryDirectory } from "../robur.ts";

/** How to start a guest: `image` and the options are the original's. */
interface Tender {
  readonly name: string;
  readonly command: (options: readonly string[], image: string, args: readonly string[]) => string[];
}

interface Measure {
  readonly what: string;
  readonly unit: string;
  readonly robur: number;
  readonly original: number | undefined;
  /** What robur is to reach, in words. */
  readonly aim: string;
  /** Whether it does; undefined where there is nothing to compare with. */
  readonly reached: boolean | undefined;
}

const { values: flags } = parseArgs({
  options: { json: { type: "boolean", default: false }, quick: { type: "boolean", default: false } },
});
const scale = flags.quick ? 0.2 : 1;
const rounds = Math.ceil(40 * scale);

const link = await calledAs("solo5-hvt");
const installed = Bun.which("solo5-hvt");
const asOriginal = (program: string): Tender => ({
  name: program,
  command: (options, image, args) => [program, ...options, "--", image, ...args],
});
const ours = asOriginal(link);
const theirs = installed === null ? undefined : asOriginal(installed);
const executable = await calledAs("robur");

function spawn(command: readonly string[], under: readonly string[] = []) {
  return Bun.spawn([...under, ...command], {
    env: environment(),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
  });
}

/** Runs to the end and gives standard output; throws for another status than 0. */
async function output(command: readonly string[], under: readonly string[] = []): Promise<string> {
  const child = spawn(command, under);
  const text = await new Response(child.stdout).text();
  if ((await child.exited) !== 0) throw new Error(`${command.join(" ")}: status ${child.exitCode}`);
  return text;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** The median of each, measured in turns after a warm-up. */
async function inTurns(
  times: number,
  mine: () => Promise<number>,
  other: (() => Promise<number>) | undefined,
): Promise<[mine: number, other: number | undefined]> {
  const found: [number[], number[]] = [[], []];
  for (let i = 0; i < times; i++) {
    found[0].push(await mine());
    if (other !== undefined) found[1].push(await other());
  }
  return [median(found[0]), other === undefined ? undefined : median(found[1])];
}

async function both(times: number, measure: (tender: Tender) => Promise<number>) {
  await measure(ours);
  return inTurns(times, () => measure(ours), theirs === undefined ? undefined : () => measure(theirs));
}

/** Milliseconds from the start to the first byte of the console. */
async function firstByte(command: readonly string[]): Promise<number> {
  const begin = performance.now();
  const child = spawn(command);
  const reader = child.stdout.getReader();
  await reader.read();
  const took = performance.now() - begin;
  while (!(await reader.read()).done);
  await child.exited;
  return took;
}

/** Milliseconds from the start to the end. */
async function wall(command: readonly string[]): Promise<number> {
  const begin = performance.now();
  await output(command);
  return performance.now() - begin;
}

async function boots(): Promise<Measure[]> {
  const image = join(import.meta.dir, "../../assets/hello/hello.hvt");
  const [first, firstTheirs] = await both(rounds, (tender) => firstByte(tender.command([], image, [])));
  const original = theirs === undefined ? undefined : () => wall(theirs.command([], image, []));
  const [whole, wholeTheirs] = await inTurns(rounds, () => wall([executable, "run", "hello.hvt"]), original);
  const aim = "at most twice the original's";
  const twice = (mine: number, other: number | undefined) =>
    other === undefined ? undefined : mine <= 2 * other;
  return [
    {
      what: "boot to the first console byte",
      unit: "ms",
      robur: first,
      original: firstTheirs,
      aim: "10 ms of set-up",
      reached: first <= 10 + (firstTheirs ?? 0),
    },
    {
      what: "whole `robur run hello.hvt`",
      unit: "ms",
      robur: whole,
      original: wholeTheirs,
      aim,
      reached: twice(whole, wholeTheirs),
    },
  ];
}

/** Microseconds of user time for one hypercall: the difference between two runs, so that the start doesn't count. */
async function perHypercall(): Promise<Measure> {
  const image = await buildGuest("hypercalls", "hvt");
  const more = 200_000 * scale;
  const user = async (tender: Tender, count: number) => {
    const child = spawn(tender.command(["--mem=16"], image, [`count=${count}`]));
    await new Response(child.stdout).text();
    await child.exited;
    return Number(child.resourceUsage()?.cpuTime.user ?? Number.NaN);
  };
  const [robur, original] = await both(
    3,
    async (tender) => ((await user(tender, more + 1000)) - (await user(tender, 1000))) / more,
  );
  return {
    what: "user time of a hypercall",
    unit: "µs",
    robur,
    original,
    aim: "0.4 µs",
    reached: robur <= 0.4,
  };
}

/** MB/s as the guest measures them. */
async function block(): Promise<Measure[]> {
  const storage = join(temporaryDirectory(), "disk");
  writeFileSync(storage, "");
  truncateSync(storage, 64 << 20);
  const image = await buildGuest("blkbench", "hvt");
  const found: Measure[] = [];
  for (const op of ["read", "write"]) {
    for (const [length, megabytes] of [
      [512, 8],
      [262_144, 1024],
    ] as const) {
      const args = [`op=${op}`, `len=${length}`, `mb=${Math.ceil(megabytes * scale)}`];
      const [robur, original] = await both(3, async (tender) => {
        const said = await output(tender.command(["--mem=16", `--block:storage=${storage}`], image, args));
        const [, bytes, ns] = /(\d+) bytes in (\d+) ns/.exec(said) ?? [];
        return (Number(bytes) / Number(ns)) * 1000;
      });
      found.push({
        what: `block ${op}, ${length < 1024 ? length : `${length / 1024} Ki`} bytes a call`,
        unit: "MB/s",
        robur,
        original,
        aim: "",
        reached: undefined,
      });
    }
  }
  rmSync(storage);
  return found;
}

async function networks(): Promise<Measure[]> {
  await using network = await Network.create();
  network.addTap("tap0", { address: "10.0.0.1/24" });
  const options = ["--mem=16", "--net:service0=tap0"];
  const frames = Math.ceil(50_000 * scale);
  const bench = await buildGuest("netbench", "hvt");
  const sent = await both(3, async (tender) => {
    const args = ["op=blast", "size=64", `frames=${frames}`];
    const said = await output(tender.command(options, bench, args), network.inside);
    return frames / (Number(/ in (\d+) ns/.exec(said)?.[1]) / 1e9);
  });
  const pings = Math.ceil(5000 * scale);
  const echo = await buildGuest("net", "hvt");
  const answered = await both(3, async (tender) => {
    const child = spawn(tender.command(options, echo, [`limit=${pings}`]), network.inside);
    // It says who it is as soon as it can answer.
    const reader = child.stdout.getReader();
    await reader.read();
    const begin = performance.now();
    await network.ping("10.0.0.2", pings);
    const took = performance.now() - begin;
    child.kill();
    await child.exited;
    return pings / (took / 1000);
  });
  const none = { unit: "/s", aim: "", reached: undefined };
  return [
    { what: "frames of 64 bytes sent", robur: sent[0], original: sent[1], ...none },
    { what: "pings answered in a flood", robur: answered[0], original: answered[1], ...none },
  ];
}

/**
 * KiB that only this process has. The few pages that the guest has touched are among them, some 60 KiB. Only root may
 * look at a tender.
 */
function privateKilobytes(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(rollup)?.[1]);
  return field("Private_Clean") + field("Private_Dirty");
}

async function startSleepers(tender: Tender, count: number) {
  const image = await buildGuest("sleep", "hvt");
  const children = Array.from({ length: count }, () => spawn(tender.command(["--mem=16"], image, [])));
  for (const child of children) {
    await child.stdout.getReader().read();
    await sleeps(child.pid);
  }
  const stop = async () => {
    for (const child of children) child.kill();
    await Promise.all(children.map((child) => child.exited));
  };
  return { children, stop };
}

async function memory(): Promise<Measure> {
  // Of several at once: what they share is no cost of one.
  const of = async (tender: Tender) => {
    const { children, stop } = await startSleepers(tender, 10);
    const found = median(children.map(({ pid }) => privateKilobytes(pid)));
    await stop();
    return found / 1024;
  };
  const robur = await of(ours);
  const original = theirs === undefined ? undefined : await of(theirs);
  return { what: "private memory", unit: "MiB", robur, original, aim: "4 MiB", reached: robur <= 4 };
}

async function asleep(): Promise<Measure> {
  const seconds = flags.quick ? 3 : 10;
  const of = async (tender: Tender) => {
    const { children, stop } = await startSleepers(tender, 50);
    const before = children.map(({ pid }) => threadTimes(pid));
    const begin = performance.now();
    await Bun.sleep(seconds * 1000);
    // Threads of the engine end when there is nothing to do, and take their account with them.
    let used = 0;
    for (const [i, { pid }] of children.entries()) {
      for (const [thread, ran] of threadTimes(pid)) used += ran - (before[i]?.get(thread) ?? 0);
    }
    const share = used / ((performance.now() - begin) * 1e6);
    await stop();
    return share * 100;
  };
  const robur = await of(ours);
  const original = theirs === undefined ? undefined : await of(theirs);
  return { what: "processor, 50 asleep", unit: "%", robur, original, aim: "1 %", reached: robur < 1 };
}

function printTable(measures: readonly Measure[]): void {
  const number = (value: number | undefined) =>
    value === undefined ? "-" : value >= 1000 ? value.toFixed(0) : value.toPrecision(3);
  const rows = measures.map(({ what, unit, robur, original, aim, reached }) => [
    what,
    `${number(robur)} ${unit}`,
    original === undefined ? "-" : `${number(original)} ${unit}`,
    original === undefined || original === 0 ? "-" : (robur / original).toFixed(2),
    aim,
    reached === undefined ? "" : reached ? "reached" : "MISSED",
  ]);
  const table = [["", "robur", "solo5-hvt", "ratio", "aim", ""], ...rows];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  for (const row of table) {
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd(),
    );
  }
}

const missing = needsKvm();
if (missing !== undefined) {
  console.error(`no benchmark: ${missing}`);
  process.exit(1);
}
if (theirs === undefined) console.error("solo5-hvt is not on PATH: no ratios");
const measures: Measure[] = [...(await boots()), await perHypercall(), ...(await block())];
const noNetwork = needsNetwork();
if (noNetwork === undefined) measures.push(...(await networks()));
else console.error(`no networks: ${noNetwork}`);
const noRoot = needsRoot();
if (noRoot === undefined) measures.push(await memory());
else console.error(`no private memory: ${noRoot}`);
measures.push(await asleep());

if (flags.json) console.log(JSON.stringify(measures, null, 2));
else printTable(measures);
