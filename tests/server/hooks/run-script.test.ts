import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runScript } from "../../../src/server/hooks/run-script.ts";
import { temporaryDirectory, until } from "../../robur.ts";

function world() {
  const directory = temporaryDirectory();
  const said: string[] = [];
  const run = (text: string, more: Partial<Parameters<typeof runScript>[0]> = {}) => {
    const path = join(directory, "hook.sh");
    writeFileSync(path, text);
    chmodSync(path, 0o755);
    return runScript({
      ...{ argv: [path, "--a=b c", "$(touch x)"], cwd: directory, env: { PATH: "/usr/bin:/bin" } },
      limitMs: 30_000,
      say: (line, from) => said.push(`${from}: ${line}`),
      ...more,
    });
  };
  /** Whether the process whose id a script left in a file is gone, or is only waited for yet. */
  const isGone = (name: string) => {
    const stat = `/proc/${readFileSync(join(directory, name), "utf8").trim()}/stat`;
    return !existsSync(stat) || readFileSync(stat, "utf8").includes(") Z ");
  };
  return { directory, said, run, isGone };
}

describe("a hook's script", () => {
  test("gets its arguments as they are, and is one of the shell where it doesn't say what it is for", async () => {
    for (const first of ["#!/bin/sh\n", ""]) {
      const { directory, said, run } = world();
      expect(await run(`${first}echo "$1|$2"; pwd; cat >&2`, { stdin: "to be read" })).toEqual({ ok: true });
      expect(said.toSorted()).toEqual([
        "stderr: to be read",
        "stdout: --a=b c|$(touch x)",
        `stdout: ${directory}`,
      ]);
      expect(existsSync(join(directory, "x"))).toBe(false);
    }
  });

  test("that fails, or that nothing can execute, says how it ended", async () => {
    const { said, run } = world();
    expect(await run("#!/bin/sh\nexit 3\n")).toEqual({ ok: false, why: "it ended with 3" });
    expect(await run("#!/bin/sh\nkill -TERM $$\n")).toEqual({ ok: false, why: "it was ended by SIGTERM" });
    expect(await run("#!/no/such/interpreter\n")).toEqual({ ok: false, why: "it ended with 127" });
    expect(said.join("\n")).toContain("not found");
  });

  test("is ended when its time is over, with all that it started", async () => {
    const { run, isGone } = world();
    const end = await run("#!/bin/sh\necho $$ > own\nsleep 1000 & echo $! > started\nwait\n", {
      limitMs: 300,
    });
    expect(end).toEqual({ ok: false, why: "it was ended after 0.3 seconds" });
    expect(isGone("own")).toBe(true);
    await until("what it started is gone", () => isGone("started"));
  });

  test("isn't waited for longer than it runs, though something of it goes on and holds its output", async () => {
    const { directory, said, run, isGone } = world();
    const end = await run("#!/bin/sh\nsleep 1000 &\necho $! > started\necho all is said\n");
    expect(end).toEqual({ ok: true });
    expect(said).toEqual(["stdout: all is said"]);
    // It was left in the background on purpose.
    expect(isGone("started")).toBe(false);
    process.kill(Number(readFileSync(join(directory, "started"), "utf8")), "SIGKILL");
  });

  test("ends with the server", async () => {
    const { directory, run } = world();
    const stopping = new AbortController();
    const end = run("#!/bin/sh\ntouch begun\nsleep 1000\n", { signal: stopping.signal });
    await until("it has begun", () => existsSync(join(directory, "begun")));
    stopping.abort();
    expect(await end).toMatchObject({ ok: false, why: "it was ended by SIGKILL" });
    expect(await run("#!/bin/sh\ntouch again\n", { signal: stopping.signal })).toMatchObject({ ok: false });
    expect(existsSync(join(directory, "again"))).toBe(false);
  });

  test("may write as much as it likes: the first lines are told", async () => {
    const { said, run } = world();
    expect(await run("#!/bin/sh\nseq 100000\nhead -c 10000000 /dev/zero\n")).toEqual({ ok: true });
    expect(said).toHaveLength(201);
    expect(said.slice(0, 2)).toEqual(["stdout: 1", "stdout: 2"]);
    expect(said.at(-1)).toContain("left out");
  });
});
