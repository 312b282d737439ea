/** `robur systemd`: the unit that makes the server a service. */
import { realpathSync } from "node:fs";
import yargs, { type Argv } from "yargs";
import { UsageError } from "../lib/errors.ts";
import { print, readSmallFile } from "../linux/libc.ts";
import { base64Of } from "./embed.ts" with { type: "macro" };
import { parse } from "./parse.ts";

const TEMPLATES = {
  system: base64Of("assets/units/robur.service"),
  user: base64Of("assets/units/robur-user.service"),
} as const;

export interface UnitOptions {
  readonly kind: keyof typeof TEMPLATES;
  /** Absolute. */
  readonly executable: string;
  /** Address and port; undefined for the server's default. */
  readonly listen: string | undefined;
  /** More groups that the server should be in, and that exist. */
  readonly groups: readonly string[];
}

/** The unit file's text. Pure. Throws UsageError for what a unit file can't hold. */
export function unitFile({ kind, executable, listen, groups }: UnitOptions): string {
  const words = listen === undefined ? [] : ["--listen", listen];
  for (const word of [executable, ...words]) {
    // systemd has quoting rules of its own; nothing that needs them is a sensible path or address.
    if (!/^[\w@%+=:,./[\]-]+$/.test(word))
      throw new UsageError(`${JSON.stringify(word)} can't stand in a unit file`);
  }
  const escape = (word: string) => word.replaceAll("%", "%%");
  return new TextDecoder()
    .decode(Uint8Array.fromBase64(TEMPLATES[kind]))
    .replace("@EXECUTABLE@", escape(executable))
    .replace("@ARGUMENTS@", words.map((word) => ` ${escape(word)}`).join(""))
    .replace("@GROUPS@\n", groups.length === 0 ? "" : `SupplementaryGroups=${groups.join(" ")}\n`);
}

/** Those of the groups that a group(5) file has: systemd doesn't start a service with one that doesn't exist. */
export function existingGroups(text: string, wanted: readonly string[]): string[] {
  const names = new Set(text.split("\n").map((line) => line.split(":", 1)[0]!));
  return wanted.filter((name) => names.has(name));
}

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  if (argv.length === 0) throw new UsageError("print or install?", { hint: "robur systemd print" });
  const withFlags = <T>(y: Argv<T>) =>
    y
      .option("user", { type: "boolean", default: false, describe: "a service of yours, not of the system" })
      .option("listen", { type: "string", requiresArg: true, describe: "address and port of the server" })
      .option("executable", { type: "string", requiresArg: true, describe: "default: this one" });
  const parser = yargs([...argv])
    .scriptName("robur systemd")
    .locale("en")
    .version(false)
    .usage(
      "robur systemd COMMAND\n\nThe unit that makes the server a service, which starts with the machine. Stopping or upgrading\nit stops no unikernel.",
    )
    .command("print", "Print the unit file", withFlags, (flags) => print(unitFile(optionsOf(flags))))
    .command(
      "install",
      "Put the unit file in its place, and tell systemd",
      (y) =>
        withFlags(y)
          .option("now", { type: "boolean", default: false, describe: "enable and start it as well" })
          .option("dry-run", { type: "boolean", default: false, describe: "say what would be done" }),
      async (flags) => (await import("./systemd-install.ts")).install(optionsOf(flags), flags),
    )
    .example("sudo robur systemd install --now", "a server that starts with the machine")
    .example("robur systemd install --user --now", "without root")
    .recommendCommands()
    .strict()
    .demandCommand(1, "print or install?")
    .help()
    .alias("help", "h")
    .wrap(null);
  await parse(parser);
}

function optionsOf(flags: {
  user: boolean;
  listen: string | undefined;
  executable: string | undefined;
}): UnitOptions {
  return {
    kind: flags.user ? "user" : "system",
    executable: flags.executable ?? realpathSync(process.execPath),
    listen: flags.listen,
    groups: existingGroups(readSmallFile("/etc/group") ?? "", ["kvm"]),
  };
}
