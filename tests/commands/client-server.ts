/** A real server, compiled, on a directory and a socket of its own, for the tests of the client. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  type Ended,
  type RunOptions,
  environment,
  roburExecutable,
  run,
  temporaryDirectory,
  until,
} from "../robur.ts";

export interface TestServerOptions {
  /** A command that goes before it: setpriv, ip netns exec … It must become the server, not its parent. */
  readonly under?: readonly string[];
  /** Beside the usual variables. */
  readonly env?: Readonly<Record<string, string>>;
  /** Default: a new one. */
  readonly data?: string;
  /** Its unikernels go on running when it is stopped, and at the end: whoever wants that removes them. */
  readonly leavesUnikernels?: boolean;
}

export class TestServer implements AsyncDisposable {
  readonly directory = temporaryDirectory();
  readonly #options: TestServerOptions;
  readonly data: string;
  readonly socket = join(this.directory, "robur.sock");
  /** http://127.0.0.1:PORT */
  address = "";
  #child: Bun.Subprocess<"ignore", "ignore", "pipe"> | undefined;

  /** What it has said on standard error since its last start. */
  said = "";

  constructor(options: TestServerOptions = {}) {
    this.#options = options;
    this.data = options.data ?? join(this.directory, "data");
  }

  static async start(options: TestServerOptions = {}): Promise<TestServer> {
    const server = new TestServer(options);
    await server.up();
    return server;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get #isUp(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Starts it unless it runs; again, after `down` or `kill`, on the same data. */
  async up(): Promise<void> {
    if (this.#isUp) return;
    const args = ["serve", "--data-dir", this.data, "--socket", this.socket, "--listen", "127.0.0.1:0"];
    const { under = [], env, leavesUnikernels = false } = this.#options;
    if (!leavesUnikernels) args.push("--stop-unikernels");
    const child = Bun.spawn([...under, await roburExecutable(), ...args], {
      env: environment(env),
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#child = child;
    this.said = "";
    void (async () => {
      for await (const chunk of child.stderr) this.said += new TextDecoder().decode(chunk);
    })();
    this.address = await until("the server's address", () => {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`the server ended: ${this.said}`);
      return /address=(http:\S+)/.exec(this.said)?.[1];
    });
    await until("the socket", () => existsSync(this.socket));
  }

  /** Ends it, and its unikernels with it. */
  async down(): Promise<void> {
    this.#child?.kill("SIGTERM");
    await this.#child?.exited;
  }

  /** Its unikernels live on. */
  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#child?.exited;
  }

  get env(): Record<string, string | undefined> {
    return {
      ROBUR_SOCKET: this.socket,
      ROBUR_DATA_DIR: this.data,
      ROBUR_HOST: undefined,
      ROBUR_TOKEN: undefined,
    };
  }

  /** Runs `robur` as somebody at this server's machine. */
  robur(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    return run(args, { ...options, env: { ...this.env, ...options.env } });
  }

  /** The same, where it has to go well; its standard output. */
  async ok(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.robur(args);
    if (code !== 0) throw new Error(`robur ${args.join(" ")} ended with ${code}: ${stderr}`);
    return stdout;
  }

  /** Ended, in order: whatever was killed comes back first. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.up();
    await this.down();
  }
}
