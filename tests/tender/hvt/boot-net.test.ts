// Network devices of hvt guests, on taps in a network namespace of the test's own.
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { compilerVersion } from "../../guests/build.ts";
import { KVM_IS_PARAVIRTUAL, lacks, needsCommands, needsKvm, needsNetwork } from "../../needs.ts";
import { NEARLY_ALL, Network } from "../../private-network.ts";
import { until } from "../../robur.ts";
import { type BootOptions, TENDERS, type Tender, boot, startGuest } from "./guest.ts";

const NO_GCC = compilerVersion() === undefined ? needsCommands("gcc") : undefined;
const skip = lacks(needsKvm(), needsNetwork(), NO_GCC);

/** What the original's own test sends. Where every exit of a guest is emulated it takes a minute. */
const PINGS = KVM_IS_PARAVIRTUAL ? 4000 : 100_000;
/** MTU of the third tap. */
const JUMBO = 9000;

let network: Network;

// A test that takes too long takes its processes with it, the one that holds the network among them.
beforeEach(async () => {
  if (skip || network?.isAlive === true) return;
  network = await Network.create();
  network.addTap("tap100", { address: "10.0.0.1/24" });
  network.addTap("tap101", { address: "10.1.0.1/24" });
  network.addTap("tap102", { address: "10.2.0.1/24", mtu: JUMBO });
  network.addTap("tap103", { down: true });
});

afterAll(async () => {
  if (!skip) await network[Symbol.asyncDispose]();
});

/** Starts a guest in the network and waits until it says something: then its devices are attached. */
async function startThere(tender: Tender, guest: string, options: BootOptions) {
  const child = await startGuest(tender, guest, { ...options, under: network.inside });
  const reader = child.stdout.getReader();
  const decoder = new TextDecoder();
  let said = "";
  const readUntil = async (words: string) => {
    while (!said.includes(words)) {
      const { done, value } = await reader.read();
      if (done) throw new Error(`${guest} ended without "${words}":\n${said}${await child.stderr.text()}`);
      said += decoder.decode(value, { stream: true });
    }
  };
  const end = async () => {
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      said += decoder.decode(chunk.value, { stream: true });
    }
    const code = await child.exited;
    return { code, stdout: said, stderr: await child.stderr.text() };
  };
  return { child, readUntil, end };
}

const bootThere = (tender: Tender, guest: string, options: BootOptions) =>
  boot(tender, guest, { ...options, under: network.inside });

for (const tender of TENDERS) {
  describe.skipIf(skip)(`${tender}, networks`, () => {
    test(`${PINGS} pings in a flood are answered`, async () => {
      const guest = await startThere(tender, "net", {
        nets: { service0: "tap100" },
        args: [`limit=${PINGS}`],
      });
      await guest.readUntil("address 10.0.0.2");
      expect(await network.ping("10.0.0.2", PINGS)).toBeGreaterThanOrEqual(PINGS * NEARLY_ALL);
      const { code, stdout, stderr } = await guest.end();
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toContain("SUCCESS");
    });

    test("two interfaces are answered on at once, each on its own", async () => {
      const guest = await startThere(tender, "net_2if", {
        nets: { service0: "tap100", service1: "tap101" },
        args: [`limit=${PINGS}`],
      });
      await guest.readUntil("service1: MAC");
      const half = PINGS / 2;
      const replies = await Promise.all([network.ping("10.0.0.2", half), network.ping("10.1.0.2", half)]);
      expect(Math.min(...replies)).toBeGreaterThanOrEqual(half * NEARLY_ALL);
      const { code, stdout } = await guest.end();
      expect(code).toBe(0);
      expect(stdout).toContain("SUCCESS");
    });

    test("the guest learns the MTU of its tap, and frames of that size arrive undamaged", async () => {
      const asked = await bootThere(tender, "net_mtu", { nets: { service0: "tap102" } });
      expect(asked.code).toBe(0);
      expect(asked.stdout).toContain(`MTU is ${JUMBO}\n`);
      const guest = await startThere(tender, "net", {
        nets: { service0: "tap102" },
        args: ["ip=10.2.0.2", "limit=50"],
      });
      await guest.readUntil(`MTU ${JUMBO}`);
      const size = String(JUMBO - 28);
      const replies = await network.ping("10.2.0.2", 50, "-s", size, "-M", "do", "-p", "deadbeef");
      expect(replies).toBeGreaterThanOrEqual(49);
      expect((await guest.end()).code).toBe(0);
    });

    test("a MAC address is the one given, else a random one that is locally administered", async () => {
      const macOf = async (options: BootOptions) => {
        const guest = await startThere(tender, "net", {
          nets: { service0: "tap100" },
          args: ["limit=1"],
          ...options,
        });
        await guest.readUntil("address 10.0.0.2");
        await network.ping("10.0.0.2", 1);
        const { stdout } = await guest.end();
        return /MAC (\S+),/.exec(stdout)?.[1] ?? "";
      };
      const flag = (mac: string) =>
        tender === "solo5-hvt" ? [`--net-mac:service0=${mac}`] : ["--net-mac", `service0=${mac}`];
      expect(await macOf({ flags: flag("52:54:00:AB:cd:1") })).toBe("52:54:00:ab:cd:01");
      const random = [await macOf({}), await macOf({}), await macOf({ flags: flag("0:0:0:0:0:0") })];
      expect(new Set(random).size).toBe(3);
      for (const mac of random) {
        expect(mac).toMatch(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/);
        expect(Number.parseInt(mac.slice(0, 2), 16) & 0x03).toBe(0x02);
      }
    });

    test("a tap that can't be attached is named with the reason", async () => {
      const cases: [tap: string, reason: RegExp][] = [
        ["NoSuchTap", /NoSuchTap: No such device/],
        ["tap103", /tap103: Network is down/],
        ["lo", /lo: Invalid argument/],
        ["tap%d", /tap%d: No such device/],
        ["AVeryVeryVeryLongName", /AVeryVeryVeryLongName: File name too long/],
        ["@77", /@77: Bad file descriptor/],
      ];
      for (const [tap, reason] of cases) {
        const { code, stdout, stderr } = await bootThere(tender, "net", { nets: { service0: tap } });
        expect({ tap, code, stdout }).toEqual({ tap, code: tender === "solo5-hvt" ? 1 : 125, stdout: "" });
        expect(stderr).toMatch(/could not attach interface/i);
        expect(stderr).toMatch(reason);
      }
      // No attempt left an interface behind.
      expect(network.must("ip", "-o", "link")).not.toContain("NoSuchTap");
    });

    test("a tap serves one guest at a time", async () => {
      const first = await startThere(tender, "net", { nets: { service0: "tap100" } });
      await first.readUntil("address 10.0.0.2");
      const second = await bootThere(tender, "net", { nets: { service0: "tap100" } });
      expect(second.code).toBe(tender === "solo5-hvt" ? 1 : 125);
      expect(second.stderr).toMatch(/tap100: (Device or resource busy|Resource busy)/);
      first.child.kill("SIGTERM");
      await first.end();
    });

    test("an open tap is taken by its descriptor", async () => {
      const withTap = [process.execPath, join(import.meta.dir, "with-tap.ts"), "tap102"];
      const { code, stdout, stderr } = await boot(tender, "net_mtu", {
        nets: { service0: "@3" },
        under: [...network.inside, ...withTap],
      });
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toContain(`MTU is ${JUMBO}\n`);
    });
  });
}

