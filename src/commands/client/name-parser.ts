/** Parsers of commands that take names of unikernels. */
import { clientParser } from "./parser.ts";

/** `robur VERB NAME…` */
export function namesParser(command: string, sentence: string, argv: readonly string[]) {
  return clientParser(command, `${command} NAME…\n\n${sentence}`, argv).command("$0 <name..>", false, (y) =>
    y.positional("name", { type: "string", array: true, demandOption: true }),
  );
}

/** `robur VERB NAME` */
export function nameParser(command: string, sentence: string, argv: readonly string[]) {
  return clientParser(command, `${command} NAME\n\n${sentence}`, argv).command("$0 <name>", false, (y) =>
    y.positional("name", { type: "string", demandOption: true }),
  );
}

/** What was given: yargs makes a list of the positional words, and its types don't know of it. */
export function namesOf(flags: Readonly<Record<string, unknown>>): string[] {
  const { name } = flags;
  return (Array.isArray(name) ? name : [name]).map(String);
}
