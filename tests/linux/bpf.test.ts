import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  ALLOW,
  type Condition,
  KILL_PROCESS,
  KILL_THREAD,
  type Policy,
  type Rule,
  assembleFilter,
  failWith,
  programHeader,
} from "../../src/linux/bpf.ts";
import { type SyscallName, syscallNumber } from "../../src/linux/syscalls.ts";
import { AUDIT_ARCH_AARCH64, AUDIT_ARCH_I386, AUDIT_ARCH_X86_64, runFilter } from "./bpf-machine.ts";

function filter(rules: readonly Rule[], otherwise = KILL_PROCESS): Uint8Array {
  return assembleFilter({ architecture: "x86_64", rules, otherwise });
}

function ask(program: Uint8Array, call: SyscallName, ...args: bigint[]): number {
  return runFilter(program, { number: syscallNumber(call, "x86_64"), architecture: AUDIT_ARCH_X86_64, args });
}

describe("a seccomp filter", () => {
  test("allows what is listed and gives its default to everything else", () => {
    const program = filter([{ call: "exit_group" }], KILL_THREAD);
    expect(ask(program, "exit_group")).toBe(ALLOW);
    expect(ask(program, "read")).toBe(KILL_THREAD);
    expect(ask(filter([]), "read")).toBe(KILL_PROCESS);
  });

  test("answers with an error number where told so", () => {
    const program = filter([{ call: "openat", action: failWith(13) }]);
    expect(ask(program, "openat")).toBe(0x0005_000d);
  });

  test("kills calls of another architecture and of x32, even those with listed numbers", () => {
    const program = filter([{ call: "write" }]);
    expect(runFilter(program, { number: 1, architecture: AUDIT_ARCH_X86_64 })).toBe(ALLOW);
    expect(runFilter(program, { number: 1, architecture: AUDIT_ARCH_I386 })).toBe(KILL_PROCESS);
    expect(runFilter(program, { number: 1, architecture: AUDIT_ARCH_AARCH64 })).toBe(KILL_PROCESS);
    expect(runFilter(program, { number: 0x4000_0001, architecture: AUDIT_ARCH_X86_64 })).toBe(KILL_PROCESS);
    // -1, which a tracer can put in place of a number.
    expect(runFilter(program, { number: 0xffff_ffff, architecture: AUDIT_ARCH_X86_64 })).toBe(KILL_PROCESS);
  });

  test("uses the numbers of aarch64 there, and leaves out the calls it doesn't have", () => {
    const rules: Rule[] = [{ call: "arch_prctl" }, { call: "write" }];
    const program = assembleFilter({ architecture: "aarch64", rules, otherwise: KILL_THREAD });
    const asked = (number: number) => runFilter(program, { number, architecture: AUDIT_ARCH_AARCH64 });
    expect(asked(64)).toBe(ALLOW);
    expect(asked(1)).toBe(KILL_THREAD);
    expect(asked(0xffff_ffff)).toBe(KILL_THREAD);
  });

  test("compares all 64 bits of an argument", () => {
    const program = filter([{ call: "write", when: [{ argument: 0, equals: 0x1_0000_0002n }] }]);
    expect(ask(program, "write", 0x1_0000_0002n)).toBe(ALLOW);
    expect(ask(program, "write", 2n)).toBe(KILL_PROCESS);
    expect(ask(program, "write", 0x1_0000_0000n)).toBe(KILL_PROCESS);
  });

  test("compares unsigned, at every border of the two halves", () => {
    const limits = [0n, 1n, 0xffff_ffffn, 0x1_0000_0000n, 0x1_ffff_fe00n, 2n ** 63n, 2n ** 64n - 1n];
    for (const limit of limits) {
      const program = filter([{ call: "pread64", when: [{ argument: 3, atMost: limit }] }]);
      for (const near of limits.flatMap((value) => [value - 1n, value, value + 1n])) {
        const value = BigInt.asUintN(64, near);
        expect(ask(program, "pread64", 0n, 0n, 0n, value)).toBe(value <= limit ? ALLOW : KILL_PROCESS);
      }
    }
  });

  test("tries the rules of one call in order", () => {
    const program = filter([
      { call: "clock_gettime", when: [{ argument: 0, equals: 1n }] },
      { call: "clock_gettime", when: [{ argument: 0, equals: 0n }] },
      { call: "clock_gettime", action: failWith(22) },
      { call: "clock_gettime" },
    ]);
    expect(ask(program, "clock_gettime", 0n)).toBe(ALLOW);
    expect(ask(program, "clock_gettime", 1n)).toBe(ALLOW);
    expect(ask(program, "clock_gettime", 2n)).toBe(failWith(22));
  });

  test("holds far more rules than a conditional jump can skip", () => {
    const when = (i: number): Condition[] => [
      { argument: 0, equals: BigInt(i) },
      { argument: 2, equals: 512n },
      { argument: 3, atMost: 4096n },
    ];
    const numbers = Array.from({ length: 126 }, (_, i) => i);
    const program = filter([
      ...numbers.map((i): Rule => ({ call: "pwrite64", when: when(i) })),
      { call: "exit_group" },
    ]);
    for (const i of [0, 62, 125]) {
      expect(ask(program, "pwrite64", BigInt(i), 0n, 512n, 4096n)).toBe(ALLOW);
      expect(ask(program, "pwrite64", BigInt(i), 0n, 512n, 4097n)).toBe(KILL_PROCESS);
    }
    expect(ask(program, "pwrite64", 126n, 0n, 512n, 0n)).toBe(KILL_PROCESS);
    expect(ask(program, "exit_group")).toBe(ALLOW);
  });

  test("refuses to be longer than the kernel takes", () => {
    const rules = Array.from({ length: 2000 }, (_, i): Rule => ({
      call: "read",
      when: [{ argument: 0, equals: BigInt(i) }],
    }));
    expect(() => filter(rules)).toThrow("4096");
  });

  test("comes with the header that seccomp(2) takes", () => {
    const program = filter([]);
    const header = new DataView(programHeader(program, 0x6000_0012_3456).buffer);
    expect(header.getUint16(0, true)).toBe(program.length / 8);
    expect(header.getBigUint64(8, true)).toBe(0x6000_0012_3456n);
  });
});

