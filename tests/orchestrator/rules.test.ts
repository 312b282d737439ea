// What is checked before anything is done: configurations, policies, room on the machine, names.
import { expect, test } from "bun:test";
import type { ImageView, Policy, PolicyPath, Sha256, UnikernelConfig } from "../../src/orchestrator/api.ts";
import { ownGroup } from "../../src/orchestrator/cgroups.ts";
import { completeConfig } from "../../src/orchestrator/config.ts";
import {
  ancestorsOf,
  isNameWithin,
  parseName,
  parsePath,
  writtenName,
} from "../../src/orchestrator/names.ts";
import { type Usage, checkNewPolicy, checkUnikernel, checkVolume } from "../../src/orchestrator/policies.ts";
import { checkRoom, freeMemory, leastLoaded } from "../../src/orchestrator/resources.ts";
import { ADMIN, makeLab, name, refusal, value } from "./lab.ts";

const path = (text: string) => parsePath(text)!;

test("names and paths as albatross reads and writes them", () => {
  expect(parseName("hello")).toBe(name("hello"));
  expect(parseName(":Hello")).toBe(name("hello"));
  expect(writtenName(name("hello"))).toBe(":hello");
  expect(writtenName(name("a:b:c"))).toBe("a:b:c");
  for (const bad of ["", ":", "a::b", "foo:", "-a", "a_b", "x".repeat(64), "a b"])
    expect(parseName(bad)).toBeUndefined();
  expect(parseName(".")).toBe("." as never);
  expect([parsePath(":"), parsePath(""), parsePath("foo:"), parsePath("foo")]).toEqual([
    "",
    "",
    "foo",
    "foo",
  ] as never);
  expect(isNameWithin(name("foo:bar"), path("foo"))).toBe(true);
  expect(isNameWithin(name("foo"), path("foo"))).toBe(false);
  expect(isNameWithin(name("food:bar"), path("foo"))).toBe(false);
  expect(ancestorsOf(path("a:b:c"))).toEqual(["a:b", "a", ""] as never);
});

const image = (devices: ImageView["devices"] = [], target: "hvt" | "spt" = "spt"): ImageView => ({
  sha256: "0".repeat(64) as Sha256,
  size: 1,
  target,
  abiVersion: 2,
  devices,
  createdAt: 0,
  usedBy: [],
});
const net = (device: string) => ({ name: device, type: "net" as const });
const disk = (device: string) => ({ name: device, type: "block" as const });
const complete = (given: Partial<UnikernelConfig>, of: ImageView, who = "web") =>
  completeConfig(name(who), given, of, (network) => network === "lan");
const messageOf = (given: Partial<UnikernelConfig>, of: ImageView) => {
  const outcome = complete(given, of);
  return outcome.ok ? "ok" : `${outcome.refusal.message} / ${outcome.refusal.hint ?? ""}`;
};
const network = (device: string, on: string | null = null) => ({
  device,
  network: on,
  mac: null,
  address: null,
});
const volume = (device: string, of: string) => ({ device, volume: of, sectorSize: null });

test("networks nobody named are chosen, a wrong name for the only device is understood", () => {
  expect(value(complete({}, image([net("service")]))).networks).toEqual([network("service", "service")]);
  expect(value(complete({}, image([net("lan")]))).networks).toEqual([network("lan", "lan")]);
  expect(value(complete({}, image([net("wan"), net("Private")]))).networks).toEqual([
    network("wan", "service"),
    network("Private"),
  ]);
  expect(value(complete({ networks: [network("br0", "br0")] }, image([net("service")]))).networks).toEqual([
    network("service", "br0"),
  ]);
  const two = image([net("service"), net("private")]);
  expect(messageOf({ networks: [network("br0", "br0")] }, two)).toContain(
    "network devices: service, private",
  );
});

