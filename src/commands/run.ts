/** `robur run`: one unikernel in the foreground, its console on standard output, its exit status ours. */
import { RoburError, UsageError, formatError } from "../lib/errors.ts";
import { KIB, MIB, formatSize, parseSize } from "../lib/units.ts";
import { nameFile } from "../image/image-error.ts";
import { type Unikernel, checkTarget, readBootable } from "../image/unikernel.ts";
import { print, printError, readSmallFile } from "../linux/libc.ts";
import { type DeviceRequest, type NetSource, openDevices, planDevices } from "../tender/attach.ts";
import { chooseUser, runOnCpu } from "../tender/privileges.ts";
import { TENDERS, type TenderChoice } from "../tender/original.ts";
import { DEFAULT_MEMORY } from "../tender/solo5-options.ts";
import { TenderError } from "../tender/tender-error.ts";
import { DEVICE_FLAGS, readDeviceFlags } from "./device-flags.ts";
import { type FoundImage, findImage, sayWhich } from "./find-image.ts";
import { type FlagTable, type Scanned, scanFlags } from "./flags.ts";
import { NETWORK_FLAGS, wantsNetworks } from "./network-flags.ts";
import { SIZE_FLAG, readBlockSizes } from "./sizes.ts";
import type { BlockSizes } from "../orchestrator/volumes/resolve-blocks.ts";

/** Docker's number for "it never started": all of 0 to 124 may be the unikernel's own. */
const NOT_STARTED = 125;

export const RUN_FLAGS: FlagTable = {
  detach: { type: "boolean", alias: ["d"], describe: "run it under the server, as robur create does" },
  memory: {
    type: "string",
    alias: ["m", "mem"],
    describe: "guest memory, such as 64M or 1G (default 512M; with -d 32M)",
  },
  ...DEVICE_FLAGS,
  ...SIZE_FLAG,
  ...NETWORK_FLAGS,
  cpu: { type: "string", describe: "run on this processor only" },
  user: { type: "string", describe: "become this user first (root only; default robur or nobody)" },
  dumpcore: { type: "string", describe: "leave a core file in this directory when the guest aborts (hvt)" },
  "die-with-parent": { type: "boolean", describe: "end with the process that started this one (hvt)" },
  tender: { type: "string", describe: "builtin (default), or the installed solo5-hvt or solo5-spt" },
  restart: { type: "string", describe: "with -d: no, on-failure[:N] or always" },
  host: { type: "string", describe: "with -d: the server" },
  "dry-run": { type: "boolean", describe: "print the tender's command line and stop" },
};

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const scanned = scanFlags(RUN_FLAGS, argv);
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
  if (flags.values.has("detach")) {
    const { runDetached } = await import("./run-detached.ts");
    return runDetached(file, args, flags);
  }
  for (const name of ["restart", "host"]) {
    if (flags.values.has(name)) throw new UsageError(`--${name} goes with -d`);
  }
  const given = readDeviceFlags(flags);
  const sizes = readBlockSizes(flags);
  const memory = readMemory(last(flags, "memory"));
  const tender = readTender(last(flags, "tender"));
  const image = file.startsWith("job:") ? await findFromJob(file) : findImage(file);
  const unikernel = nameFile(file, () => readBootable(image.source));
  const { target } = unikernel.abi;
  const isDryRun = flags.values.has("dry-run");
  const request = given.blocks.size === 0 ? given : await withVolumes(given, sizes, flags, isDryRun);
  const isOnNetworks = tender === "builtin" && wantsNetworks(unikernel.manifest, request, flags);
  if (isDryRun && isOnNetworks) {
    const { explainRunOnNetworks } = await import("./run-networks.ts");
    return explainRunOnNetworks({ image, unikernel, file, args, memory, request }, flags);
  }
  if (isDryRun) {
    const { runCommandLine, tenderCommandLine } = await import("./tender-command-line.ts");
    const more = ["user", "cpu", "dumpcore"].flatMap((name) => {
      const value = last(flags, name);
      return value === undefined ? [] : [`--${name}=${value}`];
    });
    // The tenders' own options don't know these, and virtio has no tender of ours.
    const line =
      more.length === 0 && target !== "virtio"
        ? tenderCommandLine(target, file, args, memory, request)
        : runCommandLine(more, file, args, memory, request);
    print(`${line}\n`);
    return;
  }
  const which = sayWhich(image);
  if (which !== undefined) printError(`robur: ${which}\n`);
  const job: Job = { image, unikernel, args, memory, request, flags };
  if (isOnNetworks) {
    const { runOnNetworks } = await import("./run-networks.ts");
    process.exitCode = await runOnNetworks({ image, unikernel, file, args, memory, request }, flags);
    return;
  }
  const cpu = last(flags, "cpu");
  if (cpu !== undefined) runOnCpu(Number(cpu));
  if (tender !== "builtin") return runUnderOriginal(job, tender);
  if (target === "spt") return runSptHere(job);
  if (target === "virtio") return runVirtioHere(job);
  return runHvtHere(job);
}

