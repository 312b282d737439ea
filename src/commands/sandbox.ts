/** `robur sandbox`: the root file systems that build jobs run in. */
import yargs, { type Argv } from "yargs";
import { dataDirectory } from "../lib/data-directory.ts";
import { UsageError } from "../lib/errors.ts";
import { parse } from "./parse.ts";

const USAGE = `robur sandbox COMMAND

The root file systems of platforms, which build jobs run over. They are made when the first job needs
one, by mmdebstrap; jobs that run keep theirs when it is made anew. What a platform is made of says
platforms/NAME/definition.json in the data directory, which also defines further ones:

  {"suite": "trixie", "components": ["main"], "packages": ["opam", "ocaml-nox"],
   "mirror": "https://deb.debian.org/debian", "image": "docker.io/library/debian:13"}

What it leaves out is as built in for that name; packages come beside those that the distribution
requires, and image is what docker or podman take (robur serve --sandbox).`;

type Common = Argv<{ "data-dir": string | undefined }>;

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  if (argv.length === 0) throw new UsageError("what about sandboxes?", { hint: "robur sandbox ls" });
  const verbs = () => import("./sandbox-verbs.ts");
  const platform = (y: Common) => y.positional("platform", { type: "string", demandOption: true });
  const parser = yargs([...argv])
    .scriptName("robur sandbox")
    .locale("en")
    .version(false)
    .usage(USAGE)
    .option("data-dir", { type: "string", requiresArg: true, describe: "where robur keeps its data" })
    .command(
      "ls",
      "The platforms, and what their root file systems are",
      (y) => y.option("json", { type: "boolean", default: false, describe: "as JSON, with all packages" }),
      async (flags) => (await verbs()).list(room(flags), flags.json),
    )
    .command(
      "refresh <platform>",
      "Make a platform's root file system, or make it anew",
      platform,
      async (flags) => (await verbs()).refresh(room(flags), flags.platform),
    )
    .command("rm <platform>", "Remove a platform's root file system", platform, async (flags) =>
      (await verbs()).remove(room(flags), flags.platform),
    )
    .example("robur sandbox refresh debian-12", "take the packages that Debian has today")
    .recommendCommands()
    .strict()
    .demandCommand(1, "which of its commands?")
    .help()
    .alias("help", "h")
    .wrap(null);
  await parse(parser);
}

function room({ dataDir }: { readonly dataDir?: string | undefined }): string {
  return dataDirectory(dataDir, process.env, process.geteuid?.() === 0);
}