test("volumes are never chosen, and belong to the unikernel's path", () => {
  expect(messageOf({}, image([disk("storage")]))).toContain(
    "no volume is given for the block device storage",
  );
  const one = image([disk("storage")]);
  expect(value(complete({ blocks: [volume("data", "disk")] }, one, "family:web")).blocks).toEqual([
    volume("storage", "family:disk"),
  ]);
  expect(complete({ blocks: [volume("storage", "other:disk")] }, one, "family:web").ok).toBe(false);
  expect(
    messageOf({ blocks: [volume("storage", "a"), volume("b", "a")] }, image([disk("storage"), disk("b")])),
  ).toContain("two devices");
});

test("values out of range are refused with the value", () => {
  expect(messageOf({ memoryMb: 0 }, image())).toContain("memory is 0");
  expect(messageOf({ memoryMb: 8192 }, image([], "hvt"))).toContain("8192");
  expect(messageOf({ cpus: [] }, image())).toContain("empty");
  expect(messageOf({ args: ["x".repeat(9000)] }, image())).toContain("too long");
  expect(messageOf({ args: ["a\0b"] }, image())).toContain("NUL");
  expect(messageOf({ priority: -1 }, image())).toContain("-1");
  expect(
    messageOf({ publish: [{ protocol: "tcp", hostAddress: null, hostPort: 80, guestPort: 80 }] }, image()),
  ).toContain("no network device");
  expect(messageOf({ networks: [{ ...network("service"), mac: "no" }] }, image([net("service")]))).toContain(
    "no MAC",
  );
});

const policy = (more: Partial<Policy> = {}): Policy => ({
  ...{ unikernels: 2, memoryMb: 64, cpus: [0, 1], blockMb: 100, bridges: ["service"] },
  ...more,
});
const usage = (who: string, more: Partial<Usage> = {}): Usage => ({
  ...{ name: name(who), memoryMb: 32, cpus: null, bridges: [] },
  ...more,
});

test("a policy bounds what runs at or below its path", () => {
  const policies = new Map([[path("a"), policy()]]);
  const check = (wish: Usage, running: Usage[], bindsChildren = true) =>
    checkUnikernel(policies, wish, running, { bindsChildren });
  expect(check(usage("a:x"), [])).toBeUndefined();
  expect(check(usage("a:x"), [usage("a:y"), usage("a:b:z")])).toMatchObject({ limit: "unikernels" });
  expect(check(usage("a:x", { memoryMb: 40 }), [usage("a:y")])).toMatchObject({ limit: "memory" });
  expect(check(usage("a:x", { cpus: [2] }), [])).toMatchObject({ limit: "cpus", path: path("a") });
  expect(check(usage("a:x", { bridges: ["br0"] }), [])).toMatchObject({ limit: "bridges" });
  // albatross asks only the path's own policy; with the option every one above counts.
  expect(check(usage("a:b:x", { memoryMb: 100 }), [], false)).toBeUndefined();
  expect(check(usage("a:b:x", { memoryMb: 100 }), [])).toMatchObject({ limit: "memory" });
  expect(check(usage("b:x", { memoryMb: 100 }), [])).toBeUndefined();
});

test("a new policy fits between those above and below, and what runs fits in it", () => {
  const policies = new Map<PolicyPath, Policy>([
    [path(""), policy({ memoryMb: 1 })],
    [path("a"), policy()],
    [path("a:b:c"), policy({ memoryMb: 32 })],
  ]);
  const check = (wish: Policy, running: Usage[] = [], volumes = new Map<PolicyPath, number>()) =>
    checkNewPolicy(policies, path("a:b"), wish, running, volumes);
  expect(check(policy())).toBeUndefined();
  expect(check(policy({ memoryMb: 65 }))).toMatchObject({ limit: "memory", path: path("a") });
  expect(check(policy({ memoryMb: 16 }))).toMatchObject({ limit: "memory", path: path("a:b:c") });
  expect(check(policy({ blockMb: null }))).toMatchObject({ limit: "block" });
  expect(check(policy(), [usage("a:b:x"), usage("a:b:y"), usage("a:b:z")])).toMatchObject({
    limit: "unikernels",
  });
  expect(check(policy(), [usage("a:b:x", { cpus: [3] })])).toMatchObject({ limit: "cpus" });
  expect(check(policy(), [], new Map([[path("a:b:c"), 101]]))).toMatchObject({ limit: "block" });
});

