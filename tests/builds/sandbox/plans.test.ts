import { describe, expect, test } from "bun:test";
import {
  bwrapArguments,
  gateArguments,
  outerArguments,
  scriptCommand,
} from "../../../src/builds/sandbox/arguments.ts";
import { reserveOf, withBounds } from "../../../src/builds/sandbox/bounds.ts";
import { containerArguments } from "../../../src/builds/sandbox/containers.ts";
import { subordinateRange } from "../../../src/builds/sandbox/identities.ts";
import {
  hostAddresses,
  jobRules,
  parseHost,
  pastaArguments,
  resolveNetwork,
} from "../../../src/builds/sandbox/network.ts";
import { BUILT_IN_PLATFORMS, definitionOf, parseDefinition } from "../../../src/builds/sandbox/platforms.ts";
import { bootstrapArguments, installedPackages } from "../../../src/builds/sandbox/root-file-systems.ts";
import { limitWrites, ownGroup } from "../../../src/linux/control-groups.ts";
import { temporaryDirectory } from "../../robur.ts";

describe("hosts that a job may reach", () => {
  test("are names or addresses, with a port or without", () => {
    expect(parseHost("Example.org")).toEqual({ name: "example.org", ports: [80, 443, 9418] });
    expect(parseHost("127.0.0.1:8081")).toEqual({ name: "127.0.0.1", ports: [8081] });
    expect(parseHost("[2001:db8::1]:443")).toEqual({ name: "2001:db8::1", ports: [443] });
    expect(parseHost("2001:db8::1")).toMatchObject({ name: "2001:db8::1" });
    for (const text of ["", "a b", "-x", "a/b", "a:0", "a:65536", "a;b", "http://a", "[x]:1"]) {
      expect(parseHost(text), text).toBeUndefined();
    }
  });

  test("are looked up before the job begins", async () => {
    const hosts = ["a.example", "a.example:22", "127.0.0.1:8080", "192.0.2.1"];
    const { plan, hostsFile, resolvConf } = await resolveNetwork(
      { kind: "hosts", hosts },
      "build",
      async () => [...["192.0.2.1", "2001:db8::1"]],
    );
    expect(plan).toEqual({
      kind: "hosts",
      allowed: [
        { address: "192.0.2.1", ports: [22, 80, 443, 9418] },
        { address: "2001:db8::1", ports: [22, 80, 443, 9418] },
      ],
      loopbackPorts: [8080],
    });
    expect(hostsFile).toEndWith("127.0.1.1 build\n192.0.2.1 a.example\n2001:db8::1 a.example\n");
    expect(resolvConf).toBe("");
    if (plan.kind !== "hosts") throw new Error("unreachable");
    expect(jobRules(plan)).toContain("ip daddr 192.0.2.1 tcp dport { 22, 80, 443, 9418 } accept\n");
    expect(jobRules(plan)).toContain("ip6 daddr 2001:db8::1 tcp dport");
    expect(jobRules(plan)).toContain("policy drop;");
  });

  test("are all but the host itself, where everything is allowed", async () => {
    const own = () => ["198.51.100.7", "2001:db8::7"];
    const { plan, resolvConf } = await resolveNetwork({ kind: "all" }, undefined, undefined, own);
    expect(plan).toEqual({ kind: "all", refused: own() });
    expect(resolvConf).toStartWith("nameserver ");
    if (plan.kind === "none") throw new Error("unreachable");
    const rules = jobRules(plan)
      .split("\n")
      .map((line) => line.trim());
    for (const rule of [
      ...["ip daddr 169.254.0.0/16 goto refuse", "ip6 daddr fe80::/10 goto refuse"],
      ...["ip daddr 198.51.100.7 goto refuse", "ip6 daddr 2001:db8::7 goto refuse"],
    ]) {
      expect(rules.indexOf(rule), rule).toBeGreaterThan(0);
      expect(rules.indexOf(rule)).toBeLessThan(rules.indexOf("accept"));
    }
  });

  test("the host's addresses are those that the kernel takes for its own, whatever their interfaces", () => {
    const trie = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.1
           /32 host LOCAL
     |-- 192.0.2.0
        /24 link UNICAST
     |-- 192.0.2.2
        /32 host LOCAL
     |-- 192.0.2.255
        /32 link BROADCAST
     |-- 10.9.9.1
        /24 link UNICAST
        /32 host LOCAL
`;
    const inet6 = [
      "00000000000000000000000000000001 01 80 10 80       lo",
      "fd000000000000000000000000000002 02 40 00 80     eth0\n",
    ].join("\n");
    expect(hostAddresses(`${trie}Local:\n${trie}`, inet6)).toEqual([
      ...["192.0.2.2", "10.9.9.1", "fd00:0000:0000:0000:0000:0000:0000:0002"],
    ]);
    for (const address of hostAddresses()) expect(address).toMatch(/^[0-9a-f.:]+$/);
  });

  test("never are the host's own loopback, but for named ports", () => {
    for (const plan of [
      { kind: "all", refused: [] },
      { kind: "hosts", allowed: [], loopbackPorts: [] },
    ] as const) {
      const line = pastaArguments(plan, "/n").join(" ");
      for (const part of [
        "--no-map-gw",
        "--tcp-ports none",
        "--udp-ports none",
        "--udp-ns none",
        "--tcp-ns none",
      ]) {
        expect(line).toContain(part);
      }
    }
  });
});

test("a job's root has few rights, and bwrap gets no words of the job's before its own end", () => {
  const argv = bwrapArguments({
    program: "bwrap",
    filterFd: 4,
    hasNetwork: false,
    hostname: "build",
    command: ["--bind", "/", "/"],
  });
  expect(argv.slice(argv.indexOf("--"))).toEqual(["--", "--bind", "/", "/"]);
  expect(argv).toContain("--unshare-net");
  expect(argv.join(" ")).toContain("--cap-drop ALL --cap-add CAP_CHOWN");
  expect(argv.join(" ")).not.toMatch(/SYS_ADMIN|NET_ADMIN|SYS_PTRACE|MKNOD/);
  const outer = outerArguments({ setpriv: "setpriv", unshare: "unshare" }, [], ["robur"]);
  expect(outer.slice(0, 3)).toEqual(["setpriv", "--pdeathsig", "KILL"]);
});

test("a job's processes are bounded before it has a user namespace", () => {
  const programs = { unshare: "unshare", setpriv: "setpriv", prlimit: "prlimit" };
  const argv = gateArguments(programs, { hasNetwork: true, processes: 60 }, ["inner"]);
  expect(argv.slice(0, 6)).toEqual(["prlimit", "--nproc=60", "--", "unshare", "--user", "--keep-caps"]);
  expect(argv.at(-1)).toBe("inner");
  const free = gateArguments(programs, { hasNetwork: false, processes: undefined }, ["inner"]);
  expect(free[0]).toBe("unshare");
  expect(free).not.toContain("--net");
});

test("what a job doesn't limit itself is bounded by what the machine bears", () => {
  const none = { memoryMb: undefined, cpus: undefined, processes: undefined, diskMb: undefined };
  const GIB = 1024 ** 3;
  expect(withBounds(none, 16 * GIB)).toEqual({ ...none, memoryMb: 14 * 1024, processes: 8192 });
  expect(withBounds(none, 2 * GIB).memoryMb).toBe(1536);
  // Half of a very small one is still a build's.
  expect(withBounds(none, GIB / 2).memoryMb).toBe(256);
  const own = { memoryMb: 64 * 1024, cpus: 1, processes: 10, diskMb: 100 };
  expect(withBounds(own, GIB)).toEqual(own);
  expect(reserveOf(10 * GIB)).toBe(GIB / 2);
  expect(reserveOf(1000 * GIB)).toBe(2 * GIB);
});

test("scripts run by what their first line says, else by the shell", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  expect(scriptCommand(bytes("#!/bin/bash\n"), "/s")).toEqual(["/s"]);
  expect(scriptCommand(bytes("echo hi"), "/s")).toEqual(["/bin/sh", "/s"]);
});

describe("platforms", () => {
  test("have definitions, and files say otherwise", () => {
    for (const name of BUILT_IN_PLATFORMS)
      expect(definitionOf(temporaryDirectory(), name).packages).toContain("opam");
    const base = definitionOf(temporaryDirectory(), "debian-12");
    const own = parseDefinition('{"packages": ["gcc"], "mirror": "https://mirror.example/"}', "f", base);
    expect(own).toMatchObject({ suite: "bookworm", packages: ["gcc"], mirror: "https://mirror.example/" });
    const wrong = [
      "[]",
      "{",
      '{"suite": "--x"}',
      '{"suite": "a", "packages": ["-y"]}',
      '{"suite": "a", "mirror": "-x"}',
      '{"suite": "a", "packges": []}',
    ];
    for (const text of [...wrong, "{}", '{"suite": 1}']) {
      expect(() => parseDefinition(text, "f", undefined), text).toThrow("doesn't define a platform");
    }
    expect(() => definitionOf(temporaryDirectory(), "plan9-4")).toThrow("nothing says");
  });

  test("take the host's own sources for its own suite only", () => {
    const definition = definitionOf(temporaryDirectory(), "debian-12");
    const host = { suite: "bookworm", file: "/etc/apt/sources.list" };
    expect(bootstrapArguments(definition, "/t", true, host).slice(-3)).toEqual(["bookworm", "/t", host.file]);
    expect(bootstrapArguments(definition, "/t", false, { ...host, suite: "trixie" }).slice(-2)).toEqual([
      "bookworm",
      "/t",
    ]);
    expect(bootstrapArguments(definition, "/t", false, host)).toContain("--skip=chroot/mount/sys");
    expect(bootstrapArguments(definition, "/t", true, host)).not.toContain("--skip=chroot/mount/sys");
  });

  test("are known by their installed packages, sorted", () => {
    const paragraph = (name: string, status: string) =>
      `Package: ${name}\nStatus: ${status}\nArchitecture: amd64\nVersion: 1:2-3\n`;
    const status = ["zlib", "apt"].map((name) => paragraph(name, "install ok installed"));
    const text = [...status, paragraph("gone", "deinstall ok config-files")].join("\n");
    expect(installedPackages(text)).toBe("apt:amd64=1:2-3\nzlib:amd64=1:2-3\n");
  });
});

test("limits are written as each version of control groups has them", () => {
  const limits = { memoryMb: 64, cpus: 1.5, processes: 10 };
  const texts = (version: 1 | 2) => limitWrites(version, limits).map(({ file, text }) => `${file}=${text}`);
  expect(texts(2)).toEqual([
    "memory.max=67108864",
    "memory.swap.max=0",
    "cpu.max=150000 100000",
    "pids.max=10",
  ]);
  expect(texts(1)).toEqual([
    ...["memory.limit_in_bytes=67108864", "memory.memsw.limit_in_bytes=67108864"],
    ...["cpu.cfs_period_us=100000", "cpu.cfs_quota_us=150000", "pids.max=10"],
  ]);
  expect(limitWrites(2, { memoryMb: undefined, cpus: undefined, processes: undefined })).toEqual([]);
  expect(ownGroup("4:memory:/a\n0::/b\n", "memory")).toBe("/a");
  expect(ownGroup("4:memory:/a\n0::/b\n", "")).toBe("/b");
});

test("users have ranges in subuid files, large enough ones", () => {
  const text = "anna:1000:10\nanna:200000:65536\n1001:300000:65536\n";
  expect(subordinateRange(text, "anna", 1000)).toBe(200_000);
  expect(subordinateRange(text, "otto", 1001)).toBe(300_000);
  expect(subordinateRange(text, "nobody", 65_534)).toBeUndefined();
});

describe("docker and podman", () => {
  const wish = {
    ...{
      program: "docker" as const,
      name: "n",
      image: "debian:12",
      directory: "/d",
      executable: "/usr/bin/robur",
    },
    command: ["/build/script.sh"],
  };
  const limits = { memoryMb: 512, cpus: 1.5, processes: 100, diskMb: undefined };

  test("get the same surroundings and limits", () => {
    const argv = containerArguments({ ...wish, wish: { limits, network: { kind: "none" } } });
    const line = argv.join(" ");
    expect(argv.slice(-2)).toEqual(["debian:12", "/build/script.sh"]);
    for (const part of [
      ...[
        "--network none",
        "--memory 512m --memory-swap 512m",
        "--cpus 1.5",
        "--pids-limit 100",
        "--hostname build",
      ],
      ...[
        "--cap-drop ALL",
        "no-new-privileges",
        "/d:/build",
        "/usr/bin/robur:/usr/bin/orb:ro",
        "--workdir /build",
      ],
    ]) {
      expect(line).toContain(part);
    }
  });

  test("refuse what they can't do", () => {
    const hosts = { kind: "hosts" as const, hosts: ["a.example"] };
    expect(() => containerArguments({ ...wish, wish: { limits, network: hosts } })).toThrow(
      "can't let a job reach",
    );
    const disk = { limits: { ...limits, diskMb: 10 }, network: { kind: "all" as const } };
    expect(() => containerArguments({ ...wish, wish: disk })).toThrow("can't limit what a job writes");
  });
});
