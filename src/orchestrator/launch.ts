/**
 * Starts a tender: for spt the guest's own process, made directly; for hvt this program again. Both get the console's
 * file as their standard output, a session of their own, and a token in their command line, by which a later server
 * knows them again. Nothing of them depends on this process from then on.
 */
import { selfCommand } from "../lib/self.ts";
import { MIB } from "../lib/units.ts";
import { close } from "../linux/libc.ts";
import { type DeviceRequest, openDevices, parseMac, planDevices } from "../tender/attach.ts";
import { chooseUser } from "../tender/privileges.ts";
import { prepareSpt } from "../tender/spt/prepare.ts";
import { spawnSpt } from "../tender/spt/spawn.ts";
import type { Exit, UnikernelConfig, UnikernelName } from "./api.ts";
import type { Prepared } from "./attachments.ts";
import type { BorrowedImage } from "./images.ts";
import { lookAt, seccompFilters } from "./process/identity.ts";
import { maskOf, ownAffinity, setOwnAffinity } from "./process/kernel-calls.ts";
import { type WatchedProcess, signalName } from "./process/watch.ts";

export interface LaunchSpec {
  readonly name: UnikernelName;
  readonly token: string;
  readonly image: BorrowedImage;
  readonly config: UnikernelConfig;
  /** All of the guest's arguments. */
  readonly args: readonly string[];
  readonly prepared: Prepared;
  /** Descriptor that the console is written to. */
  readonly console: number;
  readonly cpus: readonly number[] | null;
}

export interface Launched {
  readonly process: WatchedProcess;
  readonly startTicks: number;
}

/**
 * Starts the tender's process. Descriptors of the caller's stay open. Throws ImageError, TenderError, OsError: then
 * there is no process.
 */
export function launchTender(spec: LaunchSpec): Launched {
  const child = onCpus(spec.cpus, () => {
    return spec.image.unikernel.abi.target === "spt" ? startSpt(spec) : startHvt(spec);
  });
  child.unref();
  return { process: childProcess(child), startTicks: lookAt(child.pid)?.startTicks ?? 0 };
}

/** What is started inherits where this thread may run, and so runs there from its first instruction. */
function onCpus<T>(cpus: readonly number[] | null, start: () => T): T {
  if (cpus === null) return start();
  const before = ownAffinity();
  setOwnAffinity(maskOf(cpus));
  try {
    return start();
  } finally {
    setOwnAffinity(before);
  }
}

function deviceRequest({ config, prepared }: LaunchSpec): DeviceRequest {
  const macs = prepared.networks.flatMap(({ device, mac }) => {
    const bytes = parseMac(mac);
    return bytes === undefined ? [] : [[device, bytes] as const];
  });
  const sizes = config.blocks.flatMap(({ device, sectorSize }) =>
    sectorSize === null ? [] : [[device, sectorSize] as const],
  );
  return {
    nets: prepared.taps,
    macs: new Map(macs),
    blocks: prepared.blocks,
    sectorSizes: new Map(sizes),
  };
}

function startSpt(spec: LaunchSpec): Bun.Subprocess {
  const { unikernel } = spec.image;
  const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
  const attachments = openDevices(planDevices(unikernel.manifest, deviceRequest(spec), random));
  try {
    const prepared = prepareSpt({
      // The end of the path is what ps shows of it.
      image: spec.image.open(`${spec.name}${spec.token}`),
      unikernel,
      memory: spec.config.memoryMb * MIB,
      args: spec.args,
      attachments,
      user: chooseUser(undefined),
      surviveConsole: true,
    });
    const withHeld = { ...prepared, descriptors: [...prepared.descriptors, ...spec.prepared.held] };
    const streams = { stdout: spec.console, stderr: spec.console, detached: true };
    return spawnSpt(withHeld, streams).process;
  } finally {
    for (const { hostFd } of attachments) close(hostFd);
  }
}

/** Where the image is found by the tender: its first descriptor that isn't a standard one. */
const IMAGE_PATH = "/proc/self/fd/3";

function startHvt(spec: LaunchSpec): Bun.Subprocess {
  const { nets, macs, blocks, sectorSizes } = deviceRequest(spec);
  const passed = [spec.image.fd, ...spec.prepared.held];
  const options = [`--mem=${spec.config.memoryMb}`];
  for (const [device, source] of nets) {
    if ("tap" in source) options.push(`--net:${device}=${source.tap}`);
    else options.push(`--net:${device}=@${2 + passed.push(source.fd)}`);
  }
  for (const [device, mac] of macs)
    options.push(`--net-mac:${device}=${mac.toHex().replaceAll(/(..)(?=.)/g, "$1:")}`);
  for (const [device, path] of blocks) options.push(`--block:${device}=${path}`);
  for (const [device, size] of sectorSizes) options.push(`--block-sector-size:${device}=${size}`);
  const [program, ...before] = selfCommand();
  return Bun.spawn([program!, ...before, "tender", "hvt", ...options, "--", IMAGE_PATH, ...spec.args], {
    argv0: `robur:${spec.name}${spec.token}`,
    // Whatever this process was told by its environment is not meant for the tender.
    env: {},
    cwd: "/",
    stdio: ["ignore", spec.console, spec.console, ...passed],
    detached: true,
  });
}

function childProcess(child: Bun.Subprocess): WatchedProcess {
  const ended = child.exited.then((): Exit => {
    if (child.signalCode === null) return { kind: "status", status: child.exitCode ?? 1 };
    const signal: NodeJS.Signals | number = child.signalCode;
    return { kind: "signal", signal: typeof signal === "number" ? signalName(signal) : signal };
  });
  return { pid: child.pid, ended, signal: (signal) => child.kill(signal) };
}

/** How long a tender may take to its guest's first instruction; afterwards it is taken for running. */
const LONGEST_START_MS = 20_000;

/**
 * Waits until the guest of a tender runs: each tender takes on a system call filter immediately before. False when
 * the process ended before that.
 */
export async function untilGuestRuns({ pid, ended }: WatchedProcess): Promise<boolean> {
  const own = seccompFilters("self") ?? 0;
  const deadline = performance.now() + LONGEST_START_MS;
  const end = ended.then(() => true);
  for (let pause = 1; ; pause = Math.min(pause * 1.5, 10)) {
    const filters = seccompFilters(pid);
    if (filters !== undefined && filters > own) return true;
    if (performance.now() > deadline) return true;
    if (await Promise.race([end, Bun.sleep(pause).then(() => false)])) return false;
  }
}
