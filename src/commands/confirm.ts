/** Asking before something is lost: on a terminal with a question, elsewhere by a flag. */
import { isatty } from "node:tty";
import { UsageError } from "../lib/errors.ts";
import { printError, readInto } from "../linux/libc.ts";

/**
 * Whether to go on. `isSure`: the flag was given. Where nobody can be asked, throws a UsageError that says which
 * command to give instead.
 */
export function confirm(question: string, isSure: boolean, command: string): boolean {
  if (isSure) return true;
  if (!isatty(0) || !isatty(2)) {
    throw new UsageError(`nobody can be asked here: ${question}`, { hint: command });
  }
  printError(`${question} [y/N] `);
  const answer = new Uint8Array(100);
  const length = readInto(0, answer, answer.length);
  return /^y(es)?$/i.test(new TextDecoder().decode(answer.subarray(0, Math.max(0, length))).trim());
}
