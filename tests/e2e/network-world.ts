/**
 * A host and a neighbour on its LAN, each a network namespace of the test's own, joined by a pair of interfaces:
 * host eth0 192.0.2.1, LAN eth0 192.0.2.2. What a test does in them changes nothing outside.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { needsCommands, needsNetwork } from "../needs.ts";
import { until } from "../robur.ts";

export const HOST_ADDRESS = "192.0.2.1";
export const LAN_ADDRESS = "192.0.2.2";

const DRIVER = join(import.meta.dir, "networks-driver.ts");

export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

let count = 0;

/** What these tests need of the machine. */
export function needsWorld(...commands: string[]): string | undefined {
  return needsNetwork() ?? needsCommands("ip", "nft", ...commands);
}

export class World {
  readonly host: string;
  readonly lan: string;
  /** A directory for data and sockets, removed with the world. */
  readonly directory = mkdtempSync(join(tmpdir(), "robur-world-"));
  readonly #children = new Set<Bun.Subprocess>();

  private constructor(name: string) {
    this.host = `${name}-host`;
    this.lan = `${name}-lan`;
  }

  /** A new world; whoever made it ends it. */
  static async make(): Promise<World> {
    const world = new World(`rbtest-${process.pid}-${count++}`);
    const { host, lan } = world;
    await ok("ip", "netns", "add", host);
    await ok("ip", "netns", "add", lan);
    await ok("ip", "-n", host, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", lan);
    for (const [namespace, address] of [
      [host, HOST_ADDRESS],
      [lan, LAN_ADDRESS],
    ] as const) {
      await ok("ip", "-n", namespace, "link", "set", "lo", "up");
      await ok("ip", "-n", namespace, "link", "set", "eth0", "addrgenmode", "none", "up");
      await ok("ip", "-n", namespace, "address", "add", `${address}/24`, "dev", "eth0");
    }
    await ok("ip", "-n", host, "route", "add", "default", "via", LAN_ADDRESS);
    return world;
  }

  /** The command in the host's or the LAN's namespace. */
  in(where: "host" | "lan", command: readonly string[]): string[] {
    return ["ip", "netns", "exec", this[where], ...command];
  }

  onHost = (...command: string[]) => run(this.in("host", command));
  onLan = (...command: string[]) => run(this.in("lan", command));

  /** `robur …` on the host, to its end. `under`: a command that goes before it. */
  robur(args: readonly string[], under: readonly string[] = []): Promise<Ran> {
    return run(this.in("host", [...under, ...this.command(args)]));
  }

  command(args: readonly string[]): string[] {
    const [verb = "", ...rest] = args;
    return [process.execPath, DRIVER, verb, "--data-dir", join(this.directory, "data"), ...rest];
  }

  /** `robur run …` on the host; resolves when the guest has printed `ready`. */
  async start(args: readonly string[], ready = "listening on port", under: readonly string[] = []) {
    const child = Bun.spawn(this.in("host", [...under, ...this.command(["run", ...args])]), {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    this.#children.add(child);
    void child.exited.then(() => this.#children.delete(child));
    const output = new Output(child.stdout);
    const errors = new Output(child.stderr);
    await until(`${ready} on the console`, async () => {
      if (output.text.includes(ready)) return true;
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${errors.text}`);
      return false;
    });
    return { child, output, errors };
  }

  /** Everything in the host's namespace that a network of robur's could have changed. */
  async snapshot(): Promise<string> {
    const parts = await Promise.all([
      this.onHost("ip", "-o", "link"),
      this.onHost("ip", "-o", "address"),
      this.onHost("ip", "route", "show", "table", "all"),
      this.onHost("ip", "-6", "route", "show", "table", "all"),
      this.onHost("nft", "list", "ruleset"),
      this.onHost(
        "sysctl",
        "net.ipv4.ip_forward",
        "net.ipv6.conf.all.forwarding",
        "net.ipv6.conf.eth0.accept_ra",
      ),
    ]);
    return parts.map(({ stdout }) => stdout).join("\n");
  }

  /** Status and body of a page, asked for from the host or the LAN. */
  async fetch(where: "host" | "lan", url: string, ...more: string[]): Promise<string> {
    const { stdout, stderr, status } = await run(
      this.in(where, ["curl", "-sS", "--max-time", "10", ...more, url]),
    );
    return status === 0 ? stdout : `curl: ${stderr}`;
  }

  async end(): Promise<void> {
    for (const child of this.#children) child.kill("SIGKILL");
    for (const namespace of [this.host, this.lan]) {
      const { stdout } = await run(["ip", "netns", "pids", namespace]);
      for (const pid of stdout.split("\n").filter((line) => line !== "")) kill(Number(pid));
      await run(["ip", "netns", "delete", namespace]);
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** A process of this test's own namespace. */
function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}

/** A stream's text so far. */
class Output {
  text = "";
  constructor(stream: ReadableStream<Uint8Array>) {
    void (async () => {
      const decoder = new TextDecoder();
      for await (const chunk of stream) this.text += decoder.decode(chunk, { stream: true });
    })();
  }
}

/** Runs to the end, in at most a minute. */
export async function run(command: readonly string[]): Promise<Ran> {
  const child = Bun.spawn([...command], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: 60_000,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr, status] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { status, stdout, stderr };
}

/** Runs a command that must succeed. */
export async function ok(...command: string[]): Promise<string> {
  const { status, stdout, stderr } = await run(command);
  if (status !== 0) throw new Error(`${command.join(" ")}: status ${status}: ${stderr}`);
  return stdout;
}
