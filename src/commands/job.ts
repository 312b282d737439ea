/** `robur job`: what is built again and again. Each set of verbs has a file of its own, and its work is loaded when it is used. */
import { UsageError } from "../lib/errors.ts";
import { type ClientArgv, clientParser, parseClient } from "./client/parser.ts";
import { scheduleJobVerbs } from "./job-schedule.ts";
import { storedJobVerbs } from "./job-stored.ts";

const VERBS: readonly ((parser: ClientArgv) => ClientArgv)[] = [storedJobVerbs, scheduleJobVerbs];

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  if (argv.length === 0) throw new UsageError("what about jobs?", { hint: "robur job ls" });
  const parser = clientParser(
    "robur job",
    "robur job COMMAND\n\nJobs: what is built again and again, and what came of it.",
    argv,
  );
  const all = VERBS.reduce((sum, add) => add(sum), parser);
  await parseClient(all.demandCommand(1, "which of its commands?"));
}
