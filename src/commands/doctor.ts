/** `robur doctor`: what this machine can run, and the command that mends what is missing. */
import { print } from "../linux/libc.ts";
import { tmpdir } from "node:os";
import { styleText } from "node:util";
import yargs from "yargs";
import { checkBuilds } from "../builds/sandbox/check-host.ts";
import { dataDirectory } from "../lib/data-directory.ts";
import { type Check, judgeMachine, lookAtMachine } from "../tender/machine-check.ts";
import { parse } from "./parse.ts";

const COLOUR = { PASS: "green", WARN: "yellow", FAIL: "red" } as const;

/** The entry of the command. Exit status 1 when a check fails; warnings don't count. */
export async function main(argv: readonly string[]): Promise<void> {
  const flags = await parse(
    yargs([...argv])
      .scriptName("robur doctor")
      .locale("en")
      .version(false)
      .usage(
        "robur doctor\n\nChecks what this machine can run. For each check that does not pass it names the command\nthat mends it; it changes nothing itself.",
      )
      .option("json", { type: "boolean", default: false, describe: "as JSON" })
      .option("data-dir", { type: "string", describe: "the data directory to check" })
      .example("robur doctor", "all checks")
      .strict()
      .help()
      .alias("help", "h")
      .wrap(null),
  );
  if (flags === undefined) return;
  const directory = dataDirectory(flags.dataDir, process.env, process.getuid?.() === 0);
  const checks = [...judgeMachine(lookAtMachine(directory, tmpdir())), ...checkBuilds()];
  print(flags.json ? `${JSON.stringify({ checks }, null, 2)}\n` : checks.map(line).join(""));
  if (checks.some(({ verdict }) => verdict === "FAIL")) process.exitCode = 1;
}

function line({ name, verdict, found, mend }: Check): string {
  const mark = styleText(COLOUR[verdict], verdict, { stream: process.stdout });
  return `${mark}  ${name}: ${found}\n${mend === undefined || verdict === "PASS" ? "" : `      try: ${mend}\n`}`;
}
