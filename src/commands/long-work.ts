/** Work that takes a while: with a bar, and ended by Ctrl-C in good order. A second Ctrl-C ends it at once. */
import { withProgress } from "./progress.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Runs `work` with a signal that Ctrl-C aborts. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const called = new AbortController();
  const callOff = () => called.abort();
  for (const signal of SIGNALS) process.once(signal, callOff);
  try {
    return await work(called.signal);
  } finally {
    for (const signal of SIGNALS) process.off(signal, callOff);
  }
}

/** The same with a bar on standard error, where somebody looks at it. */
export async function longWork<T>(
  label: string,
  work: (options: {
    signal: AbortSignal;
    onProgress: (done: number, total: number | undefined) => void;
  }) => Promise<T>,
): Promise<T> {
  return interruptible((signal) => withProgress(label, (onProgress) => work({ signal, onProgress })));
}
