/** A guest in a process of its own, waited for by the process that somebody started at a terminal. */

/** How a process ended: `code` or `signal`, the other one is null. Signals without a name are numbers. */
export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | number | null;
  /** This process was told to end, and passed that on. */
  readonly wasAsked: boolean;
}

/** Signals that are meant for the guest when its parent gets them. */
const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;

const SIGNAL_NUMBER: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGXFSZ: 25,
  SIGSYS: 31,
};

/** Waits for a child process, and hands it the signals that this process gets meanwhile. */
export async function waitInForeground(child: Bun.Subprocess): Promise<ProcessExit> {
  let wasAsked = false;
  const forward = (signal: NodeJS.Signals) => {
    wasAsked = true;
    child.kill(signal);
  };
  for (const signal of FORWARDED) process.on(signal, forward);
  await child.exited;
  for (const signal of FORWARDED) process.off(signal, forward);
  return { code: child.exitCode, signal: child.signalCode, wasAsked };
}

/** The status as a shell gives it: the process's own, or 128 and the signal's number. */
export function exitStatus({ code, signal }: Pick<ProcessExit, "code" | "signal">): number {
  if (signal === null) return code ?? 1;
  return 128 + (typeof signal === "number" ? signal : (SIGNAL_NUMBER[signal] ?? 0));
}
