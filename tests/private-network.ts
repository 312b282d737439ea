/**
 * A network of a test's own: a namespace with nothing in it but what the test adds, gone with the process that holds
 * it. Needs root, and what `needsNetwork` names.
 */
import { readFileSync, readlinkSync } from "node:fs";
import { until } from "./robur.ts";

/** Longer than any flood takes that is answered. */
const PING_LIMIT_S = 50;

export interface TapOptions {
  /** The host's own address on it, such as 10.0.0.1/24. */
  address?: string;
  mtu?: number;
  /** Leaves the interface down. */
  down?: boolean;
}

/** The share of a flood that is answered at least, by a guest that then says that it has answered all it should. */
export const NEARLY_ALL = 0.99;

export class Network implements AsyncDisposable {
  readonly #holder: Bun.Subprocess;

  private constructor(holder: Bun.Subprocess) {
    this.#holder = holder;
  }

  static async create(): Promise<Network> {
    // It ends with this process, however that ends.
    const dying = ["setpriv", "--pdeathsig", "KILL"];
    // With a /sys of its own, where the interfaces are those of the network.
    const unshare = [
      "unshare",
      "--net",
      "--mount",
      "sh",
      "-c",
      `mount -t sysfs sysfs /sys && exec sleep infinity`,
    ];
    const holder = Bun.spawn([...dying, ...unshare], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "inherit",
    });
    const ours = readlinkSync("/proc/self/ns/net");
    await until("a network namespace", () => {
      const path = `/proc/${holder.pid}/ns/net`;
      if (holder.exitCode !== null) throw new Error("unshare --net failed");
      const isReady = readFileSync(`/proc/${holder.pid}/comm`, "utf8") === "sleep\n";
      return isReady && readlinkSync(path) !== ours;
    });
    const network = new Network(holder);
    network.must("ip", "link", "set", "lo", "up");
    // Router solicitations and the like would come at moments of their own.
    network.must("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6 2>/dev/null || :");
    return network;
  }

  get isAlive(): boolean {
    return this.#holder.exitCode === null && this.#holder.signalCode === null;
  }

  /** Put before a command, runs it in this network, and in the root directory. */
  get inside(): string[] {
    const namespaces = `/proc/${this.#holder.pid}/ns`;
    return ["nsenter", `--net=${namespaces}/net`, `--mount=${namespaces}/mnt`];
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

  /**
   * Floods `address` with pings and answers how many replies came. Throws for a damaged one. On a busy machine a
   * reply can come after ping has sent its next request, which a guest that stops after `count` replies counts as
   * one of them: see NEARLY_ALL.
   */
  async ping(address: string, count: number, ...options: string[]): Promise<number> {
    const command = [
      "ping",
      "-f",
      "-q",
      "-c",
      String(count),
      "-w",
      String(PING_LIMIT_S),
      ...options,
      address,
    ];
    const child = Bun.spawn([...this.inside, ...command], { stdout: "pipe", stderr: "pipe" });
    const output = await child.stdout.text();
    await child.exited;
    if (output.includes("wrong data byte")) throw new Error(`damaged replies:\n${output}`);
    return Number(/(\d+) received/.exec(output)?.[1] ?? 0);
  }

  /** Sends one frame, and no other, to everybody on the tap whose broadcast address this is. */
  broadcast(address: string): void {
    Bun.spawnSync([...this.inside, "ping", "-b", "-q", "-c", "1", "-W", "0.01", address]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#holder.kill("SIGKILL");
    await this.#holder.exited;
  }
}
