/** The part of `robur run` for unikernels on networks of robur's. Loaded only for those. */
import type { Unikernel } from "../image/unikernel.ts";
import { dataDirectory } from "../lib/data-directory.ts";
import { UsageError } from "../lib/errors.ts";
import { print, printError } from "../linux/libc.ts";
import { type NetworkedRun, explainNetworks, runWithNetworks } from "../orchestrator/foreground.ts";
import type { DeviceRequest } from "../tender/attach.ts";
import type { FoundImage } from "./find-image.ts";
import type { Scanned } from "./flags.ts";
import { readNetworkFlags } from "./network-flags.ts";
import { tenderCommandLine } from "./tender-command-line.ts";

export interface RunRequest {
  readonly image: FoundImage;
  readonly unikernel: Unikernel;
  /** As typed. */
  readonly file: string;
  readonly args: readonly string[];
  /** Bytes. */
  readonly memory: number;
  readonly request: DeviceRequest;
}

/** Runs it to its end and answers its exit status. Throws UsageError, NetworkError, TenderError, DatabaseError. */
export async function runOnNetworks(request: RunRequest, flags: Scanned): Promise<number> {
  return runWithNetworks(fullRequest(request, flags));
}

/** `--dry-run`: the networks, the tender's command line and the arguments that the unikernel would get. */
export async function explainRunOnNetworks(request: RunRequest, flags: Scanned): Promise<void> {
  const { plan, request: devices, args } = await explainNetworks(fullRequest(request, flags));
  for (const line of plan) print(`# ${line}\n`);
  const { target } = request.unikernel.abi;
  print(`${tenderCommandLine(target, request.file, args, request.memory, devices)}\n`);
}

function fullRequest(request: RunRequest, flags: Scanned): NetworkedRun {
  const { target } = request.unikernel.abi;
  if (target !== "hvt" && target !== "spt" && target !== "virtio") {
    throw new UsageError(`${request.file}: an image for ${target} can't be run here`);
  }
  const last = (name: string) => flags.values.get(name)?.at(-1);
  const pass = (name: string) => {
    const value = last(name);
    return value === undefined ? [] : [`--${name}=${value}`];
  };
  return {
    ...request,
    ...readNetworkFlags(flags),
    dataDirectory: dataDirectory(last("data-dir"), process.env, process.getuid?.() === 0),
    user: last("user"),
    hvtFlags: [...pass("user"), ...pass("dumpcore"), ...pass("cpu")],
    say: (sentence) => printError(`robur: ${sentence}\n`),
  };
}
