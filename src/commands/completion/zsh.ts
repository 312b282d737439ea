/** Completion for zsh. */
import { type CommandShape, allCommands } from "./command-tree.ts";
import type { Kind } from "./kinds.ts";

/** The script for `robur completion zsh`. Pure. */
export function zshScript(root: CommandShape): string {
  const cases = allCommands(root).map(({ path, commands, flags, values, isRepeated }) => {
    const valued = flags.filter(({ value }) => value !== undefined);
    const list = (items: readonly string[]) => items.map((item) => `      ${item}\n`).join("");
    return [
      `  (${quote(path.join(" "))})`,
      `    commands=(\n${list(commands.map(({ path, describe }) => described(path.at(-1)!, describe)))}    )`,
      `    flags=(\n${list(flags.flatMap(({ names, describe }) => names.map((name) => described(name, describe))))}    )`,
      `    behind=(\n${list(valued.flatMap(({ names, value }) => names.map((name) => `${name} ${quote(code(value!))}`)))}    )`,
      `    values=(${values.map((value) => quote(code(value))).join(" ")})`,
      `    repeated=${isRepeated ? 1 : 0}`,
      "    ;;",
    ].join("\n");
  });
  return `${HEADER}
# What a command has: commands, flags, what stands behind flags, and what stands behind it.
_robur_describe() {
  commands=() flags=() behind=() values=() repeated=0
  case $1 in
${cases.join("\n")}
  esac
}
${BODY}`;
}

function code(kind: Kind): string {
  if (kind.kind === "anything") return "-";
  return kind.kind === "words" ? kind.words.join("|") : `%${kind.kind}`;
}

/** `name:description`, as _describe wants it. */
function described(name: string, describe: string): string {
  return quote(`${name.replaceAll(":", "\\:")}:${describe}`);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

const HEADER = `#compdef robur
# Completion of robur for zsh, made by: robur completion zsh
# To have it: put it into a directory of $fpath as _robur, or: source <(robur completion zsh)
`;

const BODY = `
_robur_values() {
  local -a found
  case $1 in
  (%file) _files ;;
  (%directory) _files -/ ;;
  (%*)
    found=(\${(f)"$(\${(Q)words[1]} __names \${1:1} 2>/dev/null)"})
    compadd -a found
    ;;
  (-|'') ;;
  (*) found=(\${(s:|:)1}); compadd -a found ;;
  esac
}

_robur() {
  local -a commands flags values
  local -A behind
  local repeated=0 at='' place=1 i word
  _robur_describe ''
  for ((i = 2; i < CURRENT; i++)); do
    word=\${words[i]}
    [[ $word == -- ]] && return
    if [[ $word == -* ]]; then
      # A flag whose value is the next word.
      if (( \${+behind[$word]} )); then
        if (( i == CURRENT - 1 )); then
          _robur_values \${behind[$word]}
          return
        fi
        ((i++))
      fi
    elif (( place == 1 )) && [[ -n \${(M)commands:#\${word}:*} ]]; then
      at=\${at:+$at }$word
      _robur_describe $at
    else
      ((place++))
    fi
  done
  if [[ \${words[CURRENT]} == --*=* ]]; then
    local flag=\${words[CURRENT]%%=*}
    compset -P '*='
    (( \${+behind[$flag]} )) && _robur_values \${behind[$flag]}
    return
  fi
  if [[ \${words[CURRENT]} == -* ]]; then
    _describe -o flag flags
    return
  fi
  (( place == 1 && \${#commands} > 0 )) && _describe command commands
  (( repeated && place > \${#values} )) && place=\${#values}
  _robur_values \${values[place]:-}
}

if [[ \${funcstack[1]} == _robur ]]; then _robur "$@"; else compdef _robur robur; fi
`;
