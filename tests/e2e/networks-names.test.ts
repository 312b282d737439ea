/** DHCP and DNS of a network, asked by the clients that everybody uses. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { unikernelMac } from "../../src/network/names.ts";
import { buildGuest, compilerVersion } from "../guests/build.ts";
import { lacks, needsCommands } from "../needs.ts";
import { until } from "../robur.ts";
import { LAN_ADDRESS, World, needsWorld, ok, run } from "./network-world.ts";

const compiler = compilerVersion() === undefined ? "gcc is missing, which builds the test guests" : undefined;
const LIMIT = 60_000;

describe.skipIf(lacks(needsWorld("ping"), compiler))("the responders of a network", () => {
  let world: World;
  let guest: string;
  let resolver: Bun.Subprocess;
  let running: Bun.Subprocess;
  const inGuest = (...command: string[]) => run(["ip", "netns", "exec", guest, ...command]);

  beforeAll(async () => {
    world = await World.make();
    guest = `${world.host}-guest`;
    const http = await buildGuest("http", "spt");
    resolver = Bun.spawn(
      world.in("lan", [process.execPath, join(import.meta.dir, "upstream-resolver.ts"), LAN_ADDRESS]),
      { stdout: "ignore", stderr: "inherit" },
    );
    const resolvConf = join(world.directory, "resolv.conf");
    writeFileSync(resolvConf, `nameserver ${LAN_ADDRESS}\n`);
    // The unikernel that has been here before keeps its address, which is then asked for.
    const old = await world.start(["--name", "old", http]);
    old.child.kill("SIGTERM");
    await old.child.exited;
    const bind = [
      "unshare",
      "-m",
      "sh",
      "-c",
      `mount --bind ${resolvConf} /etc/resolv.conf && exec "$@"`,
      "sh",
    ];
    running = (await world.start(["--name", "web", http], undefined, bind)).child;
    await ok("ip", "netns", "add", guest);
    await ok("ip", "-n", world.host, ..."link add g0 type veth peer name eth0 netns".split(" "), guest);
    await ok("ip", "-n", world.host, "link", "set", "g0", "master", "rb-service", "up");
    await ok("ip", "-n", guest, "link", "set", "lo", "up");
    await ok("ip", "-n", guest, "link", "set", "eth0", "up");
    await until("the bridge lets frames pass", async () => {
      const { stdout } = await run(["ip", "-n", world.host, "-j", "-d", "link", "show", "dev", "g0"]);
      return stdout.includes('"forwarding"');
    });
  }, LIMIT);

  afterAll(async () => {
    resolver.kill();
    running.kill("SIGTERM");
    await running.exited;
    await run(["ip", "netns", "delete", guest]);
    await world.end();
  });

  /** What udhcpc got, as its script sees it. */
  async function askDhcp(mac: string): Promise<Record<string, string>> {
    await ok("ip", "-n", guest, "link", "set", "dev", "eth0", "address", mac);
    const script = join(world.directory, "script");
    const found = join(world.directory, "found");
    writeFileSync(script, `#!/bin/sh\n[ "$1" = bound ] && env > ${found}\nexit 0\n`);
    chmodSync(script, 0o755);
    const options = ["-O", "7", "-O", "hostname", "-O", "domain", "-t", "5", "-T", "1", "-n", "-q", "-f"];
    const ended = await inGuest("udhcpc", "-i", "eth0", "-s", script, ...options);
    expect(ended.stderr + ended.stdout).toContain("lease of");
    return Object.fromEntries(
      readFileSync(found, "utf8")
        .split("\n")
        .map((line) => line.split("=", 2) as [string, string]),
    );
  }

  const udhcpc = lacks(needsCommands("udhcpc"));
  test.skipIf(udhcpc)("give a unikernel its own address, and everything around it (udhcpc)", async () => {
    const lease = await askDhcp(unikernelMac("old", "service"));
    expect(lease).toMatchObject({
      ip: "10.0.42.2",
      mask: "24",
      router: "10.0.42.1",
      dns: "10.0.42.1",
      opt7: "0a002a01",
      hostname: "old",
      domain: "robur.internal",
      serverid: "10.0.42.1",
      lease: "86400",
    });
  });

  test.skipIf(udhcpc)("give a stranger an address that nobody has", async () => {
    const lease = await askDhcp("02:00:00:00:00:77");
    expect(lease["ip"]).toMatch(/^10\.0\.42\.\d+$/);
    expect(["10.0.42.1", "10.0.42.2", "10.0.42.3"]).not.toContain(lease["ip"]!);
    expect(lease["hostname"]).toBeUndefined();
    expect((await askDhcp("02:00:00:00:00:77"))["ip"]).toBe(lease["ip"]!);
  });

  test.skipIf(lacks(needsCommands("dhclient")))(
    "serve dhclient, which then can use what it got",
    async () => {
      await ok("ip", "-n", guest, "link", "set", "dev", "eth0", "address", "02:00:00:00:00:78");
      // Its script would write /etc/resolv.conf: one of the test's own takes the address only.
      const script = join(world.directory, "dhclient-script");
      writeFileSync(
        script,
        '#!/bin/sh\n[ "$reason" = BOUND ] && ip address add $new_ip_address/24 dev eth0 && ip route add default via $new_routers\nexit 0\n',
      );
      chmodSync(script, 0o755);
      const files = ["-lf", join(world.directory, "leases"), "-pf", join(world.directory, "pid")];
      const ended = await inGuest(
        "dhclient",
        "-1",
        "-v",
        "-sf",
        script,
        "-cf",
        "/dev/null",
        ...files,
        "eth0",
      );
      expect(ended.stderr).toContain("bound to 10.0.42.");
      expect((await inGuest("ping", "-c1", "-W5", "10.0.42.1")).status).toBe(0);
      const pid = join(world.directory, "pid");
      if (existsSync(pid)) process.kill(Number(readFileSync(pid, "utf8")), "SIGTERM");
    },
  );

  const dig = lacks(needsCommands("dig"));
  const ask = async (...args: string[]) => {
    const { stdout } = await inGuest("dig", "@10.0.42.1", "+time=5", "+tries=2", ...args);
    return stdout;
  };
  const withAddress = async () => {
    await run(["ip", "-n", guest, "address", "add", "10.0.42.250/24", "dev", "eth0"]);
  };

  for (const protocol of ["+notcp", "+tcp"]) {
    test.skipIf(dig)(`know unikernels by name (dig ${protocol})`, async () => {
      await withAddress();
      expect(await ask(protocol, "+short", "web.robur.internal")).toBe("10.0.42.3\n");
      expect(await ask(protocol, "+short", "WEB.Robur.Internal")).toBe("10.0.42.3\n");
      expect(await ask(protocol, "+short", "host.robur.internal")).toBe("10.0.42.1\n");
      expect(await ask(protocol, "+short", "-x", "10.0.42.3")).toBe("web.robur.internal.\n");
      const none = await ask(protocol, "nobody.robur.internal");
      expect(none).toContain("status: NXDOMAIN");
      expect(none).toContain("hostmaster.robur.internal");
      // It doesn't run: it has no address to answer with.
      expect(await ask(protocol, "old.robur.internal")).toContain("status: NXDOMAIN");
      const noIpv6 = await ask(protocol, "web.robur.internal", "AAAA");
      expect(noIpv6).toContain("status: NOERROR");
      expect(noIpv6).toContain("ANSWER: 0");
    });

    test.skipIf(dig)(`hand other questions on to the host's resolver (dig ${protocol})`, async () => {
      await withAddress();
      expect(await ask(protocol, "+short", "example.com")).toBe("203.0.113.9\n");
    });
  }

  test.skipIf(dig)(
    "go over to another robur when the one that answered ends",
    async () => {
      await withAddress();
      const late = await world.start(["--name", "late", await buildGuest("http", "spt")]);
      running.kill("SIGTERM");
      await running.exited;
      await until("names are known again", async () => {
        const answer = await ask("+short", "+time=1", "+tries=1", "late.robur.internal");
        return answer.startsWith("10.0.42.");
      });
      running = late.child;
    },
    LIMIT,
  );

  test("a unikernel answers to ping by its name", async () => {
    await withAddress();
    const resolvConf = join(world.directory, "guest-resolv.conf");
    writeFileSync(resolvConf, "nameserver 10.0.42.1\nsearch robur.internal\n");
    const script = `mount --bind ${resolvConf} /etc/resolv.conf && ping -c1 -W5 late.robur.internal && ping -c1 -W5 late`;
    const { stdout, stderr } = await inGuest("unshare", "-m", "sh", "-c", script);
    expect(stdout + stderr).toContain("64 bytes from");
    expect(stdout.match(/1 received/g)?.length).toBe(2);
  });
});
