/**
 * What can be typed behind `robur`, read from the parsers that the commands themselves use, so that completion
 * never says anything else than the commands do. yargs keeps its commands where only its inner methods reach.
 */
import yargs, { type Argv } from "yargs";
import type { CommandEntry } from "../robur.ts";
import { withListener } from "../parse.ts";
import { type Kind, kindOfFlag, kindsOfCommand } from "./kinds.ts";

export interface FlagShape {
  /** As typed: `--format`, `-q`; the long one first. */
  readonly names: readonly string[];
  readonly describe: string;
  /** What stands behind it; undefined for one that stands alone. */
  readonly value: Kind | undefined;
}

export interface CommandShape {
  /** The words behind `robur`: `["volume", "ls"]`; empty for robur itself. */
  readonly path: readonly string[];
  readonly describe: string;
  readonly flags: readonly FlagShape[];
  readonly commands: readonly CommandShape[];
  /** What stands behind it, in order; the last one may be repeated if `isRepeated`. */
  readonly values: readonly Kind[];
  readonly isRepeated: boolean;
}

/** These parse their arguments as the original tenders do. */
const WITHOUT_PARSER: Readonly<Record<string, readonly [name: string, describe: string][]>> = {
  tender: [
    ["hvt", "Run an hvt unikernel with solo5-hvt's options"],
    ["spt", "Run an spt unikernel with solo5-spt's options"],
  ],
};

/** The whole tree. Loads every command. */
export async function readCommandTree(
  commands: Readonly<Record<string, CommandEntry>>,
): Promise<CommandShape> {
  const shapes: CommandShape[] = [];
  for (const [name, entry] of Object.entries(commands)) {
    if (entry.isHidden !== true) shapes.push(await readCommand(name, entry));
  }
  const version: FlagShape = { names: ["--version"], describe: "Print version and commit", value: undefined };
  const help: FlagShape = { names: ["--help", "-h"], describe: "Show help", value: undefined };
  return { path: [], describe: "", flags: [help, version], commands: shapes, values: [], isRepeated: false };
}

async function readCommand(name: string, { describe, load }: CommandEntry): Promise<CommandShape> {
  const plain = WITHOUT_PARSER[name];
  if (plain !== undefined) {
    const commands = plain.map(([word, text]) => shape([name, word], text, undefined, []));
    return { ...shape([name], describe, undefined, []), commands };
  }
  let parser: Argv | undefined;
  const { main } = await load();
  await withListener(
    (found) => (parser = found),
    () => main(["--help"]),
  );
  return shape([name], describe, parser, []);
}

/** What yargs keeps to itself; the version is pinned, and the tests would notice another one. */
interface Inner {
  getOptions(): {
    readonly key: Readonly<Record<string, boolean>>;
    readonly alias: Readonly<Record<string, readonly string[]>>;
    readonly boolean: readonly string[];
    readonly choices: Readonly<Record<string, readonly string[]>>;
  };
  getInternalMethods(): {
    getUsageInstance(): { getDescriptions(): Readonly<Record<string, string | undefined>> };
    getCommandInstance(): { readonly handlers: Readonly<Record<string, Handler>> };
  };
}

interface Word {
  readonly cmd: readonly string[];
  readonly variadic: boolean;
}

interface Handler {
  readonly description: string | false | undefined;
  readonly builder: unknown;
  readonly demanded: readonly Word[];
  readonly optional: readonly Word[];
}

function shape(
  path: readonly string[],
  describe: string,
  parser: Argv | undefined,
  inherited: readonly FlagShape[],
  words: readonly Word[] = [],
): CommandShape {
  const inner = parser as unknown as Inner | undefined;
  const handlers = inner?.getInternalMethods().getCommandInstance().handlers ?? {};
  const flags = merge(inherited, inner === undefined ? [] : flagsOf(inner, words));
  const itself = handlers["$0"];
  const commands = Object.entries(handlers)
    .filter(([name, { description }]) => name !== "$0" && description !== false)
    .map(([name, handler]) => fromHandler([...path, name], handler, flags));
  // `robur backup FILE`: what a command takes that has other commands beside.
  const own = itself === undefined ? undefined : fromHandler(path, itself, flags);
  const all = own === undefined ? words : [...itself!.demanded, ...itself!.optional];
  return {
    ...{ path, describe, commands },
    flags: own?.flags ?? flags,
    values: kindsOfCommand(
      path,
      all.map(({ cmd }) => cmd[0] ?? ""),
    ),
    isRepeated: all.at(-1)?.variadic === true,
  };
}

function fromHandler(
  path: readonly string[],
  handler: Handler,
  inherited: readonly FlagShape[],
): CommandShape {
  const words = [...handler.demanded, ...handler.optional];
  const parser = yargs([]).version(false).help(false);
  if (typeof handler.builder === "function") handler.builder(parser, true);
  return shape(path, handler.description || "", parser, inherited, words);
}

function flagsOf(inner: Inner, words: readonly Word[]): FlagShape[] {
  const { key, alias, boolean, choices } = inner.getOptions();
  const descriptions = inner.getInternalMethods().getUsageInstance().getDescriptions();
  const others = new Set([...Object.values(alias).flat(), ...words.flatMap(({ cmd }) => cmd)]);
  return Object.keys(key)
    .filter((name) => !others.has(name))
    .map((name) => ({
      names: [name, ...(alias[name] ?? [])].map((spelled) =>
        spelled.length === 1 ? `-${spelled}` : `--${spelled}`,
      ),
      describe: (descriptions[name] ?? "").replace("__yargsString__:", ""),
      value: boolean.includes(name) ? undefined : kindOfFlag(name, choices[name]),
    }));
}

function merge(inherited: readonly FlagShape[], own: readonly FlagShape[]): FlagShape[] {
  const names = new Set(own.map(({ names }) => names[0]));
  return [...inherited.filter(({ names: [name] }) => !names.has(name)), ...own];
}

/** All commands of a tree, robur itself first. */
export function allCommands(root: CommandShape): CommandShape[] {
  return [root, ...root.commands.flatMap(allCommands)];
}
