/** `robur __sandbox HOME`: hidden; runs a sandbox that a worker has prepared. */
import { launch } from "../builds/sandbox/launch.ts";
import { UsageError, formatError } from "../lib/errors.ts";
import { printError } from "../linux/libc.ts";

/** What a shell answers for a command that could not be run. */
const NOT_RUN = 125;

/** The entry of the command. It ends the process itself: everything that it started ends with it. */
export async function main([home]: readonly string[]): Promise<void> {
  if (home === undefined || process.pid !== 1) {
    throw new UsageError("__sandbox is for robur's own workers");
  }
  try {
    process.exit(await launch(home));
  } catch (error) {
    printError(formatError(error));
    process.exit(NOT_RUN);
  }
}
