/** spt guests on the network: each test has taps in a namespace of its own. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { buildGuest } from "../../guests/build.ts";
import { lacks, needsNetwork } from "../../needs.ts";
import { NEARLY_ALL, Network } from "../../private-network.ts";
import { needsSptGuests } from "./needs.ts";
import { untilOutput, readOutput, startSolo5Spt } from "./start.ts";

const cannotRun = lacks(needsSptGuests(), needsNetwork());
const FORM = join(import.meta.dir, "form.ts");

describe.skipIf(cannotRun).each(["exec", "spawn"] as const)(
  "an spt guest on the network, %s form",
  (form) => {
    const start = async (network: Network, name: string, options: string[], args: string[] = []) => {
      const words = ["--mem=2", ...options, "--", await buildGuest(name, "spt"), ...args];
      if (form === "exec") return (await startSolo5Spt(words, network.inside)).process;
      return Bun.spawn([...network.inside, process.execPath, FORM, "spawn", ...words], {
        stdio: ["ignore", "pipe", "pipe"],
      });
    };

    test("answers every ping of a flood, unharmed", async () => {
      await using network = await Network.create();
      network.addTap("tap0", { address: "10.0.0.1/24" });
      const guest = await start(network, "net", ["--net:service0=tap0"], ["limit=20000"]);
      await untilOutput(guest, "10.0.0.2");
      // The pattern makes ping compare every answer with its question.
      const replies = await network.ping("10.0.0.2", 20_000, "-p", "deadbeef");
      expect(replies).toBeGreaterThanOrEqual(20_000 * NEARLY_ALL);
      expect([await readOutput(guest, () => false), await guest.exited]).toEqual([
        expect.stringContaining("SUCCESS"),
        0,
      ]);
    });

    test("serves two interfaces", async () => {
      await using network = await Network.create();
      network.addTap("tap0", { address: "10.0.0.1/24" });
      network.addTap("tap1", { address: "10.1.0.1/24" });
      const options = ["--net:service0=tap0", "--net:service1=tap1", "--net-mac:service1=02:00:00:00:00:01"];
      const guest = await start(network, "net_2if", options, ["limit=10000"]);
      const said = await untilOutput(guest, "10.1.0.2");
      expect(said).toContain("02:00:00:00:00:01");
      const floods = ["10.0.0.2", "10.1.0.2"].map((address) => network.ping(address, 5000));
      for (const replies of await Promise.all(floods)) {
        expect(replies).toBeGreaterThanOrEqual(5000 * NEARLY_ALL);
      }
      expect([await readOutput(guest, () => false), await guest.exited]).toEqual([
        expect.stringContaining("SUCCESS"),
        0,
      ]);
    });

    test("is told its interface's MTU", async () => {
      await using network = await Network.create();
      network.addTap("tap0", { mtu: 9000 });
      const guest = await start(network, "net_mtu", ["--net:service0=tap0"]);
      expect([await readOutput(guest, () => false), await guest.exited]).toEqual([
        expect.stringContaining("MTU is 9000"),
        0,
      ]);
    });

    test("waits when nothing comes", async () => {
      await using network = await Network.create();
      for (const tap of ["tap0", "tap1"]) network.addTap(tap);
      const options = ["--net:service0=tap0", "--net:service1=tap1"];
      const guest = await start(network, "poll", options, ["timeout=2000000", "count=5"]);
      const output = await readOutput(guest, () => false);
      expect(await guest.exited).toBe(0);
      const waits = [...output.matchAll(/devices 0, ready 0x0, after (\d+) ns/g)].map(([, ns]) => Number(ns));
      expect(waits.length).toBe(5);
      // How much longer is the scheduler's business.
      for (const ns of waits) expect(ns).toBeGreaterThanOrEqual(2_000_000);
    });

    test("is told which of its interfaces has something", async () => {
      await using network = await Network.create();
      for (const tap of ["tap0", "tap1"]) network.addTap(tap, { address: `10.${tap.at(-1)}.0.1/24` });
      const options = ["--net:service0=tap0", "--net:service1=tap1"];
      const guest = await start(network, "poll", options, ["timeout=60000000000"]);
      await untilOutput(guest, "polling");
      // An ARP question on the second one. Nobody answers.
      const ping = network.ping("10.1.0.2", 1, "-W", "1");
      expect(await readOutput(guest, () => false)).toContain("devices 1, ready 0x4");
      await ping;
    });

    test("gives its interface back when it is killed", async () => {
      await using network = await Network.create();
      network.addTap("tap0", { address: "10.0.0.1/24" });
      for (const _ of [1, 2]) {
        const guest = await start(network, "net", ["--net:service0=tap0"]);
        await untilOutput(guest, "10.0.0.2");
        guest.kill("SIGTERM");
        await guest.exited;
      }
    });
  },
);