/* Against the meaning of a policy, said without any instruction. */

const CALLS: readonly SyscallName[] = ["read", "write", "ioctl", "exit_group"];

function holds(condition: Condition, args: readonly bigint[]): boolean {
  const value = args[condition.argument] ?? 0n;
  if ("equals" in condition) return value === condition.equals;
  if ("atMost" in condition) return value <= condition.atMost;
  return (value & condition.hasBits) === condition.hasBits;
}

function decide({ rules, otherwise }: Policy, call: SyscallName, args: readonly bigint[]): number {
  const rule = rules.find(
    (rule) => rule.call === call && (rule.when ?? []).every((condition) => holds(condition, args)),
  );
  return rule === undefined ? otherwise : (rule.action ?? ALLOW);
}

const value = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.constantFrom(0n, 1n, 0xffff_ffffn, 0x1_0000_0000n, 2n ** 64n - 1n),
);
const condition = fc.tuple(fc.nat(5), value, fc.nat(2)).map(([argument, value, kind]): Condition => {
  if (kind === 0) return { argument, equals: value };
  return kind === 1 ? { argument, atMost: value } : { argument, hasBits: value };
});
const rule = fc.record({
  call: fc.constantFrom(...CALLS),
  when: fc.array(condition, { maxLength: 4 }),
  action: fc.constantFrom(ALLOW, KILL_THREAD, failWith(1)),
});

test("any policy decides any call as it reads", () => {
  fc.assert(
    fc.property(
      fc.array(rule, { maxLength: 40 }),
      fc.constantFrom(...CALLS, "getpid" as const),
      fc.array(value, { minLength: 6, maxLength: 6 }),
      fc.nat(),
      (rules, call, random, pick) => {
        const policy: Policy = { architecture: "x86_64", rules, otherwise: KILL_PROCESS };
        const program = assembleFilter(policy);
        // Arguments that meet one rule's conditions, so that most runs get past the first.
        const met = [...random];
        for (const condition of rules[pick % Math.max(1, rules.length)]?.when ?? []) {
          const [wanted] = Object.entries(condition).flatMap(([key, x]) => (key === "argument" ? [] : [x]));
          met[condition.argument] = wanted as bigint;
        }
        for (const args of [random, met]) {
          expect(ask(program, call, ...args)).toBe(decide(policy, call, args));
        }
      },
    ),
    { numRuns: 300 },
  );
});