async function findFromJob(text: string): Promise<FoundImage> {
  const { findJobImage } = await import("./client/job-image.ts");
  return findJobImage(text);
}

/** A run that has been understood: what shall boot, with what. */
interface Job {
  readonly image: FoundImage;
  readonly unikernel: Unikernel;
  readonly args: readonly string[];
  /** Bytes. */
  readonly memory: number;
  readonly request: DeviceRequest;
  readonly flags: Scanned;
}

/** What --block names, as paths: files stay what they are, volumes are looked up or made. */
async function withVolumes(
  request: DeviceRequest,
  sizes: BlockSizes,
  flags: Scanned,
  isDryRun: boolean,
): Promise<DeviceRequest> {
  const { resolveBlocks } = await import("../orchestrator/volumes/resolve-blocks.ts");
  const { dataDirectory } = await import("../lib/data-directory.ts");
  const directory = dataDirectory(last(flags, "data-dir"), process.env, process.getuid?.() === 0);
  const { blocks, notes } = await resolveBlocks(request.blocks, {
    dataDirectory: directory,
    sizes,
    mayCreate: !isDryRun,
    now: Date.now(),
  });
  for (const note of notes) printError(`robur: ${note}\n`);
  return { ...request, blocks };
}

const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
const planFor = ({ unikernel, request }: Job) => planDevices(unikernel.manifest, request, random);

/** In this process, which ends with the guest. */
async function runHvtHere(job: Job): Promise<never> {
  const { image, unikernel, args, memory, flags } = job;
  nameFile(image.path, () => checkTarget(unikernel, "hvt"));
  const { hvtMemory, startHvt } = await import("../tender/hvt/start.ts");
  const size = hvtMemory(memory);
  if (size !== memory) printError(`robur: memory rounded to ${formatSize(size)}, whole 2 MiB pages\n`);
  const attachments = openDevices(planFor(job));
  const core = last(flags, "dumpcore");
  const user = last(flags, "user");
  const common = { image, unikernel, memory: size, args, attachments, program: "robur" };
  const signalStatus = (signal: number) => 128 + signal;
  const dieWithParent = flags.values.has("die-with-parent");
  if (core === undefined) return startHvt({ ...common, user: chooseUser(user), signalStatus, dieWithParent });
  const { openCoreDirectory } = await import("../tender/hvt/core-dump.ts");
  return startHvt({
    ...common,
    // A core file is written by whoever started the tender: with --dumpcore root stays root unless told not to.
    user: user === undefined ? undefined : chooseUser(user),
    signalStatus,
    dieWithParent,
    coreDirectory: openCoreDirectory(core),
  });
}

/** As a child, so that somebody is left to say that the kernel killed the guest, and why. */
async function runSptHere(job: Job): Promise<void> {
  const { image, unikernel, args, memory, flags } = job;
  nameFile(image.path, () => checkTarget(unikernel, "spt"));
  if (flags.values.has("dumpcore")) throw new UsageError("--dumpcore is for hvt images; this one is spt");
  const { runSpt } = await import("../tender/spt/spawn.ts");
  const attachments = openDevices(planFor(job));
  const user = chooseUser(last(flags, "user"));
  process.exitCode = await runSpt(
    { image, unikernel, memory, args, attachments, user, surviveConsole: true },
    (sentence) => printError(`robur: ${sentence}\n`),
  );
}

async function runVirtioHere(job: Job): Promise<void> {
  const { image, args, memory } = job;
  const { runVirtio } = await import("../tender/virtio/run.ts");
  process.exitCode = await runVirtio({ image, args, memory, devices: planFor(job) });
}

async function runUnderOriginal(job: Job, tender: Exclude<TenderChoice, "builtin">): Promise<void> {
  const { image, unikernel, args, memory, request } = job;
  nameFile(image.path, () => checkTarget(unikernel, tender === "solo5-hvt" ? "hvt" : "spt"));
  planFor(job);
  const { tenderArguments } = await import("./tender-command-line.ts");
  const { passedNumber, passedPath, runOriginal } = await import("../tender/original.ts");
  const passed = [image.fd];
  const nets = new Map<string, NetSource>();
  for (const [name, source] of request.nets) {
    nets.set(name, "tap" in source ? source : { fd: passedNumber(passed.push(source.fd) - 1) });
  }
  const words = tenderArguments(passedPath(0), args, memory, { ...request, nets });
  process.exitCode = await runOriginal(tender, words, passed);
}

function readTender(text: string | undefined): TenderChoice {
  const tender = TENDERS.find((choice) => choice === (text ?? "builtin"));
  if (tender === undefined)
    throw new UsageError(`--tender ${text}: no such tender`, { why: `known: ${TENDERS.join(", ")}` });
  return tender;
}

/** A flag's value; given twice, the last one counts. */
function last(flags: Scanned, name: string): string | undefined {
  return flags.values.get(name)?.at(-1);
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
