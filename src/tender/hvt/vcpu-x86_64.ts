/**
 * The state in which an x86_64 guest starts: 64-bit mode, ring 0, paging on, interrupts off, SSE on, AVX off.
 * Source: the register values of the Solo5 hvt ABI; what they mean: Intel SDM volume 3, chapters 2 to 4.
 */
import { BOOT_INFO, X86_64 } from "./layout.ts";
import { REGS_SIZE, SREGS_SIZE } from "./kvm.ts";
import { GDT_LIMIT } from "./page-tables-x86_64.ts";

/** Protection, extension type, numeric errors, write protection, paging. */
const CR0 = 0x8001_0021n;
/** PAE, FXSAVE and SSE, SSE exceptions. */
const CR4 = 0x620n;
/** Long mode enabled and active. */
const EFER = 0x500n;
/** The one flag that is always set. */
const RFLAGS = 2n;

const SREGS = {
  cs: 0,
  ds: 24,
  es: 48,
  fs: 72,
  gs: 96,
  ss: 120,
  tr: 144,
  ldt: 168,
  gdt: 192,
  cr0: 224,
  cr3: 240,
  cr4: 248,
  efer: 264,
} as const;

const REGS = { rdi: 40, rsp: 48, rip: 128, rflags: 136 } as const;
/** Offsets in struct kvm_regs that diagnostics and core dumps read. */
export const RIP = REGS.rip;

interface SegmentRegister {
  readonly selector: number;
  readonly type: number;
  readonly limit: number;
  readonly db?: number;
  readonly system?: boolean;
  readonly long?: number;
  readonly granular?: number;
}

const CODE: SegmentRegister = { selector: 0x08, type: 9, limit: 0xffff_ffff, long: 1, granular: 1 };
const DATA: SegmentRegister = { selector: 0x10, type: 3, limit: 0xffff_ffff, db: 1, granular: 1 };
/** Processors check that the task register holds a busy TSS when a guest is entered. */
const TASK: SegmentRegister = { selector: 0, type: 11, limit: 0, system: true };

/** struct kvm_sregs for the guest's start. */
export function initialSregs(): DataView {
  const sregs = new DataView(new ArrayBuffer(SREGS_SIZE));
  setSegment(sregs, SREGS.cs, CODE);
  for (const at of [SREGS.ds, SREGS.es, SREGS.fs, SREGS.gs, SREGS.ss]) setSegment(sregs, at, DATA);
  setSegment(sregs, SREGS.tr, TASK);
  sregs.setUint8(SREGS.ldt + 22, 1);
  sregs.setBigUint64(SREGS.gdt, BigInt(X86_64.gdt), true);
  sregs.setUint16(SREGS.gdt + 8, GDT_LIMIT, true);
  sregs.setBigUint64(SREGS.cr0, CR0, true);
  sregs.setBigUint64(SREGS.cr3, BigInt(X86_64.pml4), true);
  sregs.setBigUint64(SREGS.cr4, CR4, true);
  sregs.setBigUint64(SREGS.efer, EFER, true);
  return sregs;
}

/** struct kvm_segment: limit u32 @8 (bytes, whatever the granularity), selector @12, one byte each from @14. */
function setSegment(sregs: DataView, at: number, segment: SegmentRegister): void {
  sregs.setUint32(at + 8, segment.limit, true);
  sregs.setUint16(at + 12, segment.selector, true);
  sregs.setUint8(at + 14, segment.type);
  sregs.setUint8(at + 15, 1); // present
  sregs.setUint8(at + 17, segment.db ?? 0);
  sregs.setUint8(at + 18, segment.system === true ? 0 : 1);
  sregs.setUint8(at + 19, segment.long ?? 0);
  sregs.setUint8(at + 20, segment.granular ?? 0);
}

/**
 * struct kvm_regs for the guest's start: it is entered like a C function with the boot information as its
 * argument, the stack at the end of memory.
 */
export function initialRegs(entry: number, memory: number): DataView {
  const regs = new DataView(new ArrayBuffer(REGS_SIZE));
  regs.setBigUint64(REGS.rip, BigInt(entry), true);
  regs.setBigUint64(REGS.rsp, BigInt(memory - 8), true);
  regs.setBigUint64(REGS.rdi, BigInt(BOOT_INFO), true);
  regs.setBigUint64(REGS.rflags, RFLAGS, true);
  return regs;
}
