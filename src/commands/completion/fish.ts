/** Completion for fish 3 and newer. */
import { type CommandShape, allCommands } from "./command-tree.ts";
import type { Kind } from "./kinds.ts";

/** The script for `robur completion fish`. Pure. */
export function fishScript(root: CommandShape): string {
  const all = allCommands(root);
  const parents = all.filter(({ commands }) => commands.length > 0);
  const steps = parents.map(({ path, commands }) => {
    const names = commands.map((command) => command.path.at(-1)!).join(" ");
    return `        case ${quote(path.join(" "))}\n            set commands ${names}`;
  });
  const flags = all.map(({ path, flags }) => {
    const valued = flags.filter(({ value }) => value !== undefined).flatMap(({ names }) => names);
    return `        case ${quote(path.join(" "))}\n            set valued ${valued.join(" ")}`;
  });
  return `${HEADER}
# The command that is being typed, and how many words stand behind it: one a line.
function __robur_at
    set -l path ''
    set -l place 0
    set -l commands
    set -l valued
    set -l skip 0
    __robur_commands ''
    __robur_valued ''
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
        else if test "$word" = --
            echo --
            return
        else if string match -q -- '-*' $word
            contains -- $word $valued; and set skip 1
        else if test $place = 0; and contains -- $word $commands
            set path (string trim "$path $word")
            __robur_commands $path
            __robur_valued $path
        else
            set place (math $place + 1)
        end
    end
    echo $path
    echo $place
end

function __robur_commands --no-scope-shadowing
    set commands
    switch $argv[1]
${steps.join("\n")}
    end
end

function __robur_valued --no-scope-shadowing
    set valued
    switch $argv[1]
${flags.join("\n")}
    end
end

# Whether the command is this one; with more arguments, and the word's number is one of them (9+: or later).
function __robur_is
    set -l at (__robur_at)
    test "$at[1]" = "$argv[1]"; or return 1
    test (count $argv) = 1; and return 0
    contains -- $at[2] $argv[2..-1]; and return 0
    set -l last (string match -r -g '^(\\d+)\\+$' -- $argv[-1])
    test -n "$last"; and test $at[2] -ge $last
end

complete -c robur -f
${all.flatMap(lines).join("\n")}
`;
}

const HEADER = `# Completion of robur for fish, made by: robur completion fish
# To have it: robur completion fish > ~/.config/fish/completions/robur.fish
`;

function lines({ path, commands, flags, values, isRepeated }: CommandShape): string[] {
  const at = quote(path.join(" "));
  const here = (condition: string) => `complete -c robur -n ${quote(`__robur_is ${at}${condition}`)}`;
  return [
    ...commands.map(({ path, describe }) => `${here(" 0")} -a ${path.at(-1)!} -d ${quote(describe)}`),
    ...values.flatMap((kind, i) => {
      const isLast = isRepeated && i === values.length - 1;
      const what = argument(kind);
      return what === undefined ? [] : [`${here(` ${i}${isLast ? ` ${i}+` : ""}`)} ${what}`];
    }),
    ...flags.map(({ names, describe, value }) => {
      const spelled = names.map((name) =>
        name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
      );
      const what = value === undefined ? "" : ` -r ${argument(value) ?? "-f"}`;
      return `${here("")} ${spelled.join(" ")}${what} -d ${quote(describe)}`;
    }),
  ];
}

function argument(kind: Kind): string | undefined {
  switch (kind.kind) {
    case "anything":
      return undefined;
    case "file":
      return "-F";
    case "directory":
      return "-f -a '(__fish_complete_directories)'";
    case "words":
      return `-f -a ${quote(kind.words.join(" "))}`;
    default:
      return `-f -a ${quote(`(command robur __names ${kind.kind} 2>/dev/null)`)}`;
  }
}

/** In fish's single quotes only the quote and the backslash need one before them. */
function quote(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}
