// Real guests through their whole life: create, look, stop, start, restart, rename, change, remove.
import { expect, test } from "bun:test";
import { lacks, needsKvm } from "../needs.ts";
import { ADMIN, makeLab, name, refusal, until, value } from "./lab.ts";

test("create answers when the guest runs, with its first lines", async () => {
  await using lab = makeLab();
  const { unikernel, console } = await lab.run("tick", "tick", { args: ["every=10000"] });
  expect(unikernel.state).toBe("running");
  expect(unikernel.reason).toBeNull();
  expect(console.length).toBeGreaterThan(0);
  expect(lab.tenders()).toEqual([unikernel.pid!]);
});

test("create answers when the guest has ended, and why", async () => {
  await using lab = makeLab();
  const { unikernel } = await lab.run("bye", "exit", { args: ["status=7"], restart: { kind: "no" } });
  expect(unikernel.state).toBe("failed");
  expect(unikernel.exit).toEqual({ kind: "status", status: 7 });
  expect(unikernel.reason).toContain("status 7");
  const { unikernel: done } = await lab.run("done", "exit", {});
  expect(done).toMatchObject({ state: "stopped", desired: "stopped", exit: { kind: "status", status: 0 } });
});

test("stop, start, restart, remove", async () => {
  await using lab = makeLab();
  const { orchestrator } = lab;
  const tick = name("tick");
  await lab.run("tick", "tick", { args: ["every=10000"] });
  expect(value(await orchestrator.stop(ADMIN, tick))).toMatchObject({ state: "stopped", pid: null });
  expect(lab.tenders()).toEqual([]);
  const started = value(await orchestrator.start(ADMIN, tick));
  expect(started.unikernel.state).toBe("running");
  const again = value(await orchestrator.restart(ADMIN, tick));
  expect(again.unikernel.state).toBe("running");
  expect(again.unikernel.pid).not.toBe(started.unikernel.pid);
  expect(refusal(await orchestrator.remove(ADMIN, tick))).toBe("conflict");
  value(await orchestrator.remove(ADMIN, tick, { force: true }));
  expect(lab.tenders()).toEqual([]);
  expect(orchestrator.list(ADMIN)).toEqual([]);
  expect(refusal(await orchestrator.start(ADMIN, tick))).toBe("not-found");
});

test("a guest that fails in a loop is started again later and later, and says so", async () => {
  await using lab = makeLab();
  await lab.run("crash", "exit", { args: ["status=9"] });
  const view = await until("three restarts", () => {
    const now = value(lab.orchestrator.inspect(ADMIN, name("crash")));
    return now.restarts >= 3 && now.state === "backing-off" && now;
  });
  expect(view.reason).toContain("status 9");
  expect(view.nextRetryAt!).toBeGreaterThan(Date.now());
  expect(value(await lab.orchestrator.stop(ADMIN, name("crash"))).state).toBe("stopped");
});

test("a guest that doesn't know --name is started once more without", async () => {
  await using lab = makeLab();
  const { unikernel } = await lab.run("strict", "exit", { args: ["status=64"], addName: true });
  expect(unikernel.state).toBe("failed");
  const starts = lab.orchestrator.events.read(ADMIN).filter(({ kind }) => kind === "starting");
  expect(starts.map(({ text }) => text)).toEqual([
    "starting",
    "it seems not to know --name: started again without",
  ]);
});

test("what is changed counts from the next start", async () => {
  await using lab = makeLab();
  await lab.run("tick", "tick", { args: ["every=10000"] });
  const later = value(await lab.orchestrator.updateConfig(ADMIN, name("tick"), { config: { memoryMb: 16 } }));
  expect(later.unikernel).toMatchObject({ hasPendingChanges: true, state: "running" });
  const now = value(
    await lab.orchestrator.updateConfig(ADMIN, name("tick"), { config: { priority: 3 }, restart: true }),
  );
  expect(now.unikernel).toMatchObject({ hasPendingChanges: false, state: "running" });
  expect(now.unikernel.config).toMatchObject({ memoryMb: 16, priority: 3 });
  expect(refusal(await lab.orchestrator.updateConfig(ADMIN, name("tick"), { config: { memoryMb: 0 } }))).toBe(
    "bad-config",
  );
});

test("a rename keeps console and process", async () => {
  await using lab = makeLab();
  const { unikernel } = await lab.run("old", "tick", { args: ["every=10000"] });
  const renamed = value(await lab.orchestrator.rename(ADMIN, name("old"), name("family:new")));
  expect(renamed).toMatchObject({ name: "family:new", pid: unikernel.pid!, id: unikernel.id });
  expect(lab.log("family:new").length).toBeGreaterThan(0);
  expect(refusal(lab.orchestrator.inspect(ADMIN, name("old")))).toBe("not-found");
  value(await lab.orchestrator.stop(ADMIN, name("family:new")));
});

test("an actor sees and touches only what is in its path", async () => {
  await using lab = makeLab();
  await lab.run("mine", "tick", { args: ["every=10000"] });
  const guest = { who: "guest", path: "guests" as never };
  expect(lab.orchestrator.list(guest)).toEqual([]);
  expect(refusal(await lab.orchestrator.stop(guest, name("mine")))).toBe("not-found");
  expect(refusal(lab.orchestrator.console.read(guest, name("mine")))).toBe("not-found");
  const image = await lab.put("tick");
  const create = (text: string) =>
    lab.orchestrator.create(guest, { name: name(text), image, config: { memoryMb: 8 } });
  expect(refusal(await create("theirs"))).toBe("not-permitted");
  expect(refusal(await create("guests:theirs"))).toBe("ok");
  expect(lab.orchestrator.events.read(guest).every(({ path }) => path === "guests")).toBe(true);
});

test.skipIf(lacks(needsKvm()))("hvt guests live the same life", async () => {
  await using lab = makeLab();
  const { unikernel, console } = await lab.run("tick", "tick", { args: ["every=10000"] }, "hvt");
  expect(unikernel.state).toBe("running");
  expect(console.length).toBeGreaterThan(0);
  expect(lab.tenders()).toEqual([unikernel.pid!]);
  value(await lab.orchestrator.stop(ADMIN, name("tick")));
  expect(lab.tenders()).toEqual([]);
});
