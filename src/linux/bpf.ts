/**
 * seccomp filters: what a process may still ask of the kernel, as a list of rules made into a program of the
 * classic BPF machine (Linux Documentation/userspace-api/seccomp_filter.rst, include/uapi/linux/seccomp.h).
 *
 * The machine has one accumulator of 32 bits, may only jump forward, and by a condition at most 255 instructions
 * far. So every rule is a block of its own that ends in its own answer, and only the jump over all rules of one
 * system call, which may be long, is unconditional. A filter for 63 devices stays within reach that way.
 */
import type { Architecture } from "../lib/architecture.ts";
import { type SyscallName, syscallNumber } from "./syscalls.ts";

/** What the kernel does with a system call. */
export const ALLOW = 0x7fff_0000;
/** Ends the calling thread by SIGSYS; a process of one thread ends with it. */
export const KILL_THREAD = 0;
/** Ends the whole process by SIGSYS (Linux 4.14). */
export const KILL_PROCESS = 0x8000_0000;
/** The call fails with this error number, without having been made. */
export function failWith(errno: number): number {
  return 0x0005_0000 | errno;
}

/** A condition on one of the six arguments, all of its 64 bits, unsigned. */
export type Condition =
  | { readonly argument: number; readonly equals: bigint }
  | { readonly argument: number; readonly atMost: bigint }
  /** All bits of `hasBits` are set; the others don't matter. */
  | { readonly argument: number; readonly hasBits: bigint };

export interface Rule {
  readonly call: SyscallName;
  /** All of them must hold; none: the call is answered whatever its arguments are. */
  readonly when?: readonly Condition[];
  /** ALLOW unless told otherwise. */
  readonly action?: number;
}

export interface Policy {
  readonly architecture: Architecture;
  /** Tried in order for each system call; the first whose conditions hold decides. */
  readonly rules: readonly Rule[];
  /** What happens to a call that no rule answers. */
  readonly otherwise: number;
}

/** AUDIT_ARCH_X86_64 and AUDIT_ARCH_AARCH64 of include/uapi/linux/audit.h. */
const AUDIT_ARCH: Record<Architecture, number> = { x86_64: 0xc000_003e, aarch64: 0xc000_00b7 };
/** x86_64 kernels take numbers with this bit for the x32 calls, which a filter by number would miss. */
const X32_BIT = 0x4000_0000;

/** struct seccomp_data: number @0, architecture @4, instruction pointer @8, six arguments of 8 bytes @16. */
const DATA = { number: 0, architecture: 4, argument: (index: number) => 16 + 8 * index } as const;

const LOAD = 0x20;
const JUMP = 0x05;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER = 0x25;
const JUMP_GREATER_OR_EQUAL = 0x35;
const AND = 0x54;
const RETURN = 0x06;

/** The most instructions that the kernel takes (BPF_MAXINSNS). */
const MAX_INSTRUCTIONS = 4096;
/** Bytes of one instruction. */
const INSTRUCTION_SIZE = 8;
/** Bytes of struct sock_fprog, which is what the kernel is given. */
export const PROGRAM_HEADER_SIZE = 16;

/**
 * One instruction. `yes` and `no` are how many instructions a condition skips; NEXT_RULE stands for the end of
 * the block until the block's length is known.
 */
interface Instruction {
  readonly code: number;
  readonly k: number;
  readonly yes?: number;
  readonly no?: number;
}

const NEXT_RULE = -1;

/**
 * The filter's program: 8 bytes an instruction. A call made for another architecture, or by an x32 number,
 * meets KILL_PROCESS. Throws RangeError for more rules than a filter can hold.
 */
