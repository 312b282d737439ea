/** The compiled server with an administrator, as a process. */
import { afterAll } from "bun:test";
import type { Subprocess } from "bun";
import { join } from "node:path";
import { command, environment, run, temporaryDirectory, until } from "../../robur.ts";

export const PASSWORD = "correct horse battery";

export interface Served {
  readonly base: string;
  /** `http://root:PASSWORD@host:port` */
  readonly baseWithPassword: string;
  readonly socket: string;
  readonly directory: string;
  /** Kibibytes that the process has in memory. */
  residentKib(): Promise<number>;
  stop(): Promise<void>;
}

const running = new Set<Subprocess>();
afterAll(async () => {
  for (const child of running) child.kill("SIGKILL");
  await Promise.all([...running].map((child) => child.exited));
});

export async function serveBuilds(directory = temporaryDirectory()): Promise<Served> {
  const socket = join(directory, "s.sock");
  const args = [
    "serve",
    "--data-dir",
    directory,
    "--listen",
    "127.0.0.1:0",
    "--socket",
    socket,
    "--builder-listen",
    "off",
  ];
  const child = Bun.spawn(await command(args), {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: environment({
      NOTIFY_SOCKET: undefined,
      ROBUR_ADMIN_USER: "root",
      ROBUR_ADMIN_PASSWORD_FILE: await passwordFile(directory),
    }),
  });
  running.add(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    void (async () => {
      for await (const piece of stream) output += new TextDecoder().decode(piece);
    })();
  }
  const base = await until("the server to listen", () => {
    if (child.exitCode !== null) throw new Error(`the server ended: ${output}`);
    return /listening .*address=(\S+)/.exec(output)?.[1];
  });
  return {
    ...{ base, socket, directory },
    baseWithPassword: base.replace("://", `://root:${encodeURIComponent(PASSWORD)}@`),
    residentKib: async () => {
      const status = await Bun.file(`/proc/${child.pid}/status`).text();
      return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]);
    },
    stop: async () => {
      child.kill("SIGTERM");
      await child.exited;
      running.delete(child);
    },
  };
}

async function passwordFile(directory: string): Promise<string> {
  const path = join(directory, "password");
  await Bun.write(path, PASSWORD);
  return path;
}

/** Runs a client to its end. */
export async function client(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = Bun.spawn(args, { stdin: "ignore", stdout: "pipe", stderr: "pipe", timeout: 120_000 });
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, stdout, stderr };
}

export { run };
