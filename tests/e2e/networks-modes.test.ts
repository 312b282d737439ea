/** The other kinds of networks, by `robur network`: isolated, routed, IPv6, adopted bridges, and the host's own interface. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { buildGuest, compilerVersion } from "../guests/build.ts";
import { lacks } from "../needs.ts";
import { until } from "../robur.ts";
import { HOST_ADDRESS, LAN_ADDRESS, World, needsWorld, ok, run } from "./network-world.ts";

const compiler = compilerVersion() === undefined ? "gcc is missing, which builds the test guests" : undefined;
const LIMIT = 90_000;

describe.skipIf(lacks(needsWorld("curl", "ping"), compiler))("robur network", () => {
  let world: World;
  let http: string;
  let before: string;

  beforeAll(async () => {
    world = await World.make();
    http = await buildGuest("http", "spt");
    before = await world.snapshot();
  }, LIMIT);
  afterAll(() => world.end());

  const network = async (...args: string[]) => {
    const ran = await world.robur(["network", ...args]);
    expect(ran.stderr).not.toContain("error:");
    return ran;
  };
  const end = async ({ child }: Awaited<ReturnType<World["start"]>>) => {
    child.kill("SIGTERM");
    await child.exited;
  };

  /** A namespace that stands for a guest which asks, on the bridge. */
  async function guestOn(bridge: string, address: string, router: string | undefined) {
    const name = `${world.host}-guest`;
    const inside = (...command: string[]) => run(["ip", "netns", "exec", name, ...command]);
    await ok("ip", "netns", "add", name);
    await ok("ip", "-n", world.host, ..."link add g0 type veth peer name eth0 netns".split(" "), name);
    await ok("ip", "-n", world.host, "link", "set", "g0", "master", bridge, "up");
    await ok("ip", "-n", name, "link", "set", "eth0", "up");
    const nodad = address.includes(":") ? ["nodad"] : [];
    await ok("ip", "-n", name, "address", "add", address, ...nodad, "dev", "eth0");
    if (router !== undefined) await ok("ip", "-n", name, "route", "add", "default", "via", router);
    const remove = async () => {
      await ok("ip", "-n", world.host, "link", "delete", "g0");
      await ok("ip", "netns", "delete", name);
    };
    return { inside, remove };
  }

  test(
    "isolated: guests see each other and the host, and no way out",
    async () => {
      await network("create", "lab", "--mode", "isolated", "--ipv4", "10.7.0.0/24");
      const running = await world.start(["--network", "lab", http]);
      expect(running.output.text).toContain("address 10.7.0.2");
      const guest = await guestOn("rb-lab", "10.7.0.200/24", "10.7.0.1");
      expect((await guest.inside("ping", "-c1", "-W5", "10.7.0.2")).status).toBe(0);
      expect((await guest.inside("ping", "-c1", "-W5", "10.7.0.1")).status).toBe(0);
      expect((await guest.inside("ping", "-c1", "-W1", LAN_ADDRESS)).status).not.toBe(0);
      await guest.remove();
      const inUse = await world.robur(["network", "rm", "lab"]);
      expect(inUse.stderr).toContain("the network lab is in use");
      expect(inUse.stderr).toContain("by http");
      await end(running);
      await network("rm", "lab");
      expect(await world.snapshot()).toBe(before);
    },
    LIMIT,
  );

  test(
    "routed: the LAN reaches guests by their own addresses, and sees those",
    async () => {
      await network("create", "open", "--mode", "routed", "--ipv4", "10.8.0.1/24");
      const running = await world.start(["--network", "open", http]);
      await ok("ip", "-n", world.lan, "route", "add", "10.8.0.0/24", "via", HOST_ADDRESS);
      expect(await world.fetch("lan", "10.8.0.2")).toBe(`hello from 10.8.0.2 to ${LAN_ADDRESS}\n`);
      await ok("ip", "-n", world.lan, "route", "delete", "10.8.0.0/24");
      await end(running);
      await network("rm", "open");
      expect(await world.snapshot()).toBe(before);
    },
    LIMIT,
  );

  test(
    "IPv6: a range of its own behind this host's address, and everything as it was afterwards",
    async () => {
      for (const [namespace, address] of [
        [world.host, "2001:db8::1/64"],
        [world.lan, "2001:db8::2/64"],
      ] as const) {
        await ok("ip", "-n", namespace, "address", "add", address, "nodad", "dev", "eth0");
      }
      const start = await world.snapshot();
      await network("create", "six", "--ipv6", "fd00:42::1/64");
      const guest = await guestOn("rb-six", "fd00:42::200/64", "fd00:42::1");
      expect((await guest.inside("ping", "-c1", "-W5", "fd00:42::1")).status).toBe(0);
      expect((await guest.inside("ping", "-c2", "-W5", "2001:db8::2")).status).toBe(0);
      await guest.remove();
      const running = await world.start(["--network", "six", "--name", "six", http]);
      await network("publish", "six", "[2001:db8::1]:8090:80");
      const { stdout } = await world.onHost("nft", "list", "chain", "inet", "robur", "prerouting");
      expect(stdout).toContain("ip6 daddr 2001:db8::1 tcp dport 8090 dnat ip6 to [fd00:42::2]:80");
      await end(running);
      await network("rm", "six");
      expect(await world.snapshot()).toBe(start);
      for (const [namespace, address] of [
        [world.host, "2001:db8::1/64"],
        [world.lan, "2001:db8::2/64"],
      ] as const) {
        await ok("ip", "-n", namespace, "address", "delete", address, "dev", "eth0");
      }
    },
    LIMIT,
  );

  test(
    "publish and unpublish change what is there while a unikernel runs, and are kept",
    async () => {
      const running = await world.start(["--name", "kept", http]);
      expect((await network("publish", "kept", "8091:80")).stdout).toBe("8091:80\n");
      expect(await world.fetch("lan", `${HOST_ADDRESS}:8091`)).toStartWith("hello");
      expect(await world.fetch("host", "localhost:8091")).toStartWith("hello");
      const { stdout } = await network("inspect", "service");
      expect(stdout).toMatch(/running {2}kept \(service\) {2}10\.0\.42\.2 .*kept\.robur\.internal/);
      expect(stdout).toContain("8091:80 of kept");
      await end(running);
      expect(await world.snapshot()).toBe(before);
      const again = await world.start(["--name", "kept", http]);
      expect(await world.fetch("lan", `${HOST_ADDRESS}:8091`)).toStartWith("hello");
      await network("unpublish", "8091");
      expect(await world.fetch("lan", `${HOST_ADDRESS}:8091`)).toStartWith("curl:");
      await end(again);
      const missing = await world.robur(["network", "publish", "nobody", "1:1"]);
      expect(missing.stderr).toContain("no unikernel nobody has an address");
    },
    LIMIT,
  );

  test(
    "an adopted bridge gets a tap and nothing else",
    async () => {
      // One that stays as it is when ports come and go: with an address of its own, and a port that is up.
      const link = (...words: string[]) => ok("ip", "-n", world.host, "link", ...words);
      await link("add", "br0", "address", "02:00:00:00:00:b0", "type", "bridge");
      await link("set", "br0", "addrgenmode", "none");
      await link("add", "p0", "type", "veth", "peer", "name", "p1");
      for (const name of ["p0", "p1"]) await link("set", name, "addrgenmode", "none", "up");
      await link("set", "p0", "master", "br0");
      await link("set", "br0", "up");
      await ok("ip", "-n", world.host, "address", "add", "10.9.0.1/24", "dev", "br0");
      const start = await world.snapshot();
      const running = await world.start(["--net", "service=br0", http, "--ipv4=10.9.0.2/24"]);
      expect(await world.fetch("host", "10.9.0.2")).toStartWith("hello");
      expect((await world.onHost("nft", "list", "ruleset")).stdout).not.toContain("robur");
      await end(running);
      const wrong = await world.robur(["network", "create", "lan", "--bridge", "eth0"]);
      expect(wrong.stderr).toContain("there is no bridge eth0");
      await network("rm", "br0");
      expect(await world.snapshot()).toBe(start);
      await link("delete", "br0");
      await link("delete", "p0");
    },
    LIMIT,
  );

  test(
    "the host's own interface goes back by itself unless somebody confirms",
    async () => {
      const routes = async () => (await world.onHost("ip", "route")).stdout;
      const start = await routes();
      const creating = Bun.spawn(
        world.in(
          "host",
          world.command(["network", "create", "lan", "--mode", "bridged", "--uplink", "eth0"]),
        ),
        { stdin: "ignore", stdout: "pipe", stderr: "pipe" },
      );
      await until("the interface is a port", async () => (await routes()).includes("2 dev rb-lan"));
      await until(
        "the LAN is there again",
        async () => (await world.onHost("ping", "-c1", "-W1", LAN_ADDRESS)).status === 0,
      );
      expect(await routes()).toContain(`default via ${LAN_ADDRESS} dev rb-lan`);
      // That its terminal is gone doesn't end it; that it is killed leaves the next robur to undo it.
      creating.kill("SIGHUP");
      expect(creating.exitCode).toBeNull();
      await network("confirm", "lan");
      expect(await creating.exited).toBe(0);
      const running = await world.start(["--network", "lan", http, "--ipv4=192.0.2.50/24"]);
      expect(await world.fetch("lan", "192.0.2.50")).toBe(`hello from 192.0.2.50 to ${LAN_ADDRESS}\n`);
      await end(running);
      await network("rm", "lan");
      expect(await routes()).toBe(start);
      expect((await world.onHost("ping", "-c1", "-W5", LAN_ADDRESS)).status).toBe(0);

      const late = Bun.spawn(
        world.in(
          "host",
          world.command(["network", "create", "lan", "--mode", "bridged", "--uplink", "eth0"]),
        ),
        { stdin: "ignore", stdout: "ignore", stderr: "pipe" },
      );
      await until("the interface is a port", async () => (await routes()).includes("2 dev rb-lan"));
      const status = await late.exited;
      expect(status).not.toBe(0);
      expect(await late.stderr.text()).toContain("nobody confirmed the network lan: eth0 is as it was");
      expect(await routes()).toBe(start);
      expect(await world.snapshot()).toBe(before);
    },
    LIMIT,
  );

  test("doctor says what it finds, as text and as JSON", async () => {
    const { stdout } = await network("doctor", "--json");
    const { checks } = JSON.parse(stdout) as { checks: { name: string; verdict: string }[] };
    expect(checks.map(({ name }) => name)).toContain("packet filter");
    await ok(
      ...world.in("host", [
        "nft",
        "add table inet firewalld; add chain inet firewalld filter_FORWARD { type filter hook forward priority 10; policy drop; }",
      ]),
    );
    const text = (await network("doctor")).stdout;
    expect(text).toContain("WARN  firewalld: runs");
    expect(text).toContain("firewall-cmd --permanent --zone=trusted --add-interface=");
    await ok(...world.in("host", ["nft", "delete table inet firewalld"]));
  });
});
