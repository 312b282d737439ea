/**
 * How long an spt guest takes from the start to the first byte of its console, and what its process holds in
 * memory, beside solo5-spt where that is installed: `bun tests/bench/spt.ts [ROUNDS]`. Both are started in the
 * same way, in turns, so that the ratio means something on a busy machine as well. The aim: no ratio above 1.
 */
import { readFileSync } from "node:fs";
import { openImage } from "../../src/tender/image-file.ts";
import { prepareSpt } from "../../src/tender/spt/prepare.ts";
import { spawnSpt } from "../../src/tender/spt/spawn.ts";
import { readUnikernel } from "../../src/image/unikernel.ts";
import { buildGuest } from "../guests/build.ts";
import { calledAs } from "../robur.ts";

const MEMORY_MIB = 512;
const WARM_UP = 20;
const rounds = Number(process.argv[2] ?? 200);

type Start = (path: string) => Bun.Subprocess;

/** Everything that a server does for one start: opening and reading the image is part of it. */
const robur: Start = (path) => {
  const image = openImage(path);
  const unikernel = readUnikernel(image.source);
  const prepared = prepareSpt({ image, unikernel, memory: MEMORY_MIB * 2 ** 20, args: [], attachments: [] });
  const guest = spawnSpt(prepared, { stdout: "pipe", stderr: "inherit" });
  image.close();
  return guest.process;
};

function called(program: string): Start {
  return (path) =>
    Bun.spawn([program, `--mem=${MEMORY_MIB}`, path], { stdio: ["ignore", "pipe", "inherit"], env: {} });
}

/** Waits for the first byte. */
async function firstByte(child: Bun.Subprocess): Promise<void> {
  const reader = (child.stdout as ReadableStream<Uint8Array>).getReader();
  await reader.read();
  reader.releaseLock();
}

/** Milliseconds to the first byte. */
async function time(start: Start, path: string): Promise<number> {
  const begin = performance.now();
  const child = start(path);
  await firstByte(child);
  const end = performance.now();
  child.kill("SIGKILL");
  await child.exited;
  return end - begin;
}

/** KiB resident once the guest runs. */
async function resident(start: Start, path: string): Promise<number> {
  const child = start(path);
  await firstByte(child);
  const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
  child.kill("SIGKILL");
  await child.exited;
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Medians of both, taken in turns: what burdens the machine burdens all alike. */
async function measure(starts: readonly Start[], path: string): Promise<{ ms: number; kib: number }[]> {
  const times: number[][] = starts.map(() => []);
  for (let round = -WARM_UP; round < rounds; round++) {
    for (const [i, start] of starts.entries()) {
      const ms = await time(start, path);
      if (round >= 0) times[i]!.push(ms);
    }
  }
  const memory: number[] = [];
  for (const start of starts) memory.push(await resident(start, path));
  return times.map((all, i) => ({ ms: median(all), kib: memory[i]! }));
}

function report(name: string, { ms, kib }: { ms: number; kib: number }): void {
  console.log(`${name.padEnd(20)} first byte after ${ms.toFixed(2)} ms, ${kib} KiB resident`);
}

const guest = await buildGuest("sleep", "spt");
const original = Bun.which("solo5-spt");
const [ours, theirs] = await measure(original === null ? [robur] : [robur, called(original)], guest);
report("robur, spawned", ours!);
if (theirs === undefined) {
  console.log("solo5-spt is not on PATH: nothing to compare with");
} else {
  report("solo5-spt", theirs);
  const [time, memory] = [ours!.ms / theirs.ms, ours!.kib / theirs.kib];
  console.log(`${"ratio".padEnd(20)} time ${time.toFixed(2)}, memory ${memory.toFixed(2)}`);
}
// For knowledge: this form starts the whole executable first.
const [inPlace] = await measure([called(await calledAs("solo5-spt"))], guest);
report("robur as solo5-spt", inPlace!);
