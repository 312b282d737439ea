/** `robur completion`: scripts that let a shell complete robur's commands, flags and names. */
import yargs from "yargs";
import { UsageError } from "../lib/errors.ts";
import { print } from "../linux/libc.ts";
import { parse } from "./parse.ts";
import type { CommandEntry } from "./robur.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;

/** The entry of the command; `commands` are all of robur's. */
export async function completion(
  commands: Readonly<Record<string, CommandEntry>>,
  argv: readonly string[],
): Promise<void> {
  if (argv.length === 0) throw new UsageError("for which shell?", { hint: "robur completion bash" });
  const parser = yargs([...argv])
    .scriptName("robur completion")
    .locale("en")
    .version(false)
    .usage(
      "robur completion SHELL\n\nPrints a script for bash, zsh or fish. Names of unikernels, volumes and the like are asked of the\nserver while you type.",
    )
    .command("$0 <shell>", false, (y) => y.positional("shell", { choices: SHELLS, demandOption: true }))
    .example("source <(robur completion bash)", "in ~/.bashrc")
    .example("robur completion fish > ~/.config/fish/completions/robur.fish", "once")
    .strict()
    .help()
    .alias("help", "h")
    .wrap(null);
  const flags = await parse(parser);
  if (flags === undefined) return;
  const { readCommandTree } = await import("./completion/command-tree.ts");
  const tree = await readCommandTree(commands);
  switch ((flags as { shell?: (typeof SHELLS)[number] }).shell) {
    case "zsh":
      return print((await import("./completion/zsh.ts")).zshScript(tree));
    case "fish":
      return print((await import("./completion/fish.ts")).fishScript(tree));
    default:
      return print((await import("./completion/bash.ts")).bashScript(tree));
  }
}
