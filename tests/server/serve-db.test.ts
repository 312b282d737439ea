/** A backup is a database like any other: a server on it has everything, wherever it is. */
import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { command, environment, run, temporaryDirectory, until } from "../robur.ts";

const PASSWORD = "correct horse battery";
const children: Bun.Subprocess[] = [];
afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(children.map((child) => child.exited));
});

test("serve --db takes a backup as it is", async () => {
  const here = temporaryDirectory();
  const there = temporaryDirectory();
  const backup = join(there, "out.db");
  // Where a mistaken directory would make an administrator of nothing.
  const { stderr } = await run(["user", "ls", "--data-dir", join(there, "other")]);
  expect(stderr).toStartWith(`robur: made a new database, ${join(there, "other/robur.db")}`);
  const adding = Bun.spawn(
    await command(["user", "add", "anna", "--admin", "--password-stdin", "--data-dir", here]),
    { stdin: new Blob([`${PASSWORD}\n`]), stdout: "ignore", stderr: "ignore", env: environment({}) },
  );
  expect(await adding.exited).toBe(0);
  expect((await run(["backup", backup, "--data-dir", here])).code).toBe(0);

  const child = Bun.spawn(
    await command([
      ...["serve", "--db", backup, "--data-dir", join(there, "data")],
      ...["--listen", "127.0.0.1:0", "--socket", join(there, "s.sock")],
    ]),
    { stdin: "ignore", stdout: "pipe", stderr: "pipe", env: environment({}) },
  );
  children.push(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    void (async () => {
      for await (const piece of stream) output += new TextDecoder().decode(piece);
    })();
  }
  const base = await until("the server", () => /listening .*address=(\S+)/.exec(output)?.[1]);
  const answer = await fetch(`${base}/api/v1/session`, {
    method: "POST",
    headers: { "content-type": "application/json", origin: base },
    body: JSON.stringify({ user: "anna", password: PASSWORD }),
  });
  expect(answer.status).toBeLessThan(300);
  expect(output).not.toContain("not set up");
});
