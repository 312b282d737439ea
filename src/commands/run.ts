/** `robur run`: one unikernel in the foreground, its console on standard output, its exit status ours. */
import { RoburError, UsageError, formatError } from "../lib/errors.ts";
import { KIB, MIB, formatSize, parseSize } from "../lib/units.ts";
import { nameFile } from "../image/image-error.ts";
import { type Unikernel, checkTarget, readUnikernel } from "../image/unikernel.ts";
import { print, printError, readSmallFile } from "../linux/libc.ts";
import { type DeviceRequest, openDevices, planDevices } from "../tender/attach.ts";
import { chooseUser, runOnCpu } from "../tender/privileges.ts";
import { DEFAULT_MEMORY } from "../tender/solo5-options.ts";
import { TenderError } from "../tender/tender-error.ts";
import { DEVICE_FLAGS, readDeviceFlags } from "./device-flags.ts";
import { type FoundImage, findImage, sayWhich } from "./find-image.ts";
import { type FlagTable, type Scanned, scanFlags } from "./flags.ts";

/** Docker's number for "it never started": all of 0 to 124 may be the unikernel's own. */
const NOT_STARTED = 125;

export const RUN_FLAGS: FlagTable = {
  memory: { type: "string", alias: ["m", "mem"], describe: "guest memory, such as 64M or 1G (default 512M)" },
  ...DEVICE_FLAGS,
  cpu: { type: "string", describe: "run on this processor only" },
  user: { type: "string", describe: "become this user first (root only; default robur or nobody)" },
  dumpcore: { type: "string", describe: "leave a core file in this directory when the guest aborts (hvt)" },
  "dry-run": { type: "boolean", describe: "print the tender's command line and stop" },
};

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const scanned = scanFlags(RUN_FLAGS, acceptColons(argv));
  if (scanned === undefined) {
    const { explainRun } = await import("./run-help.ts");
    return explainRun(argv);
  }
  const [file, ...rest] = scanned.rest;
  if (file === undefined) {
    throw new UsageError("which unikernel? IMAGE is missing", { hint: "robur run hello.hvt" });
  }
  try {
    await run(file, rest[0] === "--" ? rest.slice(1) : rest, scanned);
  } catch (error) {
    if (error instanceof UsageError || !(error instanceof RoburError)) throw error;
    printError(formatError(error));
    process.exitCode = NOT_STARTED;
  }
}

async function run(file: string, args: readonly string[], flags: Scanned): Promise<void> {
  const request = readDeviceFlags(flags);
  const memory = readMemory(last(flags, "memory"));
  const image = findImage(file);
  const unikernel = nameFile(file, () => readUnikernel(image.source));
  const which = sayWhich(image);
  if (which !== undefined) printError(`robur: ${which}\n`);
  if (flags.values.has("dry-run")) {
    const { tenderCommandLine } = await import("./tender-command-line.ts");
    print(`${tenderCommandLine(unikernel.abi.target, file, args, memory, request)}\n`);
    return;
  }
  nameFile(file, () => checkTarget(unikernel, "hvt"));
  const cpu = last(flags, "cpu");
  if (cpu !== undefined) runOnCpu(Number(cpu));
  await startHvtHere(image, unikernel, args, memory, request, flags);
}

async function startHvtHere(
  image: FoundImage,
  unikernel: Unikernel,
  args: readonly string[],
  memory: number,
  request: DeviceRequest,
  flags: Scanned,
): Promise<never> {
  const { hvtMemory, startHvt } = await import("../tender/hvt/start.ts");
  const size = hvtMemory(memory);
  if (size !== memory) printError(`robur: memory rounded to ${formatSize(size)}, whole 2 MiB pages\n`);
  const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
  const attachments = openDevices(planDevices(unikernel.manifest, request, random));
  const core = last(flags, "dumpcore");
  const user = last(flags, "user");
  const common = { image, unikernel, memory: size, args, attachments, program: "robur" };
  const signalStatus = (signal: number) => 128 + signal;
  if (core === undefined) return startHvt({ ...common, user: chooseUser(user), signalStatus });
  const { openCoreDirectory } = await import("../tender/hvt/core-dump.ts");
  return startHvt({
    ...common,
    // A core file is written by whoever started the tender: with --dumpcore root stays root unless told not to.
    user: user === undefined ? undefined : chooseUser(user),
    signalStatus,
    coreDirectory: openCoreDirectory(core),
  });
}

/** A flag's value; given twice, the last one counts. */
function last(flags: Scanned, name: string): string | undefined {
  return flags.values.get(name)?.at(-1);
}

/** The originals write --net:NAME=TAP; that is taken too. What stands behind IMAGE is not touched: see scanFlags. */
function acceptColons(argv: readonly string[]): string[] {
  const image = argv.findIndex((argument) => !argument.startsWith("-"));
  return argv.map((argument, i) =>
    image >= 0 && i > image
      ? argument
      : argument.replace(/^--(net|net-mac|block|block-sector-size):/, "--$1="),
  );
}

/** Bytes of guest memory, a bare number being MiB. Throws TenderError bad-memory. */
function readMemory(text: string | undefined): number {
  const host = hostMemory();
  if (text === undefined) return Math.min(DEFAULT_MEMORY, host);
  const memory = parseSize(text, "M");
  if (memory === undefined) {
    throw new TenderError("bad-memory", `--memory ${text}: not a size greater than zero`, {
      hint: "--memory 64M",
    });
  }
  if (memory > host) {
    throw new TenderError(
      "bad-memory",
      `--memory ${text} is more than this machine has (${formatSize(host)})`,
      {
        hint: `--memory ${Math.min(512, Math.floor(host / MIB / 2))}M`,
      },
    );
  }
  return memory;
}

function hostMemory(): number {
  const kilobytes = /^MemTotal:\s+(\d+) kB$/m.exec(readSmallFile("/proc/meminfo") ?? "")?.[1];
  return kilobytes === undefined ? Number.MAX_SAFE_INTEGER : Number(kilobytes) * KIB;
}
