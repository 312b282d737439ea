/**
 * A core file of a guest that aborted, for gdb and readelf: an ELF64 core with one NT_PRSTATUS note and one
 * segment, the guest's memory. Only pages that were ever touched are written; the rest of the file is a hole.
 */
import {
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_RDONLY,
  O_WRONLY,
  W_OK,
  X_OK,
  type Address,
  PROT_READ,
  access,
  addressOf,
  mprotect,
  close,
  mincore,
  open,
  openAt,
  pwriteFrom,
} from "../../linux/libc.ts";
import { errnoText } from "../../linux/errno.ts";
import { TenderError } from "../tender-error.ts";
import type { GuestMemory } from "./guest-memory.ts";
import { PAGE_SIZE } from "./layout.ts";

const HEADER = 64;
const PROGRAM_HEADER = 56;
const NOTE_AT = HEADER + 2 * PROGRAM_HEADER;
const PRSTATUS_SIZE = 336;
const NOTE_SIZE = 12 + 8 + PRSTATUS_SIZE;
const MEMORY_AT = NOTE_AT + NOTE_SIZE;
/** pr_reg in struct elf_prstatus, 27 registers. */
const PR_REG = 112;

/** struct user_regs_struct's order, as offsets in struct kvm_regs (number) or kvm_sregs selectors (string). */
const REGISTERS: readonly (number | "cs" | "ss" | "ds" | "es" | "fs" | "gs" | "fs_base" | "gs_base")[] = [
  ...[120, 112, 104, 96, 56, 8, 88, 80, 72, 64, 0, 16, 24, 32, 40, 0, 128],
  ...(["cs", 136, 48, "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs"] as const),
];

/** Offsets of the segment registers in struct kvm_sregs: base u64, selector u16 12 bytes on. */
const SEGMENT = { cs: 0, ds: 24, es: 48, fs: 72, gs: 96, ss: 120 } as const;

/** Where the fields of a trap record (cookie: cr2, error code, rip, cs, rflags, rsp, ss) go among the registers. */
const TRAP: readonly (readonly [field: number, register: number])[] = [
  [2, 16],
  [3, 17],
  [4, 18],
  [5, 19],
  [6, 20],
];

/** The core's headers and note. `trap` is the cookie's record of seven u64, if the guest gave one. */
export function encodeCoreHeaders(
  regs: DataView,
  sregs: DataView,
  memorySize: number,
  trap: BigUint64Array | undefined,
): Uint8Array {
  const bytes = new Uint8Array(MEMORY_AT);
  const view = new DataView(bytes.buffer);
  // 64-bit, little-endian, version 1, a stand-alone program: no operating system's core
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 255]);
  view.setUint16(16, 4, true);
  view.setUint16(18, 62, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(32, BigInt(HEADER), true);
  view.setUint16(52, HEADER, true);
  view.setUint16(54, PROGRAM_HEADER, true);
  view.setUint16(56, 2, true);
  setProgramHeader(view, HEADER, 4, NOTE_AT, NOTE_SIZE, 0);
  setProgramHeader(view, HEADER + PROGRAM_HEADER, 1, MEMORY_AT, memorySize, memorySize);
  view.setUint32(NOTE_AT, 8, true);
  view.setUint32(NOTE_AT + 4, PRSTATUS_SIZE, true);
  view.setUint32(NOTE_AT + 8, 1, true);
  bytes.set(new TextEncoder().encode("CORE"), NOTE_AT + 12);
  for (const [i, value] of registers(regs, sregs, trap).entries()) {
    view.setBigUint64(NOTE_AT + 20 + PR_REG + i * 8, value, true);
  }
  return bytes;
}

function setProgramHeader(
  view: DataView,
  at: number,
  type: number,
  offset: number,
  size: number,
  memory: number,
): void {
  view.setUint32(at, type, true);
  view.setBigUint64(at + 8, BigInt(offset), true);
  view.setBigUint64(at + 32, BigInt(size), true);
  view.setBigUint64(at + 40, BigInt(memory), true);
}

