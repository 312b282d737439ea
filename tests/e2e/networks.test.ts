/** A unikernel on a network of robur's, from nothing to nothing: in network namespaces of this test's own. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { buildGuest, compilerVersion } from "../guests/build.ts";
import { lacks, needsKvm } from "../needs.ts";
import { until } from "../robur.ts";
import { HOST_ADDRESS, LAN_ADDRESS, World, needsWorld, ok } from "./network-world.ts";

const compiler = compilerVersion() === undefined ? "gcc is missing, which builds the test guests" : undefined;
const LIMIT = 60_000;

describe.skipIf(lacks(needsWorld("curl", "ping", "python3"), compiler))("robur run with networks", () => {
  let world: World;
  let http: string;

  beforeAll(async () => {
    world = await World.make();
    http = await buildGuest("http", "spt");
  }, LIMIT);
  afterAll(() => world.end());

  for (const target of ["spt", "hvt"] as const) {
    const missing = target === "hvt" ? needsKvm() : undefined;
    test.skipIf(lacks(missing))(
      `gives a website on localhost with no other step, and leaves nothing (${target})`,
      async () => {
        const image = await buildGuest("http", target);
        const before = await world.snapshot();
        const { child, output, errors } = await world.start(["-p", "8080:80", image, "requests=6"]);
        expect(errors.text).toContain("published: http://localhost:8080/");
        expect(output.text).toContain("address 10.0.42.2");
        for (const url of ["127.0.0.1:8080", "localhost:8080", `${HOST_ADDRESS}:8080`, "10.0.42.1:8080"]) {
          expect(await world.fetch("host", url)).toBe("hello from 10.0.42.2 to 10.0.42.1\n");
        }
        // The client's own address stays, so that logs mean something.
        expect(await world.fetch("lan", `${HOST_ADDRESS}:8080`)).toBe(
          `hello from 10.0.42.2 to ${LAN_ADDRESS}\n`,
        );
        const size = target === "hvt" ? 50_000 : 5_000_000;
        const body = await world.fetch("lan", `${HOST_ADDRESS}:8080/${size}`, "--output", "-");
        expect(body.length).toBe(size);
        expect(body.slice(0, 27)).toBe("abcdefghijklmnopqrstuvwxyza");
        expect(await child.exited).toBe(0);
        expect(await world.snapshot()).toBe(before);
      },
      LIMIT,
    );
  }

  test(
    "is closed to the LAN but for published ports",
    async () => {
      await ok("ip", "-n", world.lan, "route", "add", "10.0.42.0/24", "via", HOST_ADDRESS);
      const { child } = await world.start(["-p", "8081:80", http]);
      expect(await world.fetch("host", "10.0.42.2")).toStartWith("hello");
      expect((await world.onLan("curl", "-sS", "--max-time", "1", "10.0.42.2")).status).not.toBe(0);
      expect((await world.onLan("ping", "-c1", "-W1", "10.0.42.2")).status).not.toBe(0);
      // What a guest could send to the host's loopback, now that its bridge may route there, is dropped.
      const rules = await world.onHost("nft", "list", "chain", "inet", "robur", "guard");
      expect(rules.stdout).toContain('iifname "rb-service" ip daddr 127.0.0.0/8 drop');
      child.kill("SIGTERM");
      await child.exited;
      await ok("ip", "-n", world.lan, "route", "delete", "10.0.42.0/24");
    },
    LIMIT,
  );

  test(
    "publishes on one address only when told so",
    async () => {
      const { child } = await world.start(["-p", "127.0.0.1:8082:80", http]);
      expect(await world.fetch("host", "127.0.0.1:8082")).toStartWith("hello");
      expect((await world.onLan("curl", "-sS", "--max-time", "2", `${HOST_ADDRESS}:8082`)).status).not.toBe(
        0,
      );
      child.kill("SIGTERM");
      await child.exited;
    },
    LIMIT,
  );

  test(
    "lets a unikernel use its neighbour's published port, and gives addresses that stay",
    async () => {
      const before = await world.snapshot();
      const first = await world.start(["--name", "one", "-p", "8083:80", http]);
      const second = await world.start(["--name", "two", "-p", "8084:80", http]);
      const address = (text: string) => /address (10\.0\.42\.\d+)/.exec(text)?.[1];
      const addresses = [address(first.output.text), address(second.output.text)];
      expect(new Set(addresses).size).toBe(2);
      // A namespace on the bridge stands for the second unikernel: our guests only answer.
      const guest = `${world.host}-guest`;
      await ok("ip", "netns", "add", guest);
      try {
        const veth = ["link", "add", "g0", "type", "veth", "peer", "name", "eth0", "netns", guest];
        await ok("ip", "-n", world.host, ...veth);
        await ok("ip", "-n", world.host, "link", "set", "g0", "master", "rb-service", "up");
        await ok("ip", "-n", guest, "link", "set", "eth0", "up");
        await ok("ip", "-n", guest, "address", "add", "10.0.42.200/24", "dev", "eth0");
        await ok("ip", "-n", guest, "route", "add", "default", "via", "10.0.42.1");
        const inGuest = (...command: string[]) => ok("ip", "netns", "exec", guest, ...command);
        for (const target of [
          `${addresses[0]}`,
          "10.0.42.1:8083",
          `${HOST_ADDRESS}:8083`,
          `${HOST_ADDRESS}:8084`,
        ]) {
          expect(await inGuest("curl", "-sS", "--max-time", "10", target)).toStartWith("hello");
        }
        // Out to the LAN, behind the host's address.
        expect((await inGuest("ping", "-c1", "-W5", LAN_ADDRESS)).length).toBeGreaterThan(0);
      } finally {
        await ok("ip", "-n", world.host, "link", "delete", "g0");
        await ok("ip", "netns", "delete", guest);
      }
      for (const { child } of [first, second]) child.kill("SIGTERM");
      await Promise.all([first.child.exited, second.child.exited]);
      expect(await world.snapshot()).toBe(before);
      const again = await world.start(["--name", "two", http]);
      expect(address(again.output.text)).toBe(addresses[1]!);
      again.child.kill("SIGINT");
      await again.child.exited;
      expect(await world.snapshot()).toBe(before);
    },
    LIMIT,
  );

  test(
    "names the process that has a port already, and the unikernel",
    async () => {
      const server = Bun.spawn(world.in("host", ["python3", "-m", "http.server", "8085"]), {
        stdout: "ignore",
        stderr: "ignore",
      });
      try {
        await until("the other server listens", async () =>
          (await world.fetch("host", "127.0.0.1:8085")).includes("Directory"),
        );
        const { status, stderr } = await world.robur(["run", "-p", "8085:80", http]);
        expect(status).toBe(125);
        expect(stderr).toMatch(
          /port 8085\/tcp is in use\n {2}python3\S* \(process \d+\) listens on all addresses/,
        );
        expect(stderr).toContain("-p 8086:80");
      } finally {
        server.kill();
        await server.exited;
      }
      const { child } = await world.start(["-p", "8085:80", "--name", "web", http]);
      const { stderr } = await world.robur(["run", "-p", "8085:80", http]);
      expect(stderr).toContain("it is published for the unikernel web");
      child.kill("SIGTERM");
      await child.exited;
    },
    LIMIT,
  );

  test(
    "publishes UDP, from the host and from the LAN",
    async () => {
      const { child } = await world.start(["-p", "9007:7/udp", http]);
      // The guest sends every datagram on its port 7 back.
      const echo = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(10)
s.connect((sys.argv[1], 9007))
s.send(b"are you there")
print(s.recv(100).decode())`;
      const ask = async (where: "host" | "lan", address: string) =>
        (await ok(...world.in(where, ["python3", "-c", echo, address]))).trim();
      expect(await ask("host", "127.0.0.1")).toBe("are you there");
      expect(await ask("host", HOST_ADDRESS)).toBe("are you there");
      expect(await ask("lan", HOST_ADDRESS)).toBe("are you there");
      child.kill("SIGTERM");
      await child.exited;
    },
    LIMIT,
  );

  test(
    "plans without side effects",
    async () => {
      const before = await world.snapshot();
      const { stdout, status } = await world.robur(["run", "--dry-run", "-p", "8080:80", http, "a b"]);
      expect(status).toBe(0);
      expect(stdout).toMatch(
        /# network device service: .*10\.0\.42\.\d+\/24\n# published: 8080:80\nrobur tender spt --mem=512 --net:service=rbt0 --net-mac:service=00:80:41:\S+ -- \S+ --ipv4=10\.0\.42\.\d+\/24 --ipv4-gateway=10\.0\.42\.1 'a b'\n/,
      );
      expect(await world.snapshot()).toBe(before);
    },
    LIMIT,
  );

  test(
    "takes an address that the arguments give, and one that can't be is refused",
    async () => {
      const { child, output } = await world.start(["-p", "8086:80", http, "--ipv4=10.0.42.77/24"]);
      expect(output.text).toContain("address 10.0.42.77");
      expect(await world.fetch("lan", `${HOST_ADDRESS}:8086`)).toStartWith("hello from 10.0.42.77");
      child.kill("SIGTERM");
      await child.exited;
      const { stderr } = await world.robur(["run", http, "--ipv4=10.9.9.9/24"]);
      expect(stderr).toContain("10.9.9.9 can't be an address on the network service");
    },
    LIMIT,
  );

  test(
    "cleans up what killed processes left, before anything else",
    async () => {
      const before = await world.snapshot();
      const { child } = await world.start(["-p", "8087:80", "--name", "doomed", http]);
      child.kill("SIGKILL");
      await child.exited;
      expect(await world.snapshot()).not.toBe(before);
      // Somebody else's things, of the same look, stay.
      await ok("ip", "-n", world.host, "tuntap", "add", "rbt7", "mode", "tap");
      await ok("ip", "-n", world.host, "link", "set", "rbt7", "alias", "robur 00000000 tap other");
      await until("the guest died with its parent", async () => {
        const { stdout } = await world.onHost("cat", "/sys/class/net/rbt0/carrier");
        return stdout.trim() !== "1";
      });
      const { stdout } = await world.robur(["network", "doctor"]);
      expect(stdout).toContain("cleaned up: rbt0");
      await ok("ip", "-n", world.host, "link", "show", "rbt7");
      await ok("ip", "-n", world.host, "link", "delete", "rbt7");
      expect(await world.snapshot()).toBe(before);
    },
    LIMIT,
  );

  test(
    "gets along with Docker, whose chain drops what is forwarded",
    async () => {
      const docker = [
        "add table ip filter",
        "add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }",
        "add chain ip filter DOCKER-USER",
        "add rule ip filter FORWARD jump DOCKER-USER",
      ].join("; ");
      await ok(...world.in("host", ["nft", docker]));
      // Docker switches forwarding on; that stays, whoever else wants it.
      await ok(...world.in("host", ["sysctl", "-w", "net.ipv4.ip_forward=1"]));
      const before = await world.snapshot();
      const { child } = await world.start(["-p", "8088:80", http]);
      expect(await world.fetch("lan", `${HOST_ADDRESS}:8088`)).toStartWith("hello");
      const { stdout } = await world.robur(["network", "doctor"]);
      expect(stdout).toContain("PASS  Docker");
      child.kill("SIGTERM");
      await child.exited;
      expect(await world.snapshot()).toBe(before);
      await ok(...world.in("host", ["nft", "delete table ip filter"]));
      await ok(...world.in("host", ["sysctl", "-w", "net.ipv4.ip_forward=0"]));
    },
    LIMIT,
  );
});
