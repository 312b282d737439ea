/**
 * The launcher as an executable file: a static ELF of one segment. The file carries three things:
 *
 *   the first steps, which the kernel maps at LAUNCHER_BASE and enters; gone before the guest starts
 *   the boot info, which a step reads into guest memory
 *   the last steps with the filter and what ps shows, which a step reads to RESIDENT_BASE: they stay
 *
 * Both lists of steps come with the same code. Usually one page stays.
 */
import type { Architecture } from "../../lib/architecture.ts";
import { syscallNumber } from "../../linux/syscalls.ts";
import { BOOT_INFO } from "./boot-info.ts";
import {
  JUMP,
  LAUNCHER_BASE,
  LAUNCHER_END,
  PAGE_MAX,
  RESIDENT_BASE,
  RESIDENT_ROOM,
  STEP,
  STEP_SIZE,
  launcherCode,
  reasonTable,
} from "./launcher.ts";
import { type Place, type SptPlan, type Step, firstSteps, lastSteps, stackPointer } from "./table.ts";

const ELF_HEADER_SIZE = 64;
const PROGRAM_HEADER_SIZE = 56;
const HEADERS_SIZE = ELF_HEADER_SIZE + 2 * PROGRAM_HEADER_SIZE;
const EM: Record<Architecture, number> = { x86_64: 62, aarch64: 183 };

/** Pieces of a file; what lies between two is a hole. */
export type Pieces = readonly { readonly offset: number; readonly bytes: Uint8Array }[];

/** A plan's launcher. `complaint` is the beginning of each error message that it may have to print. */
export function writeLauncher(plan: SptPlan, complaint: string): Pieces {
  const { architecture, load, bootInfo } = plan;
  const resident = new Program(architecture, complaint, RESIDENT_BASE, RESIDENT_ROOM);
  const titleAddress = resident.put(plan.title);
  resident.finish(lastSteps(plan), [stackPointer(plan), BOOT_INFO, load.entry]);

  const bootInfoOffset = HEADERS_SIZE;
  const residentOffset = bootInfoOffset + bootInfo.length;
  const residentLength = resident.length;
  const launcher = new Program(architecture, complaint, LAUNCHER_BASE, LAUNCHER_END - LAUNCHER_BASE);
  const layout = { bootInfoOffset, residentOffset, residentLength, titleAddress };
  launcher.finish(firstSteps(plan, layout), [0, 0, resident.entry]);

  const launcherOffset = roundUp(residentOffset + residentLength, PAGE_MAX[architecture]);
  return [
    { offset: 0, bytes: elfHeaders(architecture, launcherOffset, launcher.length) },
    { offset: bootInfoOffset, bytes: bootInfo },
    { offset: residentOffset, bytes: resident.bytes() },
    { offset: launcherOffset, bytes: launcher.bytes() },
  ];
}

/** Code with a list of steps, made for one address: the code comes first, the rest as it is put. */
class Program {
  readonly entry: number;
  readonly #architecture: Architecture;
  readonly #complaint: string;
  readonly #room: number;
  readonly #pieces: Uint8Array[] = [];
  #length = 0;

  constructor(architecture: Architecture, complaint: string, base: number, room: number) {
    this.#architecture = architecture;
    this.#complaint = complaint;
    this.#room = room;
    this.entry = base;
    this.put(launcherCode(architecture, 0, 0));
  }

  get length(): number {
    return this.#length;
  }

  /** Appends bytes, aligned to 8; answers their address. Throws RangeError when there is no room left. */
  put(bytes: Uint8Array): number {
    const address = this.entry + this.#length;
    this.#pieces.push(bytes);
    this.#length += roundUp(bytes.length, 8);
    if (this.#length > this.#room) throw new RangeError("the launcher is too large");
    return address;
  }

  /** Appends the steps, and a jump with these arguments behind them; the code begins with the first. */
  finish(steps: readonly Step[], jump: readonly [stack: number, argument: number, address: number]): void {
    const last = this.put(encodeStep(JUMP, jump, { next: 0 }));
    const first = steps.reduceRight((next, step) => this.#putStep(step, next), last);
    this.#pieces[0] = launcherCode(this.#architecture, first, this.put(reasonTable()));
  }

  #putStep({ call, args, least = 0, otherwise, reportOn = 2 }: Step, next: number): number {
    const place: Place = (bytes) => this.put(bytes);
    const values = args.map((argument) => (typeof argument === "function" ? argument(place) : argument));
    const number = BigInt(syscallNumber(call, this.#architecture));
    if (otherwise === undefined) return this.put(encodeStep(number, values, { least: NEVER_FAILS, next }));
    const text = new TextEncoder().encode(`${this.#complaint}${otherwise}: `);
    const message = this.put(text);
    return this.put(encodeStep(number, values, { least, next, message, length: text.length, reportOn }));
  }

  bytes(): Uint8Array {
    const all = new Uint8Array(this.#length);
    let at = 0;
    for (const piece of this.#pieces) {
      all.set(piece, at);
      at += roundUp(piece.length, 8);
    }
    return all;
  }
}

/** Less than any result. */
const NEVER_FAILS = -(2n ** 63n);

function encodeStep(
  number: bigint,
  args: readonly (number | bigint)[],
  more: { least?: number | bigint; next: number; message?: number; length?: number; reportOn?: number },
): Uint8Array {
  const view = new DataView(new ArrayBuffer(STEP_SIZE));
  const put = (at: number, value: number | bigint) =>
    view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
  put(STEP.number, number);
  for (const [i, value] of args.entries()) put(STEP.argument(i), value);
  put(STEP.leastResult, more.least ?? 0);
  put(STEP.next, more.next);
  put(STEP.message, more.message ?? 0);
  put(STEP.messageLength, more.length ?? 0);
  put(STEP.reportOn, more.reportOn ?? 2);
  return new Uint8Array(view.buffer);
}

/**
 * ELF header and two program headers. Without PT_GNU_STACK, kernels before 5.8 would make every readable page of
 * the process executable (READ_IMPLIES_EXEC), the guest's data included; exec clears what was inherited of that.
 */
function elfHeaders(architecture: Architecture, offset: number, size: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(HEADERS_SIZE));
  const bytes = new Uint8Array(view.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, EM[architecture], true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(LAUNCHER_BASE), true);
  view.setBigUint64(32, BigInt(ELF_HEADER_SIZE), true);
  view.setUint16(52, ELF_HEADER_SIZE, true);
  view.setUint16(54, PROGRAM_HEADER_SIZE, true);
  view.setUint16(56, 2, true);
  const [PT_LOAD, PT_GNU_STACK, READ_EXECUTE, READ_WRITE] = [1, 0x6474_e551, 5, 6];
  bytes.set(
    programHeader(PT_LOAD, READ_EXECUTE, offset, LAUNCHER_BASE, size, PAGE_MAX[architecture]),
    ELF_HEADER_SIZE,
  );
  bytes.set(programHeader(PT_GNU_STACK, READ_WRITE, 0, 0, 0, 16), ELF_HEADER_SIZE + PROGRAM_HEADER_SIZE);
  return bytes;
}

function programHeader(
  type: number,
  flags: number,
  offset: number,
  address: number,
  size: number,
  align: number,
): Uint8Array {
  const view = new DataView(new ArrayBuffer(PROGRAM_HEADER_SIZE));
  view.setUint32(0, type, true);
  view.setUint32(4, flags, true);
  for (const [i, field] of [offset, address, address, size, size, align].entries()) {
    view.setBigUint64(8 + 8 * i, BigInt(field), true);
  }
  return new Uint8Array(view.buffer);
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
