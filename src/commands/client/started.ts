/** What to say of a start that was waited for. */
import { print, printError } from "../../linux/libc.ts";
import type { UnikernelView } from "../../orchestrator/api.ts";
import { printable } from "../table.ts";

/** An answer of create, start, restart and update-config. */
export interface StartedAnswer {
  readonly unikernel: UnikernelView;
  readonly console: readonly { readonly text: string }[];
}

export interface StartedFlags {
  readonly quiet: boolean;
  readonly json: boolean;
}

/** The name on standard output; the console's first lines, and what went wrong, on standard error. */
export function tellStarted({ unikernel, console }: StartedAnswer, { quiet, json }: StartedFlags): void {
  const { name, state, reason } = unikernel;
  if (json) print(`${JSON.stringify({ unikernel, console }, null, 2)}\n`);
  else print(`${name}\n`);
  const hasFailed = state === "failed" || state === "backing-off";
  if (!quiet && !json) for (const { text } of console) printError(`  | ${printable(Bun.stripANSI(text))}\n`);
  if (!hasFailed) return;
  const why = reason === null ? "" : `\n  ${printable(reason)}`;
  printError(
    `error: ${name} has ${state === "failed" ? "failed" : "failed and is tried again"}${why}\n  try: robur logs ${name}\n`,
  );
  process.exitCode = 1;
}