function registers(regs: DataView, sregs: DataView, trap: BigUint64Array | undefined): bigint[] {
  const values = REGISTERS.map((source) => {
    if (typeof source === "number") return regs.getBigUint64(source, true);
    if (source === "fs_base") return sregs.getBigUint64(SEGMENT.fs, true);
    if (source === "gs_base") return sregs.getBigUint64(SEGMENT.gs, true);
    return BigInt(sregs.getUint16(SEGMENT[source] + 12, true));
  });
  for (const [field, register] of trap === undefined ? [] : TRAP) values[register] = trap![field]!;
  return values;
}

/** Somewhere to put a core file, opened before the guest runs and before the process gives up opening files. */
export interface CoreDirectory {
  readonly path: string;
  readonly fd: number;
}

/** How the core file will be opened; the seccomp filter allows exactly these flags. */
export const CORE_OPEN_FLAGS = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;

/** Throws TenderError core-directory unless the directory exists and can be written to. */
export function openCoreDirectory(path: string): CoreDirectory {
  const fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const error = fd < 0 ? fd : access(path, W_OK | X_OK);
  if (error < 0) {
    if (fd >= 0) close(fd);
    throw new TenderError("core-directory", `cannot write core files to ${path}: ${errnoText(-error)}`);
  }
  return { path, fd };
}

/**
 * Writes the core file `core.solo5-hvt.PID` and answers what to print about it: two lines, or one that says why
 * there is no core. A dump that fails changes nothing about the guest's end.
 */
export function dumpCore(directory: CoreDirectory, headers: Uint8Array, memory: GuestMemory): string[] {
  const name = `core.solo5-hvt.${process.pid}`;
  const fd = openAt(directory.fd, name, CORE_OPEN_FLAGS, 0o600);
  if (fd < 0) return [`dumpcore: ${directory.path}/${name}: ${errnoText(-fd)}`];
  // A segment that not even the guest could read is part of the picture too.
  mprotect(memory.base, memory.size, PROT_READ);
  const pages = memory.size / PAGE_SIZE;
  let dumped = 0;
  let failure = writeAll(fd, addressOf(headers), headers.length, 0);
  for (const [first, count] of touchedRuns(memory)) {
    if (failure < 0) break;
    const at = first * PAGE_SIZE;
    failure = writeAll(fd, memory.base + at, count * PAGE_SIZE, MEMORY_AT + at);
    dumped += count;
  }
  // The last page is often untouched: give the file its full length all the same.
  const last = memory.size - 1;
  if (failure >= 0) failure = writeAll(fd, memory.base + last, 1, MEMORY_AT + last);
  close(fd);
  if (failure < 0) return [`dumpcore: ${directory.path}/${name}: ${errnoText(-failure)}`];
  return [
    `dumpcore: dumping guest core to: ${directory.path}/${name}`,
    `dumpcore: dumped ${dumped} pages of total ${pages} pages`,
  ];
}

/** 0, or -errno: a full disk first writes a part, and says so the next time. */
function writeAll(fd: number, address: Address, length: number, offset: number): number {
  for (let done = 0; done < length;) {
    const count = pwriteFrom(fd, address + done, length - done, offset + done);
    if (count < 0) return count;
    done += count;
  }
  return 0;
}

/** Runs of pages that are resident, longest a write of 4 MiB. Everything, where the kernel won't say. */
function* touchedRuns(memory: GuestMemory): Generator<[first: number, count: number]> {
  const total = memory.size / PAGE_SIZE;
  const resident = new Uint8Array(total);
  if (!mincore(memory.base, memory.size, resident)) resident.fill(1);
  const most = 1024;
  for (let first = 0; first < total; first++) {
    if ((resident[first]! & 1) === 0) continue;
    let count = 1;
    while (count < most && first + count < total && (resident[first + count]! & 1) === 1) count += 1;
    yield [first, count];
    first += count - 1;
  }
}
