/**
 * Random hypercalls with hostile arguments, from a real guest under the compiled tender. By hand:
 *
 *     bun tests/fuzz/hypercalls.ts [--count=20000] [--seed=1]
 *
 * One boot goes on until the first call that ends it, so there are many boots, each with a seed of its own. What may
 * come of them is listed in `judge`; anything else stops the run and names the seed.
 */
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildGuest } from "../guests/build.ts";
import { type Ended, start } from "../robur.ts";

const CAPACITY = 65_536;
/** The most calls of one boot. */
const CALLS_PER_BOOT = 200;
/** A boot takes milliseconds; one that takes longer than this waits for something. */
const PATIENCE_MS = 5000;

export interface FuzzResult {
  readonly calls: number;
  readonly boots: number;
  /** How many boots ended in which way. */
  readonly ends: Readonly<Record<string, number>>;
}

/**
 * Names the way in which a boot ended, or undefined where it may not end like that. A guest may have the tender write
 * to its own stack, so it may also go wrong by itself: abort, or fault three times.
 */
export function judge({ code, signal, stdout, stderr }: Ended): string | undefined {
  if (signal !== null) return undefined;
  // The time that it asks to sleep for may be whatever stands at some address.
  const last = /hypercall (\d) at [^\n]*\n(?![^]*hypercall )/.exec(stdout)?.[1];
  if (code === 1 && stderr === "solo5-hvt: Exiting on signal 15\n" && last === "3")
    return "the guest slept on";
  if (code === 0 && stderr === "") return "all calls were answered";
  if (code === 255 && stderr === "") return "the guest aborted";
  if (code !== 1 || stderr.trimEnd().split("\n").length !== 1) return undefined;
  const known = [
    "invalid guest access",
    "host/guest translation fault",
    "unhandled exit 0x8",
    "internal error, suberror 0x1",
    "invalid guest port access",
    "invalid guest hypercall",
  ];
  return known.find((words) => stderr.startsWith("solo5-hvt: ") && stderr.includes(words));
}

/** Makes at least `count` random hypercalls. Throws for an end that may not be. */
export async function fuzzHypercalls(count: number, firstSeed: number): Promise<FuzzResult> {
  const image = await buildGuest("hostile", "hvt", { defines: ["WITH_BLOCK"] });
  const directory = mkdtempSync(join(tmpdir(), "robur-fuzz-"));
  const storage = join(directory, "disk");
  writeFileSync(storage, new Uint8Array(CAPACITY));
  const ends: Record<string, number> = {};
  let calls = 0;
  let boots = 0;
  try {
    for (let seed = firstSeed; calls < count; seed++, boots++) {
      const args = ["op=random", `seed=${seed}`, `count=${CALLS_PER_BOOT}`];
      const options = ["--mem=4", `--block:storage=${storage}`];
      const ended = await runPatiently([...options, "--", image, ...args]);
      calls += ended.stdout.split("hypercall ").length - 1;
      const end = judge(ended);
      if (end === undefined) throw new Error(describe(seed, ended));
      ends[end] = (ends[end] ?? 0) + 1;
      if (statSync(storage).size !== CAPACITY) throw new Error(`seed ${seed}: the block device has grown`);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
  return { calls, boots, ends };
}

/** Runs the tender, and ends it by SIGTERM when it takes too long. */
async function runPatiently(args: readonly string[]): Promise<Ended> {
  const child = await start(args, { as: "solo5-hvt" });
  const timer = setTimeout(() => child.kill("SIGTERM"), PATIENCE_MS);
  const lastTimer = setTimeout(() => child.kill("SIGKILL"), 4 * PATIENCE_MS);
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  clearTimeout(timer);
  clearTimeout(lastTimer);
  return { code: child.exitCode, signal: child.signalCode, stdout, stderr };
}

function describe(seed: number, { code, signal, stdout, stderr }: Ended): string {
  return `seed ${seed}: ended with ${signal ?? `status ${code}`}\n${stderr}\n${stdout.slice(-500)}`;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      count: { type: "string", default: "20000" },
      seed: { type: "string", default: "1" },
    },
  });
  const started = performance.now();
  const { calls, boots, ends } = await fuzzHypercalls(Number(values.count), Number(values.seed));
  const seconds = (performance.now() - started) / 1000;
  console.log(`${calls} hypercalls in ${boots} boots, ${seconds.toFixed(0)} s`);
  for (const [end, number] of Object.entries(ends)) console.log(`${String(number).padStart(8)}  ${end}`);
}