describe.skipIf(skip)("hvt, polling networks", () => {
  const nets = { service0: "tap100", service1: "tap101" };
  const polls = (text: string) =>
    [...text.matchAll(/devices (\d+), ready 0x([0-9a-f]+), after (\d+) ns/g)].map(
      ([, devices, ready, after]) => ({ devices: Number(devices), ready, after: Number(after) }),
    );

  test("the ready set has a bit for each device with a frame, by its place in the manifest", async () => {
    for (const [target, bit] of [
      ["10.0.0.255", "2"],
      ["10.1.0.255", "4"],
    ] as const) {
      const guest = await startThere("solo5-hvt", "poll", { nets, args: ["timeout=30000000000", "count=3"] });
      await guest.readUntil("polling");
      network.broadcast(target);
      const { code, stdout } = await guest.end();
      expect(code).toBe(0);
      // A device stays ready until somebody reads from it.
      const found = polls(stdout);
      expect(found).toHaveLength(3);
      for (const { devices, ready, after } of found) {
        expect({ devices, ready }).toEqual({ devices: 1, ready: bit });
        expect(after).toBeLessThan(29e9);
      }
    }
  });

  test("without frames it waits as long as it was told", async () => {
    const { code, stdout } = await bootThere("solo5-hvt", "poll", { nets, args: ["timeout=200000000"] });
    expect(code).toBe(0);
    const [poll] = polls(stdout);
    expect({ devices: poll?.devices, ready: poll?.ready }).toEqual({ devices: 0, ready: "0" });
    expect(poll?.after).toBeGreaterThan(198e6);
    expect(poll?.after).toBeLessThan(5e9);
  });

  test("a timeout of 2^64-1 ns or of 0 is taken as it is", async () => {
    const endless = await startThere("solo5-hvt", "poll", { nets, args: ["timeout=0xffffffffffffffff"] });
    await endless.readUntil("polling");
    network.broadcast("10.0.0.255");
    expect(polls((await endless.end()).stdout)).toMatchObject([{ devices: 1, ready: "2" }]);
    const { stdout } = await bootThere("solo5-hvt", "poll", { nets, args: ["timeout=0", "count=5"] });
    expect(polls(stdout)).toHaveLength(5);
    for (const { devices, after } of polls(stdout)) {
      expect(devices).toBe(0);
      expect(after).toBeLessThan(1e9);
    }
  });

  test("a guest lives through its interface being taken down and up again", async () => {
    const guest = await startThere("solo5-hvt", "net", { nets: { service0: "tap100" } });
    await guest.readUntil("address 10.0.0.2");
    expect(await network.ping("10.0.0.2", 20)).toBe(20);
    for (let i = 0; i < 5; i++) {
      network.must("ip", "link", "set", "tap100", "down");
      network.must("ip", "link", "set", "tap100", "up");
    }
    await until("replies again", async () => (await network.ping("10.0.0.2", 5, "-w", "2")) > 0);
    guest.child.kill("SIGTERM");
    const { code, stderr } = await guest.end();
    expect(code).toBe(1);
    expect(stderr).toContain("Exiting on signal 15");
  });

  test("a guest that only sends loses frames on an interface that is down, and goes on", async () => {
    const guest = await startThere("solo5-hvt", "netbench", {
      nets: { service0: "tap100" },
      args: ["op=blast", "frames=10000", "size=100"],
    });
    await guest.readUntil("ready");
    const ended = guest.end();
    while (guest.child.exitCode === null) {
      network.must("ip", "link", "set", "tap100", "down");
      network.must("ip", "link", "set", "tap100", "up");
      await Bun.sleep(1);
    }
    const { code, stderr } = await ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });
});
