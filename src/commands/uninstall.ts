/**
 * `robur uninstall`: install.sh --uninstall, which is built in, so that there is one set of rules for what goes and
 * what stays. The shell takes the place of this process: nothing runs any more of what is removed.
 */
import { realpathSync } from "node:fs";
import { dirname } from "node:path";
import yargs from "yargs";
import { ReleaseError } from "../release/release-error.ts";
import { base64Of } from "./embed.ts" with { type: "macro" };
import { parse } from "./parse.ts";

const INSTALLER = base64Of("install.sh");

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const flags = await parse(
    yargs([...argv])
      .scriptName("robur uninstall")
      .locale("en")
      .version(false)
      .usage(
        "robur uninstall\n\nRemoves this executable and the links to it, and says what stays. Data stays, but for --purge.",
      )
      .option("purge", {
        type: "boolean",
        default: false,
        describe: "remove the data directory as well, for good",
      })
      .option("dry-run", { type: "boolean", default: false, describe: "say what would be removed" })
      .option("yes", { alias: "y", type: "boolean", default: false, describe: "don't ask before --purge" })
      .example("robur uninstall --dry-run", "what would go?")
      .strict()
      .help()
      .alias("help", "h")
      .wrap(null),
  );
  if (flags === undefined) return;
  if (!Bun.isStandaloneExecutable) {
    throw new ReleaseError(
      "not-installed",
      "this robur runs from its sources: there is nothing to uninstall",
    );
  }
  const script = new TextDecoder().decode(Uint8Array.fromBase64(INSTALLER));
  const args = [
    "sh",
    "-c",
    script,
    "install.sh",
    "--uninstall",
    "--bin-dir",
    dirname(realpathSync(process.execPath)),
  ];
  for (const name of ["purge", "dry-run", "yes"] as const) if (flags[name]) args.push(`--${name}`);
  process.execve?.("/bin/sh", args, process.env as Record<string, string>);
}
