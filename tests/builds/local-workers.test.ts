/** The server's own workers: where they can't work, whoever waits for them is told why. */
import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  isProcess,
  localWorkerName,
  localWorkerPid,
  noteTrouble,
  readTrouble,
} from "../../src/builds/local-workers.ts";
import { NOBODY, lacks, needsCommands, needsRoot } from "../needs.ts";
import { run, start, temporaryDirectory, until } from "../robur.ts";

test("a worker's name says which process it is", () => {
  expect(localWorkerPid(localWorkerName(2, process.pid))).toBe(process.pid);
  for (const name of ["local-1", "local-1-", "local-1-x", "my-local-1-2", "local-1-2-3", "far"]) {
    expect([name, localWorkerPid(name)]).toEqual([name, undefined]);
  }
  expect([isProcess(process.pid), isProcess(1), isProcess(999_999_999)]).toEqual([true, true, false]);
});

test("trouble is there until it is mended", () => {
  const directory = temporaryDirectory();
  expect(readTrouble(directory)).toBeUndefined();
  noteTrouble(directory, 2, "no bwrap");
  expect(readTrouble(directory)).toBe("no bwrap");
  noteTrouble(directory, 2, undefined);
  noteTrouble(directory, 2, undefined);
  expect(readTrouble(directory)).toBeUndefined();
});

const servers: Bun.Subprocess[] = [];
afterAll(() => {
  for (const server of servers) server.kill("SIGKILL");
});

describe.skipIf(lacks(needsRoot(), needsCommands("setpriv")))("a user who can't make sandboxes", () => {
  test("sees why the job waits, on the queue and where it is watched, and it is built without them", async () => {
    const directory = temporaryDirectory();
    chmodSync(directory, 0o755);
    const data = join(directory, "data");
    expect((await run(["serve", "--help"])).code).toBe(0);
    const under = ["setpriv", "--reuid", `${NOBODY}`, "--regid", `${NOBODY}`, "--clear-groups"];
    await Bun.spawn(["install", "-d", "-m", "700", data]).exited;
    chownSync(data, NOBODY, NOBODY);
    const socket = join(data, "s.sock");
    // Nothing of the program needs to be written anywhere before a job has its terminal.
    const env = { ROBUR_HOST: `unix://${socket}`, HOME: data, TMPDIR: "/nonexistent" };
    const serve = async (...more: string[]) => {
      const args = ["serve", "--data-dir", data, "--socket", socket, "--listen", "127.0.0.1:0", ...more];
      const server = await start([...args, "--builder-listen", "off", "--worker-platform", "here"], {
        under,
        env,
      });
      servers.push(server);
      await until("it answers", async () => (await run(["queue"], { env })).code === 0);
      return server;
    };
    const script = join(directory, "x.sh");
    writeFileSync(script, "echo built\n");
    let server = await serve();
    await run(["job", "add", "x", "--script", script, "--platform", "here", "--never", "--start"], { env });
    const queue = await until("the reason is known", async () => {
      const ended = await run(["queue"], { env });
      return ended.stderr.includes("nobody builds on the server's machine: ") && ended;
    });
    expect(queue.stdout).toMatch(/^x:1 +here +no worker /m);
    expect((await run(["build", "logs", "x"], { env })).stderr).toContain(
      "x:1 waits: nobody builds for here (",
    );
    server.kill("SIGTERM");
    await server.exited;
    server = await serve("--unsafe-no-sandbox");
    const watch = await run(["build", "watch", "x"], { env });
    expect([watch.code, watch.stdout]).toEqual([0, "built\n"]);
    expect((await run(["queue"], { env })).stderr).toBe("");
    server.kill("SIGTERM");
    await server.exited;
  }, 90_000);
});
