// A server that ends, however it does, and the one after it.
import { expect, test } from "bun:test";
import { fileAttachments } from "../../src/orchestrator/attachments.ts";
import { newToken } from "../../src/orchestrator/process/identity.ts";
import { lacks, needsKvm } from "../needs.ts";
import { ADMIN, makeLab, name, texts, until, value } from "./lab.ts";

const FOREVER = { args: ["every=20"], restart: { kind: "always" } as const };

test("what runs goes on running, and the next server has it with its console", async () => {
  await using lab = makeLab();
  const { unikernel } = await lab.run("tick", "tick", FOREVER);
  const before = lab.log("tick");
  await lab.close();
  expect(lab.tenders()).toEqual([unikernel.pid!]);
  await lab.open().recovered;
  const now = value(lab.orchestrator.inspect(ADMIN, name("tick")));
  expect(now).toMatchObject({ state: "running", pid: unikernel.pid!, startedAt: unikernel.startedAt! });
  expect(lab.log("tick").slice(0, before.length)).toEqual(before);
  const stop = new AbortController();
  const items = value(lab.orchestrator.console.follow(ADMIN, name("tick"), { tail: 0 }, stop.signal));
  for await (const item of items) {
    expect(texts([item])[0]).toMatch(/\d/);
    break;
  }
  stop.abort();
  expect(value(await lab.orchestrator.stop(ADMIN, name("tick"))).state).toBe("stopped");
  expect(lab.tenders()).toEqual([]);
});

test.skipIf(lacks(needsKvm()))("hvt: adopted, and stopped by the server that adopted it", async () => {
  await using lab = makeLab();
  const { unikernel } = await lab.run("tick", "tick", FOREVER, "hvt");
  await lab.close();
  await lab.open().recovered;
  expect(value(lab.orchestrator.inspect(ADMIN, name("tick"))).pid).toBe(unikernel.pid);
  value(await lab.orchestrator.stop(ADMIN, name("tick")));
  expect(lab.tenders()).toEqual([]);
});

test("the end of an adopted one is noticed, and how it ended where the kernel tells", async () => {
  await using lab = makeLab();
  const { unikernel } = await lab.run("tick", "tick", { args: ["every=100"], restart: { kind: "no" } });
  await lab.close();
  await lab.open().recovered;
  process.kill(unikernel.pid!, "SIGKILL");
  const now = await until("the end to be noticed", () => {
    const view = value(lab.orchestrator.inspect(ADMIN, name("tick")));
    return view.state === "failed" && view;
  });
  // Whoever is its parent here is this process, which has taken note of its end: then nobody can tell any more.
  expect(["signal", "unknown"]).toContain(now.exit!.kind);
});

test("what ended while nobody was there is told so, and treated as its policy says", async () => {
  await using lab = makeLab();
  const always = await lab.run("always", "tick", FOREVER);
  const never = await lab.run("never", "tick", { args: ["every=20"], restart: { kind: "no" } });
  await lab.close();
  for (const { unikernel } of [always, never]) process.kill(unikernel.pid!, "SIGKILL");
  await until("both to be gone", () => lab.tenders().length === 0);
  await lab.open().recovered;
  const back = await until("the one to be back", () => {
    const view = value(lab.orchestrator.inspect(ADMIN, name("always")));
    return view.state === "running" && view;
  });
  expect(back.pid).not.toBe(always.unikernel.pid);
  expect(back.exit).toEqual({ kind: "unknown" });
  const gone = value(lab.orchestrator.inspect(ADMIN, name("never")));
  expect(gone).toMatchObject({ state: "failed", exit: { kind: "unknown" } });
  expect(gone.reason).toContain("while the server was away");
});

