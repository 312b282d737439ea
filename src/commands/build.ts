/** `robur build`: single builds. Each set of verbs has a file of its own, and its work is loaded when it is used. */
import { UsageError } from "../lib/errors.ts";
import { runBuildVerbs } from "./build-run.ts";
import { shellVerb } from "./build-shell-verb.ts";
import { storedBuildVerbs } from "./build-stored.ts";
import { type ClientArgv, clientParser, parseClient } from "./client/parser.ts";

const VERBS: readonly ((parser: ClientArgv) => ClientArgv)[] = [storedBuildVerbs, runBuildVerbs, shellVerb];

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  if (argv.length === 0) throw new UsageError("what about builds?", { hint: "robur build ls" });
  const parser = clientParser(
    "robur build",
    "robur build COMMAND\n\nSingle builds. BUILD is a build's id or the beginning of one, JOB for the newest good build of a\njob, JOB:NUMBER, or JOB@ID.",
    argv,
  );
  const all = VERBS.reduce((sum, add) => add(sum), parser);
  await parseClient(all.demandCommand(1, "which of its commands?"));
}
