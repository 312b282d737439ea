// A unikernel on a network of robur's and one with a volume, through kill -9 of their server.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { instanceOf } from "../../src/network/names.ts";
import { buildGuest } from "../guests/build.ts";
import { lacks, needsCommands, needsNetwork } from "../needs.ts";
import { Network } from "../private-network.ts";
import { endTenders } from "./lab.ts";

async function facts(network: Network, ...args: string[]): Promise<Record<string, unknown>> {
  const script = join(import.meta.dir, "networked-script.ts");
  const child = Bun.spawn([...network.inside, process.execPath, script, ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
    // It is a program, not a test, and uses what tests use.
    env: { ...process.env, NODE_ENV: "production" },
  });
  const lines = (await child.stdout.text()).trim().split("\n");
  await child.exited;
  return Object.fromEntries(lines.map((line) => JSON.parse(line) as [string, unknown]));
}

describe.skipIf(lacks(needsNetwork(), needsCommands("nft")))("on networks", () => {
  test("a unikernel keeps its network when its server is killed, and gives it back in the end", async () => {
    await using network = await Network.create();
    const directory = realpathSync(mkdtempSync(join(tmpdir(), "robur-networked-")));
    try {
      const guests = [await buildGuest("net", "spt"), await buildGuest("blk", "spt")];
      const first = await facts(network, directory, "first", ...guests);
      expect(first).toMatchObject({
        state: "running",
        network: {
          device: "service0",
          network: "service",
          address: "10.0.42.9/24",
          gateway: "10.0.42.1",
          tap: false,
        },
        ping: true,
        volume: ["stopped", "ended with status 0 (by itself)"],
      });
      expect(first["missing volume"]).toContain("nothing");
      const second = await facts(network, directory, "second");
      expect(second).toMatchObject({
        adopted: "running",
        "ping again": true,
        restarted: "running",
        "ping after a restart": true,
        left: [],
        leases: 0,
      });
    } finally {
      endTenders(instanceOf(directory));
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