export function assembleFilter({ architecture, rules, otherwise }: Policy): Uint8Array {
  const program: Instruction[] = [
    { code: LOAD, k: DATA.architecture },
    { code: JUMP_EQUAL, k: AUDIT_ARCH[architecture], yes: 1, no: 0 },
    { code: RETURN, k: KILL_PROCESS },
    { code: LOAD, k: DATA.number },
  ];
  if (architecture === "x86_64") {
    program.push({ code: JUMP_GREATER_OR_EQUAL, k: X32_BIT, yes: 0, no: 1 });
    program.push({ code: RETURN, k: KILL_PROCESS });
  }
  for (const [call, group] of groupByCall(rules)) {
    const number = syscallNumber(call, architecture);
    if (number < 0) continue;
    const [first] = group;
    if (group.length === 1 && first!.when === undefined) {
      program.push({ code: JUMP_EQUAL, k: number, yes: 0, no: 1 });
      program.push({ code: RETURN, k: first!.action ?? ALLOW });
      continue;
    }
    // The accumulator holds the number here: a group that was entered never falls through to the next one.
    const blocks = [...group.flatMap(assembleRule), { code: RETURN, k: otherwise }];
    program.push({ code: JUMP_EQUAL, k: number, yes: 1, no: 0 });
    program.push({ code: JUMP, k: blocks.length });
    program.push(...blocks);
  }
  program.push({ code: RETURN, k: otherwise });
  if (program.length > MAX_INSTRUCTIONS) {
    throw new RangeError(`a filter of ${program.length} instructions, the kernel takes ${MAX_INSTRUCTIONS}`);
  }
  return encode(program);
}

/**
 * struct sock_fprog for a program that lies at `address`: the argument of seccomp(2) and of
 * prctl(PR_SET_SECCOMP).
 */
export function programHeader(program: Uint8Array, address: number): Uint8Array {
  const header = new DataView(new ArrayBuffer(PROGRAM_HEADER_SIZE));
  header.setUint16(0, program.length / INSTRUCTION_SIZE, true);
  header.setBigUint64(8, BigInt(address), true);
  return new Uint8Array(header.buffer);
}

function groupByCall(rules: readonly Rule[]): Map<SyscallName, Rule[]> {
  const groups = new Map<SyscallName, Rule[]>();
  for (const rule of rules) {
    const group = groups.get(rule.call);
    if (group === undefined) groups.set(rule.call, [rule]);
    else group.push(rule);
  }
  return groups;
}

/** A block: conditions, each leaving for the end of the block when it doesn't hold, then the answer. */
function assembleRule({ when = [], action = ALLOW }: Rule): Instruction[] {
  const block = [...when.flatMap(assembleCondition), { code: RETURN, k: action }];
  return block.map((instruction, at) => ({
    ...instruction,
    ...(instruction.yes === NEXT_RULE ? { yes: block.length - at - 1 } : {}),
    ...(instruction.no === NEXT_RULE ? { no: block.length - at - 1 } : {}),
  }));
}

/** Goes on behind its last instruction when the condition holds, to NEXT_RULE when not. */
function assembleCondition(condition: Condition): Instruction[] {
  const low = { code: LOAD, k: DATA.argument(condition.argument) };
  const high = { code: LOAD, k: DATA.argument(condition.argument) + 4 };
  if ("equals" in condition) {
    const [valueLow, valueHigh] = halves(condition.equals);
    return [
      low,
      { code: JUMP_EQUAL, k: valueLow, yes: 0, no: NEXT_RULE },
      high,
      { code: JUMP_EQUAL, k: valueHigh, yes: 0, no: NEXT_RULE },
    ];
  }
  if ("atMost" in condition) {
    const [limitLow, limitHigh] = halves(condition.atMost);
    return [
      high,
      { code: JUMP_GREATER, k: limitHigh, yes: NEXT_RULE, no: 0 },
      // A smaller high half decides as well, whatever the low one is.
      { code: JUMP_EQUAL, k: limitHigh, yes: 0, no: 2 },
      low,
      { code: JUMP_GREATER, k: limitLow, yes: NEXT_RULE, no: 0 },
    ];
  }
  const [bitsLow, bitsHigh] = halves(condition.hasBits);
  return [
    low,
    { code: AND, k: bitsLow },
    { code: JUMP_EQUAL, k: bitsLow, yes: 0, no: NEXT_RULE },
    high,
    { code: AND, k: bitsHigh },
    { code: JUMP_EQUAL, k: bitsHigh, yes: 0, no: NEXT_RULE },
  ];
}

function halves(value: bigint): [low: number, high: number] {
  const bits = BigInt.asUintN(64, value);
  return [Number(bits & 0xffff_ffffn), Number(bits >> 32n)];
}

/** struct sock_filter: code u16, two jump distances u8, operand u32; both architectures are little-endian. */
function encode(program: readonly Instruction[]): Uint8Array {
  const words = new Uint32Array(program.length * 2);
  let at = 0;
  for (const { code, k, yes = 0, no = 0 } of program) {
    words[at++] = code | (yes << 16) | (no << 24);
    words[at++] = k;
  }
  return new Uint8Array(words.buffer);
}
