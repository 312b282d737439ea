/** How an spt guest ended, told by how its process ended: what hvt finds out by itself is a signal here. */
import type { ProcessExit } from "../foreground.ts";

const CAUSE: Readonly<Record<string, string>> = {
  SIGSYS: "the unikernel made a forbidden system call",
  SIGSEGV: "the unikernel touched memory that it may not, or in a way that it may not",
  SIGBUS: "the unikernel touched memory that could not be provided",
  SIGILL: "the unikernel ran into an instruction that this processor does not have",
  SIGFPE: "the unikernel divided by zero",
  SIGTRAP: "the unikernel ran into a breakpoint",
  SIGPIPE: "nobody reads its console any more",
  SIGKILL: "by somebody else, or by the kernel for want of memory (see dmesg)",
};

/** One sentence about an end that the guest didn't choose; undefined when it exited by itself. */
export function describeExit({ signal }: Pick<ProcessExit, "signal">): string | undefined {
  if (signal === null) return undefined;
  const name = typeof signal === "number" ? `signal ${signal}` : signal;
  const cause = CAUSE[signal];
  return cause === undefined ? `killed by ${name}` : `killed by ${name}: ${cause}`;
}
