/** `robur restore`: puts a backup in the place of what is there. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import yargs from "yargs";
import { shellWord } from "../lib/shell-word.ts";
import { printError } from "../linux/libc.ts";
import { type Restored, restoreBackup } from "../orchestrator/backup/restore.ts";
import { placesOf } from "./backup.ts";
import { confirm } from "./confirm.ts";
import { longWork } from "./long-work.ts";
import { parse } from "./parse.ts";

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const parser = yargs([...argv])
    .scriptName("robur restore")
    .locale("en")
    .version(false)
    .usage(
      "robur restore FILE\n\nPuts a backup in the place of what is there: a database, or an archive of\nrobur backup --with-volumes. All of FILE is checked first, and what was there is kept in the\ndirectory of backups. The server must be stopped.",
    )
    .command("$0 <file>", false, (y) => y.positional("file", { type: "string", demandOption: true }))
    .option("data-dir", { type: "string", requiresArg: true, describe: "where robur keeps its data" })
    .option("db", {
      type: "string",
      requiresArg: true,
      describe: "another database than the data directory's",
    })
    .option("dry-run", { type: "boolean", default: false, describe: "check everything, and change nothing" })
    .option("yes", { alias: "y", type: "boolean", default: false, describe: "don't ask" })
    .example("robur restore --dry-run robur.db", "would it work?")
    .example("robur restore /mnt/usb/robur.tar.zst", "database and volumes")
    .strict()
    .help()
    .alias("help", "h")
    .wrap(null);
  const flags = await parse(parser);
  if (flags === undefined) return;
  const { file, dryRun, yes } = flags as typeof flags & { file: string };
  const places = placesOf(flags);
  if (!dryRun && existsSync(places.database)) {
    const command = `robur restore --yes ${argv.map(shellWord).join(" ")}`;
    if (!confirm(`replace ${places.database} by ${file}? The old one is kept.`, yes, command)) {
      printError("nothing was changed\n");
      process.exitCode = 1;
      return;
    }
  }
  const request = { ...places, file: resolve(file), dryRun, now: Date.now() };
  const restored = await longWork("restoring", (work) => restoreBackup(request, work));
  printError(tell(restored, file, dryRun));
}

function tell(
  { schema, volumes, replaced, safetyCopy, oldVolumes }: Restored,
  file: string,
  dryRun: boolean,
): string {
  const lines = [
    dryRun
      ? `${file} is in order (schema ${schema}); nothing was changed`
      : `restored ${file} (schema ${schema}); robur serve starts it`,
  ];
  const verb = dryRun ? "would be kept" : "is kept";
  if (volumes.length > 0) lines.push(`volumes: ${volumes.join(", ")}`);
  if (safetyCopy !== null) lines.push(`the database before ${verb}: ${safetyCopy}`);
  if (replaced.length > 0) lines.push(`the volumes before ${verb.replace("is", "are")}: ${oldVolumes}`);
  return lines.map((line) => `${line}\n`).join("");
}
