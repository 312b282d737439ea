/**
 * Random lives of networks, with kill -9 at any moment: after each, records and kernel agree, what lives is there,
 * and when all is taken away nothing is left.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { lacks } from "../needs.ts";
import { World, needsWorld, ok } from "./network-world.ts";

const STEPS = join(import.meta.dir, "networks-steps.ts");
const RUNS = Number(process.env["ROBUR_TEST_RUNS"] ?? 6);

/** `killAfter`: milliseconds after which the step's process is killed; undefined: it ends by itself. */
interface Step {
  readonly words: readonly string[];
  readonly killAfter: number | undefined;
}

const names = fc.constantFrom("a", "b", "service");
const unikernels = fc.constantFrom("u", "v", "w");
const ports = fc.constantFrom("8001", "8002", "8003");
const words = fc.oneof(
  fc.tuple(
    fc.constant("create"),
    names,
    fc.constantFrom("nat", "routed", "isolated"),
    fc.constantFrom("", "auto"),
  ),
  fc.tuple(fc.constant("rm"), names),
  fc.tuple(
    fc.constant("attach"),
    unikernels,
    fc.constantFrom("", "a", "b"),
    fc.oneof(ports, fc.constant("")),
  ),
  fc.tuple(fc.constant("detach"), unikernels),
  fc.tuple(fc.constant("publish"), unikernels, ports),
  fc.tuple(fc.constant("unpublish"), ports),
  fc.tuple(fc.constant("kill"), unikernels),
);
const step: fc.Arbitrary<Step> = fc.record({
  words,
  killAfter: fc.oneof({ weight: 2, arbitrary: fc.constant(undefined) }, fc.integer({ min: 60, max: 220 })),
});

interface Checked {
  readonly pending: readonly string[];
  readonly networks: readonly string[];
  readonly unikernels: readonly string[];
  readonly ports: readonly number[];
}

describe.skipIf(lacks(needsWorld()))("networks that are killed anywhere", () => {
  let world: World;
  let empty: string;
  /** The processes that stand for unikernels. */
  const alive = new Map<string, Bun.Subprocess>();

  beforeAll(async () => {
    world = await World.make();
    empty = await world.snapshot();
  });
  afterAll(async () => {
    for (const child of alive.values()) child.kill("SIGKILL");
    await world.end();
  });

  const data = () => join(world.directory, "data");
  const command = (...args: string[]) => world.in("host", [process.execPath, STEPS, data(), ...args]);

  async function kill(name: string): Promise<void> {
    alive.get(name)?.kill("SIGKILL");
    await alive.get(name)?.exited;
    alive.delete(name);
  }

  async function perform({ words, killAfter }: Step): Promise<void> {
    const [verb, name = ""] = words;
    if (verb === "kill") return kill(name);
    const args = [...words];
    if (verb === "attach") {
      // It is attached again by a new start, and the old one has ended.
      await kill(name);
      const child = Bun.spawn(["sleep", "600"], { stdio: ["ignore", "ignore", "ignore"] });
      alive.set(name, child);
      args.push(String(child.pid));
    }
    const child = Bun.spawn(command(...args), { stdout: "ignore", stderr: "pipe" });
    const timer = killAfter === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), killAfter);
    const [errors] = await Promise.all([child.stderr.text(), child.exited]);
    clearTimeout(timer);
    if (child.signalCode === null)
      expect({ words, status: child.exitCode, errors }).toMatchObject({ status: 0 });
  }

  async function check(): Promise<Checked> {
    const checked = JSON.parse(await ok(...command("check"))) as Checked;
    expect(checked.pending).toEqual([]);
    for (const name of checked.unikernels) expect(alive.has(name)).toBe(true);
    return checked;
  }

  test("agree with their records after each life, and leave nothing", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 8 }), async (steps) => {
        for (const one of steps) await perform(one);
        const { networks } = await check();
        for (const name of alive.keys()) await kill(name);
        expect((await check()).unikernels).toEqual([]);
        for (const name of networks) await perform({ words: ["rm", name], killAfter: undefined });
        expect((await check()).networks).toEqual([]);
        expect(await world.snapshot()).toBe(empty);
        rmSync(data(), { recursive: true, force: true });
      }),
      { numRuns: RUNS, endOnFailure: true },
    );
  }, 300_000);
});
