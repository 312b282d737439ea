/**
 * The command line of solo5-hvt and solo5-spt. Options are of the form --key=value only; the first argument that
 * isn't one is the image, and everything behind it is the guest's, whatever it looks like. The original looks at
 * the image before it reads the options' values, so this is in two steps.
 */
import { MIB } from "../lib/units.ts";
import { DEVICE_NAME } from "../image/manifest.ts";
import { type DeviceRequest, type NetSource, parseMac, parseNetSource } from "./attach.ts";
import { isSectorSize } from "./devices/block-file.ts";
import { TenderError } from "./tender-error.ts";

export type TenderKind = "hvt" | "spt";

export type Invocation =
  | { readonly kind: "help" }
  | { readonly kind: "version" }
  | { readonly kind: "missing-kernel" }
  | {
      readonly kind: "run";
      readonly options: readonly string[];
      readonly kernel: string;
      readonly args: readonly string[];
    };

export interface TenderOptions {
  /** Bytes, as asked for. */
  readonly memory: number;
  readonly request: DeviceRequest;
  /** Directory for core files (solo5-hvt-debug only). */
  readonly dumpCore?: string;
  /** Guest memory may be executed (spt only). */
  readonly execHeap: boolean;
}

export const DEFAULT_MEMORY = 512 * MIB;

/** Splits the arguments behind the program's name. */
export function scanArguments(argv: readonly string[]): Invocation {
  let i = 0;
  for (; i < argv.length; i++) {
    const argument = argv[i]!;
    if (argument === "--help") return { kind: "help" };
    if (argument === "--version") return { kind: "version" };
    if (argument === "--") {
      i += 1;
      break;
    }
    if (!argument.startsWith("-")) break;
  }
  const kernel = argv[i];
  if (kernel === undefined) return { kind: "missing-kernel" };
  const options = argv.slice(0, i).filter((argument) => argument !== "--");
  return { kind: "run", options, kernel, args: argv.slice(i + 1) };
}

/** Options that go beyond the original's. */
export interface Extras {
  /** `--dumpcore`: called under the name of the debugging tender. */
  readonly debug?: boolean;
  /** `--block-ro`: called under no name of an original. */
  readonly own?: boolean;
}

/** Reads the options. Throws TenderError bad-option. */
export function parseOptions(
  options: readonly string[],
  kind: TenderKind,
  { debug = false, own = false }: Extras = {},
): TenderOptions {
  let memory = DEFAULT_MEMORY;
  let dumpCore: string | undefined;
  let execHeap = false;
  const nets = new Map<string, NetSource>();
  const macs = new Map<string, Uint8Array>();
  const blocks = new Map<string, string>();
  const sectorSizes = new Map<string, number>();
  const readOnly = new Set<string>();

  for (const option of options) {
    const [, key = "", name, value = ""] = /^--([a-z-]+)(?::([^=]*))?=(.*)$/s.exec(option) ?? [];
    if (kind === "spt" && option.startsWith("--x-exec-heap")) {
      execHeap = true;
    } else if (name === undefined && key === "mem") {
      memory = parseMegabytes(value, option);
    } else if (name === undefined && key === "dumpcore" && kind === "hvt" && debug) {
      dumpCore = value;
    } else if (name === undefined || !DEVICE_NAME.test(name) || value === "") {
      invalid(option);
    } else if (key === "net") {
      nets.set(name, parseNetSource(value) ?? invalid(option, "not a descriptor's number"));
    } else if (key === "net-mac") {
      macs.set(name, parseMac(value) ?? invalid(option, "malformed MAC address"));
    } else if (key === "block" || (own && key === "block-ro")) {
      blocks.set(name, value);
      if (key === "block") readOnly.delete(name);
      else readOnly.add(name);
    } else if (key === "block-sector-size") {
      sectorSizes.set(name, parseSectorSize(value, option));
    } else {
      invalid(option);
    }
  }
  return {
    memory,
    request: { nets, macs, blocks, sectorSizes, readOnly },
    execHeap,
    ...(dumpCore === undefined ? {} : { dumpCore }),
  };
}

function parseMegabytes(value: string, option: string): number {
  if (!/^\d{1,7}$/.test(value) || Number(value) === 0) {
    throw new TenderError("bad-memory", `malformed argument to --mem: ${option}`);
  }
  return Number(value) * MIB;
}

function parseSectorSize(value: string, option: string): number {
  const size = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
  if (!isSectorSize(size)) {
    invalid(
      option,
      "Block size must be a multiple of 2 greater than or equal 512 (a power of two up to 32768)",
    );
  }
  return size;
}

function invalid(option: string, why?: string): never {
  throw new TenderError("bad-option", `Invalid option: ${option}`, why === undefined ? {} : { why });
}
