/** Everything a unikernel file says of itself, for people and for `--json`. */
import type { Abi } from "./abi.ts";
import { PF_R, PF_W, PF_X, PT_LOAD } from "./elf.ts";
import { type Device, devicesOf } from "./manifest.ts";
import type { ImageSource } from "./source.ts";
import { RUNS_ON, readUnikernel } from "./unikernel.ts";

export interface Inspection {
  readonly target: Abi["target"];
  readonly abiVersion: number;
  readonly machine: string;
  /** What runs it. */
  readonly runsOn: string;
  readonly entry: string;
  readonly devices: readonly { readonly name: string; readonly type: Device["type"] }[];
  readonly segments: readonly {
    readonly address: string;
    readonly flags: string;
    readonly fileSize: number;
    readonly memSize: number;
  }[];
  /** Least guest memory that its program and data alone take, in bytes. */
  readonly memoryEnd: number;
  readonly size: number;
  readonly sha256: string;
  /** Versions found among the image's strings: likely, not certain. */
  readonly found: Readonly<Record<"solo5" | "ocaml" | "mirage", string | undefined>>;
}

/** Bytes looked at in one go. A version that lies across two pieces is found in the overlap. */
const PIECE = 1 << 20;
const OVERLAP = 256;

/** Reads all of an image, piece by piece. Throws ImageError. */
export function inspectImage(source: ImageSource): Inspection {
  const { elf, abi, manifest } = readUnikernel(source);
  const loaded = elf.programHeaders.filter(({ type, memSize }) => type === PT_LOAD && memSize > 0);
  const { sha256, found } = readThrough(source);
  return {
    target: abi.target,
    abiVersion: abi.version,
    machine: elf.machine,
    runsOn: RUNS_ON[abi.target],
    entry: hex(elf.entry),
    devices: devicesOf(manifest).map(({ device: { name, type } }) => ({ name, type })),
    segments: loaded.map(({ vaddr, flags, fileSize, memSize }) => ({
      address: hex(vaddr),
      flags: flagText(flags),
      fileSize,
      memSize,
    })),
    memoryEnd: loaded.reduce((end, { vaddr, memSize }) => Math.max(end, vaddr + memSize), 0),
    size: source.size,
    sha256,
    found,
  };
}

/** The hash of the file, and the versions that its strings give away. */
function readThrough(source: ImageSource): Pick<Inspection, "sha256" | "found"> {
  const hash = new Bun.CryptoHasher("sha256");
  const found: Record<keyof Inspection["found"], string | undefined> = {
    solo5: undefined,
    ocaml: undefined,
    mirage: undefined,
  };
  for (let at = 0; at < source.size; at += PIECE) {
    const bytes = source.read(at, PIECE + OVERLAP);
    hash.update(bytes.subarray(0, PIECE));
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
    found.solo5 ??= findVersion(text, SOLO5);
    found.ocaml ??= findVersion(text, OCAML);
    found.mirage ??= findVersion(text, MIRAGE);
  }
  return { sha256: hash.digest("hex"), found };
}

/**
 * Solo5's bindings print `Bindings version %s` with a git description; OCaml's runtime carries its version as
 * an OCaml string, which is padded to whole words by bytes below 8; MirageOS's carries the path of its library.
 */
const SOLO5 = [/\0(v\d{1,2}\.\d{1,3}\.\d{1,3}(?:-\d+-g[0-9a-f]{7,40})?(?:-dirty)?)\0/];
const OCAML = [
  // oxlint-disable-next-line no-control-regex
  /[\0-\x07]([45]\.\d{1,2}\.\d{1,2}(?:[+~][\w.+~-]{1,30})?)[\0-\x07]/,
  /ocaml(?:-base-compiler|-variants)?[.@-]([45]\.\d{1,2}\.\d{1,2})\b/,
];
const MIRAGE = [
  /mirage-runtime[.@-](\d{1,2}\.\d{1,3}\.\d{1,3})\b/,
  /\bmirage\.(\d{1,2}\.\d{1,3}\.\d{1,3})\b/,
];

function findVersion(text: string, patterns: readonly RegExp[]): string | undefined {
  for (const pattern of patterns) {
    const match = pattern.exec(text);
    if (match !== null) return match[1];
  }
  return undefined;
}

function flagText(flags: number): string {
  return `${flags & PF_R ? "r" : "-"}${flags & PF_W ? "w" : "-"}${flags & PF_X ? "x" : "-"}`;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