test("volumes are counted where they are", () => {
  const policies = new Map([[path("a"), policy()]]);
  const have = new Map([[path("a"), 60]]);
  const rules = { bindsChildren: true };
  expect(checkVolume(policies, path("a"), 40, have, rules)).toBeUndefined();
  expect(checkVolume(policies, path("a:b"), 41, have, rules)).toMatchObject({ limit: "block" });
  expect(checkVolume(policies, path("b"), 4100, have, rules)).toBeUndefined();
});

test("the machine's memory is promised once only, and some is left to it", () => {
  const host = { memoryMb: 1000, cpus: [0, 1] };
  const share = (memoryMb: number, cpus: number[] | null = null) => ({
    memoryMb,
    cpus,
    target: "spt" as const,
  });
  expect(freeMemory(host, [])).toBe(872);
  expect(checkRoom(host, share(500), [])).toBeUndefined();
  expect(checkRoom(host, share(500), [share(400)])).toMatchObject({ resource: "memory" });
  expect(checkRoom(host, share(1, [5]), [])).toMatchObject({ resource: "cpu" });
  expect(leastLoaded([0, 1], [share(1, [0])])).toBe(1);
  expect(leastLoaded([0, 1], [share(1, [0, 1]), share(1, [1])])).toBe(0);
  expect(leastLoaded([], [])).toBeUndefined();
});

test("policies and room are asked before anything is done", async () => {
  await using lab = makeLab({ host: { memoryMb: 1000, cpus: [0, 1] } });
  const { orchestrator } = lab;
  const tick = await lab.put("tick");
  const create = (who: string, memoryMb: number, more: Partial<UnikernelConfig> = {}) =>
    orchestrator.create(ADMIN, {
      name: name(who),
      image: tick,
      config: { memoryMb, addName: false, args: ["every=60000"], ...more },
    });
  expect(refusal(await create("big", 900))).toBe("no-resources");
  expect(refusal(orchestrator.policies.set(ADMIN, path("kids"), policy({ unikernels: 1, cpus: [1] })))).toBe(
    "ok",
  );
  expect(value(await create("kids:a", 8)).unikernel.cpus).toEqual([1]);
  expect(refusal(await create("kids:b", 8))).toBe("over-policy");
  expect(refusal(await create("kids:b", 8, { cpus: [0] }))).toBe("over-policy");
  expect(orchestrator.policies.list(ADMIN)[0]!.used).toMatchObject({ unikernels: 1, memoryMb: 8 });
  const kid = { who: "kid", path: path("kids") };
  expect(refusal(orchestrator.policies.set(kid, path("kids"), policy()))).toBe("not-permitted");
  expect(
    refusal(orchestrator.policies.set(kid, path("kids:own"), policy({ unikernels: 1, cpus: [1] }))),
  ).toBe("ok");
  // What is replaced doesn't count, and is left alone when the new one isn't in order.
  const replace = { name: name("kids:a"), image: tick, replace: true, config: { memoryMb: 65 } };
  expect(refusal(await orchestrator.create(ADMIN, replace))).toBe("over-policy");
  expect(value(orchestrator.inspect(ADMIN, name("kids:a"))).state).toBe("running");
  const fits = { ...replace, config: { memoryMb: 60, addName: false, args: ["every=60000"] } };
  expect(value(await orchestrator.create(ADMIN, fits)).unikernel.config.memoryMb).toBe(60);
  expect(lab.tenders().length).toBe(1);
});

test("the own control group in both forms of /proc/self/cgroup", () => {
  expect(ownGroup("0::/system.slice/robur.service\n", "")).toBe("/system.slice/robur.service");
  expect(ownGroup("9:memory:/a\n4:cpu,cpuacct:/b\n0::/\n", "memory")).toBe("/a");
  expect(ownGroup("4:cpu,cpuacct:/b\n", "memory")).toBeUndefined();
});
