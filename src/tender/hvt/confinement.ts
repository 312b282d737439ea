/**
 * The system calls that are left to the process once its guest runs. A guest that found a way to run code in the
 * tender could still not open a file, start a program, make a socket or look at another process.
 *
 * The first group is what hypercalls need. The second is what the JavaScript engine was seen to need while it
 * compiles and collects in its own threads (measured under load, with collection forced: tests/tender/hvt/
 * confinement.test.ts). Anything else ends the process with SIGSYS.
 */
import { HOST_ARCHITECTURE } from "../../lib/architecture.ts";
import { ERRNO, errnoText } from "../../linux/errno.ts";
import {
  KILL_PROCESS,
  type Policy,
  type Rule,
  assembleFilter,
  failWith,
  programHeader,
} from "../../linux/bpf.ts";
import { addressOf, syscall } from "../../linux/libc.ts";
import { type SyscallName, syscallNumber } from "../../linux/syscalls.ts";
import { TenderError } from "../tender-error.ts";
import { CORE_OPEN_FLAGS } from "./core-dump.ts";

const GUEST: readonly SyscallName[] = [
  "ioctl",
  "read",
  "write",
  "pread64",
  "pwrite64",
  "ppoll",
  "clock_gettime",
  "exit",
  "exit_group",
  "rt_sigreturn",
];

const ENGINE: readonly SyscallName[] = [
  "futex",
  // The kernel's own way to go on with a timed wait after the process was stopped or frozen.
  "restart_syscall",
  "mmap",
  "munmap",
  "mremap",
  "mprotect",
  "madvise",
  "mincore",
  "rt_sigprocmask",
  "rt_sigaction",
  "sigaltstack",
  "sched_yield",
  "sched_getaffinity",
  "sched_setaffinity",
  "getpid",
  "gettid",
  "tgkill",
  "set_tid_address",
  "set_robust_list",
  "rseq",
  "membarrier",
  "getrandom",
  "close",
];

/** clone(2): a thread, never a process. */
const CLONE_THREAD = 0x1_0000n;
/** -100 as an int: the upper half of the register is zero. */
const AT_FDCWD = 0xffff_ff9cn;
const SECCOMP_SET_MODE_FILTER = 1;
const SECCOMP_FILTER_FLAG_TSYNC = 1;
const READ_IMPLIES_EXEC = 0x40_0000;
const QUERY_PERSONALITY = 0xffff_ffff;

/** The filter's rules. `coreDirectory` is the descriptor of the directory that one core file may be made in. */
export function hvtPolicy(coreDirectory: number | undefined): Policy {
  const rules: Rule[] = [...GUEST, ...ENGINE].map((call) => ({ call }));
  // libc makes threads by clone3, whose flags a filter can't see; told that there is none, it uses clone.
  rules.push({ call: "clone3", action: failWith(ERRNO.ENOSYS) });
  rules.push({ call: "clone", when: [{ argument: 0, hasBits: CLONE_THREAD }] });
  // Names of threads. No other option of prctl.
  rules.push({ call: "prctl", when: [{ argument: 0, equals: 15n }] });
  // The collector looks at /proc/self/statm each time and does without when it may not. Refused, not killed:
  // nothing is opened either way, and no unikernel dies of a garbage collection. To open anything in any other
  // way is to die.
  rules.push({
    call: "openat",
    when: [
      { argument: 0, equals: AT_FDCWD },
      { argument: 2, equals: 0n },
    ],
    action: failWith(ERRNO.EACCES),
  });
  if (coreDirectory !== undefined) {
    rules.push({
      call: "openat",
      when: [
        { argument: 0, equals: BigInt(coreDirectory) },
        { argument: 2, equals: BigInt(CORE_OPEN_FLAGS) },
      ],
    });
  }
  return { architecture: HOST_ARCHITECTURE, rules, otherwise: KILL_PROCESS };
}

/**
 * Installs the filter on every thread of this process; no_new_privs must be set. Throws TenderError privileges
 * where the kernel has no seccomp, or where memory is executable by default.
 */
export function confine(coreDirectory: number | undefined): void {
  const personality = syscall(syscallNumber("personality"), QUERY_PERSONALITY);
  if (personality >= 0 && (personality & READ_IMPLIES_EXEC) !== 0) {
    throw new TenderError("privileges", "all readable memory of this process is executable", {
      why: "its personality contains READ_IMPLIES_EXEC",
      hint: "start it without setarch -X",
    });
  }
  const program = assembleFilter(hvtPolicy(coreDirectory));
  const header = programHeader(program, addressOf(program));
  const number = syscallNumber("seccomp");
  const result = syscall(number, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, header);
  if (result !== 0) {
    const why = result > 0 ? `thread ${result} could not be included` : errnoText(-result);
    throw new TenderError("privileges", "can't install the system call filter", { why });
  }
}
