/**
 * A network of a test's own: a namespace with nothing in it but what the test adds, gone with the process that holds
 * it. Needs root, and what `needsNetwork` names.
 */
import { existsSync, readlinkSync } from "node:fs";
import { until } from "./robur.ts";

export interface TapOptions {
  /** The host's own address on it, such as 10.0.0.1/24. */
  address?: string;
  mtu?: number;
  /** Leaves the interface down. */
  down?: boolean;
}

export class Network implements AsyncDisposable {
  readonly #holder: Bun.Subprocess;

  private constructor(holder: Bun.Subprocess) {
    this.#holder = holder;
  }

  static async create(): Promise<Network> {
    // It ends with this process, however that ends.
    const command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sleep", "infinity"];
    const holder = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "inherit" });
    const ours = readlinkSync("/proc/self/ns/net");
    await until("a network namespace", () => {
      const path = `/proc/${holder.pid}/ns/net`;
      return existsSync(path) && readlinkSync(path) !== ours;
    });
    const network = new Network(holder);
    network.must("ip", "link", "set", "lo", "up");
    // Router solicitations and the like would come at moments of their own.
    network.must("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6 2>/dev/null || :");
    return network;
  }

  /** Put before a command, runs it in this network. */
  get inside(): string[] {
    return ["nsenter", `--net=/proc/${this.#holder.pid}/ns/net`];
  }

  /** Runs a command here; throws unless it succeeds. */
  must(...command: string[]): string {
    const { exitCode, stdout, stderr } = Bun.spawnSync([...this.inside, ...command]);
    if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr.toString()}`);
    return stdout.toString();
  }

  addTap(name: string, { address, mtu, down }: TapOptions = {}): void {
    this.must("ip", "tuntap", "add", name, "mode", "tap");
    if (mtu !== undefined) this.must("ip", "link", "set", name, "mtu", String(mtu));
    if (address !== undefined) this.must("ip", "address", "add", address, "dev", name);
    if (down !== true) this.must("ip", "link", "set", name, "up");
  }

  /** Floods `address` with pings and answers how many replies came. Throws for a damaged one. */
  async ping(address: string, count: number, ...options: string[]): Promise<number> {
    const command = ["ping", "-f", "-q", "-c", String(count), ...options, address];
    const child = Bun.spawn([...this.inside, ...command], { stdout: "pipe", stderr: "pipe" });
    const output = await child.stdout.text();
    await child.exited;
    if (output.includes("wrong data byte")) throw new Error(`damaged replies:\n${output}`);
    return Number(/(\d+) received/.exec(output)?.[1] ?? 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#holder.kill("SIGKILL");
    await this.#holder.exited;
  }
}
