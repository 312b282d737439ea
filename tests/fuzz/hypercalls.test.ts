// A slice of tests/fuzz/hypercalls.ts that is small enough for every run, other seeds each day.
import { describe, expect, test } from "bun:test";
import { compilerVersion } from "../guests/build.ts";
import { lacks, needsCommands, needsKvm } from "../needs.ts";
import { fuzzHypercalls, judge } from "./hypercalls.ts";

const NO_GCC = compilerVersion() === undefined ? needsCommands("gcc") : undefined;
const DAY_MS = 24 * 60 * 60 * 1000;

describe.skipIf(lacks(needsKvm(), NO_GCC))("random hypercalls", () => {
  test("end a tender only in the ways that are allowed", async () => {
    const { calls, ends } = await fuzzHypercalls(600, Math.floor(Date.now() / DAY_MS) * 1_000_000);
    expect(calls).toBeGreaterThanOrEqual(600);
    expect(ends["invalid guest access"]).toBeGreaterThan(0);
  }, 300_000);
});

describe("the judge of random hypercalls", () => {
  const end = {
    code: 1,
    signal: null,
    stdout: "",
    stderr: "solo5-hvt: invalid guest access: 0x0, 8 bytes\n",
  };

  test("allows refusals, and guests that go wrong by themselves", () => {
    expect(judge(end)).toBe("invalid guest access");
    expect(judge({ ...end, code: 0, stderr: "" })).toBe("all calls were answered");
    expect(judge({ ...end, code: 255, stderr: "" })).toBe("the guest aborted");
  });

  test("allows a sleep that a guest asked for, and no other", () => {
    const slept = { ...end, stderr: "solo5-hvt: Exiting on signal 15\n" };
    const calls = "hypercall 1 at 0x200000: 0x1\n";
    expect(judge({ ...slept, stdout: `${calls}hypercall 3 at 0x3fffe5: 0x1\n` })).toBe("the guest slept on");
    expect(judge({ ...slept, stdout: `hypercall 3 at 0x3fffe5: 0x1\n${calls}` })).toBeUndefined();
  });

  test("allows no crash of the tender, no unknown status and no unknown message", () => {
    expect(judge({ ...end, code: null, signal: "SIGSEGV" })).toBeUndefined();
    expect(judge({ ...end, code: null, signal: "SIGSYS" })).toBeUndefined();
    expect(judge({ ...end, code: 2 })).toBeUndefined();
    expect(judge({ ...end, code: 0 })).toBeUndefined();
    expect(judge({ ...end, stderr: "" })).toBeUndefined();
    expect(judge({ ...end, stderr: "TypeError: x is undefined\n" })).toBeUndefined();
    expect(judge({ ...end, stderr: `${end.stderr}and more\n` })).toBeUndefined();
  });
});
