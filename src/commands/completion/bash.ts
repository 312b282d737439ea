/** Completion for bash 4 and newer. Nothing of bash-completion is needed. */
import { type CommandShape, allCommands } from "./command-tree.ts";
import type { Kind } from "./kinds.ts";

/** The script for `robur completion bash`. Pure. */
export function bashScript(root: CommandShape): string {
  const cases = allCommands(root).map((command) => {
    const { path, commands, flags, values, isRepeated } = command;
    const valued = flags.filter(({ value }) => value !== undefined);
    const behind = valued.flatMap(({ names, value }) => names.map((name) => `${name}=${code(value!)}`));
    return [
      `  ${quote(path.join(" "))})`,
      `    commands=${quote(commands.map(({ path }) => path.at(-1)!).join(" "))}`,
      `    flags=${quote(flags.flatMap(({ names }) => names).join(" "))}`,
      `    behind=${quote(` ${behind.join(" ")} `)}`,
      `    values=${quote([...values.map(code), ...(isRepeated ? ["+"] : [])].join(" "))}`,
      "    ;;",
    ].join("\n");
  });
  return `${HEADER}
# What a command has: commands, flags, what stands behind flags, and what stands behind it.
_robur_describe() {
  commands='' flags='' behind=' ' values=''
  case $1 in
${cases.join("\n")}
  esac
}
${BODY}`;
}

/** A kind in one word: `%unikernels`, `%file`, `a|b`, `-`. */
function code(kind: Kind): string {
  if (kind.kind === "anything") return "-";
  return kind.kind === "words" ? kind.words.join("|") : `%${kind.kind}`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

const HEADER = `# Completion of robur for bash, made by: robur completion bash
# To have it: source <(robur completion bash), or put it into
# ~/.local/share/bash-completion/completions/robur
`;

const BODY = `
_robur_values() {
  local IFS=$'\\n'
  case $1 in
  %file) compopt -o filenames; COMPREPLY=($(compgen -f -- "$2")) ;;
  %directory) compopt -o filenames; COMPREPLY=($(compgen -d -- "$2")) ;;
  %*) COMPREPLY=($(compgen -W "$("\${words[0]/#\\~/$HOME}" __names "\${1:1}" 2>/dev/null)" -- "$2")) ;;
  - | '') ;;
  *) COMPREPLY=($(compgen -W "\${1//|/$'\\n'}" -- "$2")) ;;
  esac
}

_robur() {
  local commands flags behind values
  # The line as it was typed: bash itself cuts words at = and :, which names have in them.
  local line=\${COMP_LINE:0:COMP_POINT} words current path='' place=0 i word kind
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  current=\${words[-1]}
  COMPREPLY=()
  _robur_describe ''
  for ((i = 1; i < \${#words[@]} - 1; i++)); do
    word=\${words[i]}
    if [[ $word == -- ]]; then return; fi
    if [[ $word == -* ]]; then
      # A flag whose value is the next word.
      [[ $behind == *" $word="* ]] && ((i++))
    elif [[ $place == 0 && " $commands " == *" $word "* ]]; then
      path=\${path:+$path }$word
      _robur_describe "$path"
    else
      ((place++))
    fi
  done
  if ((i == \${#words[@]})); then
    # The value of the flag before.
    kind=\${behind##* "\${words[i - 2]}"=}
    _robur_values "\${kind%% *}" "$current"
  elif [[ $current == --*=* ]]; then
    kind=\${behind##* "\${current%%=*}"=}
    [[ $kind == "$behind" ]] || _robur_values "\${kind%% *}" "\${current#*=}"
  elif [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$current"))
  else
    local kinds=($values) count
    if [[ $values == *+ ]]; then
      # The last one may be repeated.
      count=$((\${#kinds[@]} - 1))
      unset "kinds[count]"
      ((place >= count)) && ((place = count - 1))
    fi
    _robur_values "\${kinds[place]:-}" "$current"
    ((place == 0)) && COMPREPLY+=($(compgen -W "$commands" -- "$current"))
  fi
  # bash puts what is found behind the last colon.
  if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
    local before=\${current%"\${current##*:}"}
    [[ $current == --*=* ]] && before=\${before#*=}
    COMPREPLY=("\${COMPREPLY[@]#"$before"}")
  fi
}

complete -F _robur robur
`;
