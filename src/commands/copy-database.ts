/** `robur __copy-database FROM TO`: hidden; see orchestrator/backup/copy-in-child.ts. */
import { UsageError } from "../lib/errors.ts";
import { print } from "../linux/libc.ts";
import { copyAsChild } from "../orchestrator/backup/copy-in-child.ts";

/** The entry of the command. */
export async function main([from, to]: readonly string[]): Promise<void> {
  if (from === undefined || to === undefined) throw new UsageError("two paths are needed");
  copyAsChild(from, to, (line) => print(`${line}\n`));
}
