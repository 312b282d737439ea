// @alone
// A server has many unikernels, and most of them wait for something most of the time.
import { describe, expect, test } from "bun:test";
import { compilerVersion } from "../../guests/build.ts";
import { lacks, needsCommands, needsKvm } from "../../needs.ts";
import { guestRuns, sleeps, threadTimes } from "../../process.ts";
import { startGuest } from "./guest.ts";

const NO_GCC = compilerVersion() === undefined ? needsCommands("gcc") : undefined;
const TENDERS = 50;
const SECONDS = 4;

describe.skipIf(lacks(needsKvm(), NO_GCC))("50 tenders at once", () => {
  test("whose guests all sleep use less than 1 % of a processor", async () => {
    const children = await Promise.all(
      Array.from({ length: TENDERS }, () => startGuest("solo5-hvt", "sleep", { memory: 16 })),
    );
    for (const { pid } of children) {
      await guestRuns(pid);
      await sleeps(pid);
    }
    const before = children.map(({ pid }) => threadTimes(pid));
    const begin = performance.now();
    await Bun.sleep(SECONDS * 1000);
    let used = 0;
    for (const [i, { pid }] of children.entries()) {
      for (const [thread, ran] of threadTimes(pid)) used += ran - (before[i]?.get(thread) ?? 0);
    }
    expect(used / ((performance.now() - begin) * 1e6)).toBeLessThan(0.01);
    for (const child of children) child.kill("SIGTERM");
    expect(await Promise.all(children.map((child) => child.exited))).toEqual(children.map(() => 1));
  }, 120_000);
});
