/**
 * What a running spt guest may ask of the kernel: the calls of Solo5's spt interface on its own descriptors, and
 * nothing else. Everything denied ends the process by SIGSYS.
 */
import type { Architecture } from "../../lib/architecture.ts";
import type { Attachment } from "../../image/manifest.ts";
import { type Condition, KILL_PROCESS, type Policy, type Rule } from "../../linux/bpf.ts";

const CONSOLE = 1;
const CLOCK_REALTIME = 0;
const CLOCK_MONOTONIC = 1;
const ARCH_SET_FS = 0x1002;

/** Descriptors as they are numbered in the guest's process. */
export interface GuestDescriptors {
  /** The epoll set that the guest waits on. */
  readonly epoll: number;
  /** The timer that ends its waits. */
  readonly timer: number;
}

/**
 * The filter of a guest with these devices (`hostFd` as numbered in the guest's process).
 *
 * A block device is written and read one sector at a time and only inside of its capacity: without that limit a
 * write would make the backing file grow.
 */
export function sptPolicy(
  architecture: Architecture,
  { epoll, timer }: GuestDescriptors,
  devices: readonly Attachment[],
): Policy {
  const rules: Rule[] = [
    { call: "epoll_pwait", when: [equals(0, epoll)] },
    { call: "timerfd_settime", when: [equals(0, timer)] },
    { call: "clock_gettime", when: [equals(0, CLOCK_MONOTONIC)] },
    { call: "clock_gettime", when: [equals(0, CLOCK_REALTIME)] },
    { call: "write", when: [equals(0, CONSOLE)] },
    ...devices.flatMap(deviceRules),
    { call: "exit_group" },
    { call: "arch_prctl", when: [equals(0, ARCH_SET_FS)] },
  ];
  return { architecture, rules, otherwise: KILL_PROCESS };
}

function deviceRules(device: Attachment): Rule[] {
  if (device.kind === "net") {
    const when = [equals(0, device.hostFd)];
    return [
      { call: "read", when },
      { call: "write", when },
    ];
  }
  const when: Condition[] = [
    equals(0, device.hostFd),
    equals(2, device.blockSize),
    { argument: 3, atMost: BigInt(device.capacity - device.blockSize) },
  ];
  return [
    { call: "pread64", when },
    { call: "pwrite64", when },
  ];
}

function equals(argument: number, value: number): Condition {
  return { argument, equals: BigInt(value) };
}
