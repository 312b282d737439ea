/** A server of the compiled executable with workers, which run jobs without a sandbox or in one, and ways to kill both. */
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readSmallFile } from "../../src/linux/libc.ts";
import { type Ended, command, environment, run, start, temporaryDirectory, until } from "../robur.ts";

export interface RunJson {
  readonly name: string;
  readonly state: "queued" | "running" | "finished" | "aborted";
  readonly outcome: string | null;
  readonly uuid: string;
  readonly attempts: number;
  readonly lines: number;
}

export class BuildServer implements AsyncDisposable {
  readonly directory = temporaryDirectory();
  readonly #isSandboxed: boolean;
  readonly #socket = join(this.directory, "s.sock");
  #process: Awaited<ReturnType<typeof start>> | undefined;
  port = 0;

  /** `isSandboxed`: the platform `here` has a root file system. */
  constructor({ isSandboxed = false }: { readonly isSandboxed?: boolean } = {}) {
    this.#isSandboxed = isSandboxed;
  }

  get host(): string {
    return `unix://${this.#socket}`;
  }

  /** Starts it, or starts it again. */
  async up(...more: readonly string[]): Promise<void> {
    const args = [
      ...["serve", "--data-dir", this.directory, "--socket", this.#socket, "--listen", "127.0.0.1:0"],
      ...["--worker-platform", "here", "--lost-after", "10"],
      ...(this.#isSandboxed ? ["--keep-failed", "0", "--builder-listen", "off"] : ["--unsafe-no-sandbox"]),
      ...more,
    ];
    this.#process = await start(args);
    await until("the server answers", async () => {
      if (this.#process?.exitCode !== null) {
        throw new Error(`the server ended: ${await this.#process?.stderr.text()}`);
      }
      return (await this.ask("/readyz").catch(() => undefined))?.ok;
    });
  }

  ask(path: string): Promise<Response> {
    return fetch(`http://localhost${path}`, { unix: this.#socket } as RequestInit);
  }

  async json<T>(path: string): Promise<T> {
    const response = await this.ask(path);
    if (!response.ok) throw new Error(`${path}: ${await response.text()}`);
    return (await response.json()) as T;
  }

  robur(...args: readonly string[]): Promise<Ended> {
    return run(args, { env: { ROBUR_HOST: this.host } });
  }

  /** Defines a job that only starts by hand. */
  async job(name: string, script: string, ...more: readonly string[]): Promise<void> {
    const file = join(this.directory, `${name}.sh`);
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    const { code, stderr } = await this.robur(
      "job",
      "add",
      name,
      "--script",
      file,
      "--platform",
      "here",
      "--never",
      ...more,
    );
    if (code !== 0) throw new Error(stderr);
  }

  async startJob(name: string): Promise<string> {
    const { stdout, stderr } = await this.robur("build", "start", name);
    if (stdout === "") throw new Error(stderr);
    return stdout.trim();
  }

  run(name: string): Promise<RunJson> {
    return this.json(`/api/v1/runs/${encodeURIComponent(name)}`);
  }

  untilRun(name: string, what: string, is: (run: RunJson) => boolean): Promise<RunJson> {
    return until(`${name} ${what}`, async () => {
      const run = await this.run(name);
      return is(run) && run;
    });
  }

  untilEnd(name: string): Promise<RunJson> {
    return this.untilRun(name, "has ended", ({ state }) => state === "finished" || state === "aborted");
  }

  async console(uuid: string, job: string): Promise<string[]> {
    const text = await (await this.ask(`/job/${job}/build/${uuid}/console`)).text();
    return text
      .split("\n")
      .slice(0, -1)
      .map((line) => line.replace(/^[\d.]+s:/, ""));
  }

  /** Where it listens. Asked before there is an administrator. */
  async origin(): Promise<string> {
    const { stdout } = await run(["setup-url", "--data-dir", this.directory]);
    const found = /http:\/\/127\.0\.0\.1:\d+/.exec(stdout);
    if (found !== null) return found[0];
    throw new Error(`no address in ${stdout}`);
  }

  async addAdministrator(): Promise<void> {
    const args = ["user", "add", "root", "--admin", "--password-stdin", "--data-dir", this.directory];
    const child = Bun.spawn(await command(args), {
      stdin: new TextEncoder().encode("correct horse battery\n"),
      ...{ env: environment(), stdout: "ignore" as const },
    });
    if ((await child.exited) !== 0) throw new Error("no administrator was added");
  }

  /** A token of the administrator's. */
  async token(name: string, scope: string): Promise<string> {
    const data = ["--data-dir", this.directory];
    const { stdout } = await this.robur("token", "create", "root", name, "--scope", scope, ...data);
    return /robur_\S+/.exec(stdout)?.[0] ?? "";
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  async killServer(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#process?.exited;
  }

  async stop(): Promise<void> {
    this.#process?.kill("SIGTERM");
    await this.#process?.exited;
  }

  /** Processes whose command line or environment names this server's directory, but the server. */
  processes(part: string): number[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => pid !== this.#process?.pid && pid !== process.pid)
      .filter((pid) => {
        const text = `${readSmallFile(`/proc/${pid}/cmdline`) ?? ""}\0${readSmallFile(`/proc/${pid}/environ`) ?? ""}`;
        return text.includes(this.directory) && text.includes(part);
      });
  }

  get workers(): number[] {
    return this.processes("worker\0--slot");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process?.exitCode === null) await this.stop();
    for (const pid of [...this.workers, ...this.processes("ROBUR_UNSAFE_JOB")]) {
      try {
        process.kill(pid, "SIGKILL");
      } catch (error) {
        if ((error as { code?: string }).code !== "ESRCH") throw error;
      }
    }
  }
}
