import { beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { lacks, needsCommands } from "../needs.ts";
import { calledAs, environment, run, temporaryDirectory } from "../robur.ts";

const directory = temporaryDirectory();
const scripts: Record<string, string> = {};

beforeAll(async () => {
  mkdirSync(join(directory, "bin"));
  // What the server would say; everything else is the real one.
  const real = await calledAs("robur");
  const names =
    "case $2 in volumes) printf 'data\\nalice:web\\nalice:db\\n' ;; unikernels) printf 'hello\\nfamily:web\\n' ;; esac";
  writeFileSync(
    join(directory, "bin/robur"),
    `#!/bin/sh\nif [ "$1" = __names ]; then ${names}; exit; fi\nexec ${real} "$@"\n`,
    {
      mode: 0o755,
    },
  );
  writeFileSync(join(directory, "image.hvt"), "");
  writeFileSync(join(directory, "it's.db"), "");
  for (const shell of ["bash", "zsh", "fish"]) {
    const { code, stdout, stderr } = await run(["completion", shell]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    scripts[shell] = join(directory, `completion.${shell}`);
    writeFileSync(scripts[shell]!, stdout);
  }
});

async function shell(command: string[], input = ""): Promise<{ out: string; said: string; status: number }> {
  const child = Bun.spawn(command, {
    cwd: directory,
    env: { ...environment(), PATH: `${join(directory, "bin")}:${process.env["PATH"]}` },
    stdin: Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, said, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { out, said, status };
}

/** What is typed, and what is offered. In zsh what one line becomes where one thing is offered. */
const CASES: readonly [typed: string, offered: readonly string[]][] = [
  ["robur upd", ["update-config"]],
  ["robur volume sn", ["snapshot"]],
  ["robur volume rm ", ["data", "alice:web", "alice:db"]],
  ["robur volume rm data alice:w", ["alice:web"]],
  ["robur volume create ", []],
  ["robur volume ls --format ", ["table", "json", "jsonl"]],
  ["robur volume --data-dir /tmp ls --form", ["--format"]],
  ["robur start fam", ["family:web"]],
  ["robur stop hello fam", ["family:web"]],
  ["robur rename hello ", []],
  ["robur backup verify it", ["it's.db"]],
  ["robur backup schedule @d", ["@daily"]],
  ["robur completion f", ["fish"]],
  ["robur tender h", ["hvt"]],
  ["robur run im", ["image.hvt"]],
  ["robur ps --no-t", ["--no-trunc"]],
];

describe.skipIf(lacks(needsCommands("bash")))("bash", () => {
  test("reads the script without a complaint", async () => {
    expect(await shell(["bash", "-n", scripts["bash"]!])).toEqual({ out: "", said: "", status: 0 });
  });

  test.each(CASES)("%j", async (typed, offered) => {
    // As bash calls it: a colon ends a word, so what is in front of it is left out of what is offered.
    const script = `source ${scripts["bash"]!}; COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
      COMP_LINE=$1 COMP_POINT=\${#1}; _robur 2>&1; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { out } = await shell(["bash", "-c", script, "bash", typed]);
    const before = typed.slice(typed.lastIndexOf(" ") + 1).match(/^.*:/)?.[0] ?? "";
    expect(out.split("\n").filter((line) => line !== "" && !line.includes("compopt"))).toEqual(
      offered.map((word) => word.slice(before.length)),
    );
  });
});

describe.skipIf(lacks(needsCommands("fish")))("fish", () => {
  test("reads the script without a complaint", async () => {
    expect(await shell(["fish", "-n", scripts["fish"]!])).toEqual({ out: "", said: "", status: 0 });
  });

  test.each(CASES)("%j", async (typed, offered) => {
    const { out, said } = await shell([
      "fish",
      "--no-config",
      "-c",
      `source ${scripts["fish"]!}; complete -C $argv[1]`,
      typed,
    ]);
    const words = out.split("\n").map((line) => line.split("\t")[0]!);
    expect(said).toBe("");
    expect(words.filter((word) => word !== "").sort()).toEqual([...offered].sort());
  });
});

describe.skipIf(lacks(needsCommands("zsh")))("zsh", () => {
  test("reads the script without a complaint", async () => {
    expect(await shell(["zsh", "-n", scripts["zsh"]!])).toEqual({ out: "", said: "", status: 0 });
  });

  // zsh only completes on a terminal: it is typed into one, and the line is printed as it has become.
  test.each(CASES.filter(([, offered]) => offered.length === 1))("%j", async (typed, [offered]) => {
    const script = `
      zmodload zsh/zpty
      zpty z 'PS1=; zsh -f -i'
      zpty -w z 'PS1=; autoload -U compinit; compinit -u -D; source ${scripts["zsh"]!}'
      zpty -w z 'show() { print -r -- "<<<\${(Q)LBUFFER}>>>"; zle kill-buffer }; zle -N show; bindkey "^I" complete-word; bindkey "^G" show; print -n REA; print DY'
      zpty -r -m z seen '*READY*'
      zpty -w -n z "$1"$'\\t\\a'
      zpty -r -m z seen '*<<<*>>>*'
      print -r -- "$seen"`;
    const { out } = await shell(["zsh", "-f", "-c", script, "zsh", typed]);
    const line = /<<<([^]*?)>>>/.exec(out)?.[1]?.trim();
    expect(line).toBe(typed.slice(0, typed.lastIndexOf(" ") + 1) + offered!);
  });
});

test("every command is there, and no hidden one", async () => {
  const help = (await run(["--help"])).stdout;
  const commands = [...help.matchAll(/^ {2}([a-z][a-z-]+) {2}/gm)].map(([, name]) => name!);
  expect(commands.length).toBeGreaterThan(20);
  const text = await Bun.file(scripts["bash"]!).text();
  for (const command of commands) expect(text).toContain(`  '${command}')\n`);
  expect(text).not.toContain("'__");
});

test("a shell that isn't known is a mistake of the user's", async () => {
  expect(await run(["completion", "tcsh"])).toMatchObject({ code: 2 });
  expect(await run(["completion"])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("robur completion bash") as string,
  });
});
