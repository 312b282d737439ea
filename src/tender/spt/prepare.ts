/**
 * Everything about an spt guest that is done before its process exists: checks, the epoll set and the timer, and
 * the launcher's file. What comes out can be started as a child (spawn.ts) or in the place of this process
 * (exec.ts); the two differ in how the guest's descriptors are numbered.
 */
import { HOST_ARCHITECTURE } from "../../lib/architecture.ts";
import { MIB } from "../../lib/units.ts";
import { type Attachment, encodeManifest } from "../../image/manifest.ts";
import type { OpenImage } from "../image-file.ts";
import { planLoad } from "../../image/segments.ts";
import type { Unikernel } from "../../image/unikernel.ts";
import { close } from "../../linux/libc.ts";
import { encodeCommandLine } from "../command-line.ts";
import { encodeSptBootInfo } from "./boot-info.ts";
import { type Events, openEvents } from "./events.ts";
import { checkHostLimits, readHostLimits } from "./host-limits.ts";
import { writeLauncher } from "./launcher-image.ts";
import { openProgram } from "./program-file.ts";
import type { SptPlan } from "./table.ts";

/** The end of a longer path says more than its beginning. */
const TITLE_PATH_MAX = 200;

export interface SptSpec {
  readonly image: OpenImage;
  readonly unikernel: Unikernel;
  /** Guest memory in bytes. */
  readonly memory: number;
  /** The guest's arguments. */
  readonly args: readonly string[];
  /** Opened devices, from `openDevices`, as this process numbers them. */
  readonly attachments: readonly Attachment[];
  /** Whom to become before the guest runs; only root can. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  /** Guest memory outside of the image may be executed. */
  readonly execHeap?: boolean;
  /** Writing to a console that nobody reads any more fails, rather than ending the guest by SIGPIPE. */
  readonly surviveConsole?: boolean;
  /** The guest is killed when the thread that started it ends. */
  readonly dieWithParent?: boolean;
  /** The beginning of error messages from the guest's process before it is the guest's. */
  readonly complaint?: string;
}

export interface PreparedSpt {
  /** The executable, a descriptor of this process. It only works with `descriptors` at their places. */
  readonly executable: number;
  /** Descriptors of this process that the new one gets as its 3, 4, 5, … in this order. */
  readonly descriptors: readonly number[];
  /** Arguments for the start: what ps shows. */
  readonly argv: readonly string[];
  /** Closes what was opened here. The image and the devices belong to the caller. */
  close(): void;
}

/** How the guest's process numbers its descriptors. */
interface Numbers {
  readonly launcher: number;
  readonly image: number;
  readonly events: Events;
  readonly devices: readonly number[];
}

const FIRST_PASSED = 3;

/**
 * Prepares a guest that is started as a child, once: its timer and its epoll set are its own. Throws ImageError,
 * OsError, and TenderError bad-memory, arguments-too-long, privileges, sandbox-failed.
 */
export function prepareSpt(spec: SptSpec): PreparedSpt {
  const passed = FIRST_PASSED;
  return prepare(spec, () => ({
    launcher: passed,
    image: passed + 1,
    events: { epoll: passed + 2, timer: passed + 3 },
    devices: spec.attachments.map((_, i) => passed + 4 + i),
  }));
}

/**
 * Prepares a guest that takes the place of this process: `descriptors` are those that must survive, each under
 * its own number. Throws as `prepareSpt`.
 */
export function prepareSptInPlace(spec: SptSpec): PreparedSpt {
  return prepare(spec, (launcher, events) => ({
    launcher,
    image: spec.image.fd,
    events,
    devices: spec.attachments.map(({ hostFd }) => hostFd),
  }));
}

function prepare(spec: SptSpec, numbersOf: (launcher: number, events: Events) => Numbers): PreparedSpt {
  const { unikernel, memory, image, attachments } = spec;
  const load = planLoad(unikernel.elf, memory, image.source.size);
  const commandLine = encodeCommandLine(spec.args);
  const limits = readHostLimits();
  checkHostLimits(memory, limits, process.getuid?.() === 0);
  const argv = titleOf(spec);

  const events = openEvents(attachments);
  try {
    const executable = openProgram("solo5-spt", (fd) => {
      const { launcher, image, events: guestEvents, devices: fds } = numbersOf(fd, events);
      const devices = attachments.map((device, i) => ({ ...device, hostFd: fds[i]! }));
      const manifest = encodeManifest(unikernel.manifest, devices);
      const { kernelEnd } = load;
      const plan: SptPlan = {
        architecture: HOST_ARCHITECTURE,
        load,
        memory,
        bootInfo: encodeSptBootInfo({ memory, kernelEnd, manifest, commandLine, descriptors: guestEvents }),
        descriptors: { launcher, image, ...guestEvents },
        devices,
        user: spec.user,
        execHeap: spec.execHeap ?? false,
        surviveConsole: spec.surviveConsole ?? false,
        dieWithParent: spec.dieWithParent ?? false,
        title: new TextEncoder().encode(argv.map((part) => `${part}\0`).join("")),
        addressSpaceEnd: limits.addressSpaceEnd,
      };
      return writeLauncher(plan, spec.complaint ?? "error: ");
    });
    return {
      executable,
      descriptors: [executable, image.fd, events.epoll, events.timer, ...attachments.map((d) => d.hostFd)],
      argv,
      close: () => [executable, events.epoll, events.timer].forEach(close),
    };
  } catch (error) {
    [events.epoll, events.timer].forEach(close);
    throw error;
  }
}

/**
 * What ps shows: as the original tender is called, but without the guest's arguments. Those may hold secrets, and
 * everybody on the machine can read them there.
 */
function titleOf({ image, memory }: SptSpec): string[] {
  const path = image.path.replaceAll("\0", "").slice(-TITLE_PATH_MAX);
  return ["solo5-spt", `--mem=${memory / MIB}`, "--", path];
}