test("after a boot all that ran is started again, smaller priorities first, and what can't be is reported", async () => {
  await using lab = makeLab();
  await lab.run("third", "tick", { ...FOREVER, priority: 30 });
  await lab.run("first", "tick", { ...FOREVER, priority: 10, restart: { kind: "no" } });
  await lab.run("second", "tick", { ...FOREVER, priority: 20 });
  await lab.run("bad", "blk", { priority: 5, restart: { kind: "no" }, blocks: [block("disk.img")] });
  await lab.run("off", "tick", FOREVER);
  value(await lab.orchestrator.stop(ADMIN, name("off")));
  const last = lab.orchestrator.events.read(ADMIN).at(-1)!.id;
  await lab.close();
  for (const pid of lab.tenders()) process.kill(pid, "SIGKILL");
  await until("all to be gone", () => lab.tenders().length === 0);
  await lab.open({ boot: "another boot" }).recovered;
  const states = lab.orchestrator.list(ADMIN).map((view) => [view.name as string, view.state as string]);
  expect(states).toEqual([
    ["bad", "failed"],
    ["first", "running"],
    ["off", "stopped"],
    ["second", "running"],
    ["third", "running"],
  ]);
  const events = lab.orchestrator.events.read(ADMIN, { after: last });
  const order = events
    .filter(({ kind }) => kind === "running")
    .map(({ unikernel }) => unikernel!.name as string);
  expect(order.filter((one, i) => order.indexOf(one) === i)).toEqual(["first", "second", "third"]);
});

function block(volume: string) {
  return { device: "storage", volume, sectorSize: null };
}

test("all killed on the same boot, they return in order too", async () => {
  await using lab = makeLab();
  for (const [who, priority] of [
    ["c", 3],
    ["a", 1],
    ["b", 2],
  ] as const)
    await lab.run(who, "tick", { ...FOREVER, priority });
  const last = lab.orchestrator.events.read(ADMIN).at(-1)!.id;
  await lab.close();
  for (const pid of lab.tenders()) process.kill(pid, "SIGKILL");
  await until("all to be gone", () => lab.tenders().length === 0);
  await lab.open().recovered;
  const events = lab.orchestrator.events.read(ADMIN, { after: last });
  const order = events
    .filter(({ kind }) => kind === "running")
    .map(({ unikernel }) => unikernel!.name as string);
  expect(order).toEqual(["a", "b", "c"]);
  expect(lab.orchestrator.list(ADMIN).map(({ restarts }) => restarts)).toEqual([1, 1, 1]);
});

test("stopped with the server, started with the next one", async () => {
  await using lab = makeLab();
  await lab.run("tick", "tick", FOREVER);
  await lab.orchestrator.shutdown({ stopUnikernels: true });
  expect(lab.tenders()).toEqual([]);
  await lab.open().recovered;
  expect(value(lab.orchestrator.inspect(ADMIN, name("tick"))).state).toBe("running");
});

test("a process of this instance that nobody knows is ended, others are let be", async () => {
  await using lab = makeLab();
  await lab.close();
  const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
  const ours = Bun.spawn(["sleep", "600"], {
    argv0: `sleep${newToken(lab.instance, random)}`,
    detached: true,
  });
  const others = Bun.spawn(["sleep", "600"], {
    argv0: `sleep${newToken("00000000", random)}`,
    detached: true,
  });
  await until("both to run", () => lab.tenders().length === 1);
  await lab.open().recovered;
  expect(await ours.exited).toBe(137);
  expect(others.exitCode).toBeNull();
  others.kill("SIGKILL");
  const warnings = lab.orchestrator.events.read(ADMIN).filter(({ kind }) => kind === "warning");
  expect(warnings.map(({ text }) => text)).toEqual([
    `ended the process ${ours.pid}: a unikernel that this database knows nothing of`,
  ]);
});

test("what one start was given is taken back when it ends, and again by the next server", async () => {
  const calls: string[] = [];
  const plain = fileAttachments(() => "");
  await using lab = makeLab({
    attachments: {
      ...plain,
      prepare: async (wish) => {
        calls.push(`prepare ${wish.name}`);
        return { ...(await plain.prepare(wish)), started: async () => void calls.push("started") };
      },
      release: async (_id, of) => void calls.push(`release ${of}`),
      sweep: async (alive) => void calls.push(`sweep ${alive.map((one) => one.name).join()}`),
      forget: async (_id, of) => void calls.push(`forget ${of}`),
    },
  });
  await lab.orchestrator.recovered;
  await lab.run("tick", "tick", FOREVER);
  await lab.close();
  await lab.open().recovered;
  value(await lab.orchestrator.remove(ADMIN, name("tick"), { force: true }));
  expect(calls).toEqual([
    ...["sweep ", "prepare tick", "started"],
    ...["sweep tick", "release tick", "forget tick"],
  ]);
});
