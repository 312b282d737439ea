/**
 * ELF headers, as far as a tender reads them: the file header and the program headers, nothing else (section
 * headers may be missing or garbage). Every field is hostile. Source: shared rules of the Solo5 tenders for
 * executables; names are those of elf(5).
 */
import type { Architecture } from "../lib/architecture.ts";
import { ImageError } from "./image-error.ts";
import { type ImageSource, fieldsOf, u64 } from "./source.ts";

export const PT_LOAD = 1;
export const PT_INTERP = 3;
export const PT_NOTE = 4;
export const PT_TLS = 7;

/** Bits of `flags`. */
export const PF_X = 1;
export const PF_W = 2;
export const PF_R = 4;

const HEADER_SIZE = 64;
const PROGRAM_HEADER_SIZE = 56;
const ET_EXEC = 2;
const ET_DYN = 3;
const MACHINES = new Map<number, Architecture | "ppc64">([
  [62, "x86_64"],
  [183, "aarch64"],
  [21, "ppc64"],
]);

export interface ProgramHeader {
  readonly type: number;
  readonly flags: number;
  /** Offsets, addresses and sizes are numbers: exact below 2^53, never below 2^53 when the file says more. */
  readonly offset: number;
  readonly vaddr: number;
  readonly fileSize: number;
  readonly memSize: number;
  readonly align: number;
}

export interface Elf {
  readonly machine: Architecture | "ppc64";
  readonly entry: number;
  readonly programHeaders: readonly ProgramHeader[];
}

/**
 * Reads the headers of an executable for any machine a unikernel can be for.
 * Throws ImageError not-elf, unsupported-elf, invalid-elf.
 */
export function readElf(source: ImageSource): Elf {
  const bytes = source.read(0, HEADER_SIZE);
  if (bytes.length < 4 || bytes[0] !== 0x7f || bytes[1] !== 0x45 || bytes[2] !== 0x4c || bytes[3] !== 0x46) {
    throw new ImageError("not-elf", source.size === 0 ? "the file is empty" : "not an ELF file", {
      why: describeOther(bytes),
    });
  }
  if (bytes.length < HEADER_SIZE) {
    throw new ImageError("invalid-elf", `the file ends inside its ELF header, after ${bytes.length} bytes`);
  }
  const header = fieldsOf(bytes);
  if (bytes[4] !== 2) unsupported("not a 64-bit ELF file");
  if (bytes[5] !== 1) unsupported("not a little-endian ELF file");
  const type = header.getUint16(16, true);
  if (type === ET_DYN) unsupported("a position-independent ELF file (a Linux program or library)");
  if (type !== ET_EXEC) unsupported(`an ELF file of type ${type}, not an executable`);
  const machine = MACHINES.get(header.getUint16(18, true));
  if (machine === undefined) return unsupported(`made for machine ${header.getUint16(18, true)}`);
  const version = header.getUint32(20, true);
  if (version !== 1) unsupported(`ELF version ${version}`);
  if (header.getUint16(52, true) !== HEADER_SIZE) invalid("the ELF header's size field is not 64");
  if (header.getUint16(54, true) !== PROGRAM_HEADER_SIZE) invalid("the program headers are not of 56 bytes");
  const count = header.getUint16(56, true);
  if (count === 0) invalid("no program headers");
  return {
    machine,
    entry: u64(header, 24),
    programHeaders: readProgramHeaders(source, u64(header, 32), count),
  };
}

function readProgramHeaders(source: ImageSource, offset: number, count: number): ProgramHeader[] {
  const length = count * PROGRAM_HEADER_SIZE;
  const bytes = source.read(offset, length);
  if (bytes.length < length) invalid(`the file ends inside its ${count} program headers`);
  const view = fieldsOf(bytes);
  const headers: ProgramHeader[] = [];
  for (let at = 0; at < length; at += PROGRAM_HEADER_SIZE) {
    headers.push({
      type: view.getUint32(at, true),
      flags: view.getUint32(at + 4, true),
      offset: u64(view, at + 8),
      vaddr: u64(view, at + 16),
      fileSize: u64(view, at + 32),
      memSize: u64(view, at + 40),
      align: u64(view, at + 48),
    });
  }
  return headers;
}

function unsupported(what: string): never {
  throw new ImageError("unsupported-elf", `not a unikernel: ${what}`, {
    why: "a unikernel is a static 64-bit little-endian ELF executable with Solo5 notes",
  });
}

function invalid(what: string): never {
  throw new ImageError("invalid-elf", `invalid ELF file: ${what}`);
}

/** What a file that isn't ELF seems to be, judged by its first bytes. */
function describeOther(bytes: Uint8Array): string {
  const begins = (...magic: number[]) => magic.every((byte, i) => bytes[i] === byte);
  if (bytes.length === 0) return "there is nothing in it";
  if (begins(0x1f, 0x8b)) return "it is gzip-compressed: unpack it with gunzip first";
  if (begins(0x28, 0xb5, 0x2f, 0xfd)) return "it is zstd-compressed: unpack it with unzstd first";
  if (begins(0xfd, 0x37, 0x7a, 0x58, 0x5a)) return "it is xz-compressed: unpack it with unxz first";
  if (begins(0x50, 0x4b, 3, 4)) return "it is a zip archive";
  if (begins(0x23, 0x21)) return "it is a script";
  if (begins(0x4d, 0x5a)) return "it is a Windows or EFI program";
  if (bytes.every((byte) => byte === 9 || byte === 10 || byte === 13 || (byte >= 32 && byte < 127))) {
    return "it looks like text; a download that failed often leaves an error page";
  }
  return "it doesn't begin with the ELF signature 7f 45 4c 46";
}
