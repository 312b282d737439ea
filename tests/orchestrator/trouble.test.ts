// A guest that floods its console, a disk that is full, a clock that is set back, limits that the kernel enforces.
import { expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { databasePath, openDatabase } from "../../src/db/open.ts";
import { instanceOf } from "../../src/network/names.ts";
import { fileAttachments } from "../../src/orchestrator/attachments.ts";
import { openOrchestrator } from "../../src/orchestrator/orchestrator.ts";
import { buildGuest } from "../guests/build.ts";
import { lacks, needsRoot } from "../needs.ts";
import { ADMIN, endTenders, makeLab, name, texts, until, value } from "./lab.ts";

test("a guest that floods its console starves neither the readers of others nor the server", async () => {
  await using lab = makeLab();
  await lab.run("flood", "flood", { cpus: [1] });
  await lab.run("tick", "tick", { args: ["every=10"], cpus: [0] });
  const stop = new AbortController();
  let flooded = 0;
  const readers = [1, 2, 3].map(async () => {
    const items = value(lab.orchestrator.console.follow(ADMIN, name("flood"), {}, stop.signal));
    for await (const item of items) if (item.kind === "line") flooded += 1;
  });
  const items = value(lab.orchestrator.console.follow(ADMIN, name("tick"), { tail: 0 }, stop.signal));
  const gaps: number[] = [];
  let last = performance.now();
  for await (const item of items) {
    expect(item.kind).toBe("line");
    gaps.push(performance.now() - last);
    last = performance.now();
    if (gaps.length === 200) break;
  }
  stop.abort();
  await Promise.all(readers);
  const seconds = gaps.reduce((sum, gap) => sum + gap, 0) / 1000;
  expect(flooded / seconds).toBeGreaterThan(10_000);
  // A line each 10 ms; it is looked for each 10 ms, and the two share this machine with a guest that never waits.
  expect(gaps.toSorted((a, b) => a - b)[180]).toBeLessThan(100);
  expect(value(await lab.orchestrator.stop(ADMIN, name("flood"))).state).toBe("stopped");
});

test("the log of a flood stays bounded while nobody reads it", async () => {
  await using lab = makeLab({ consoleBytes: 1 << 20 });
  const { unikernel } = await lab.run("flood", "flood", {});
  await until(
    "much to be written",
    () => value(lab.orchestrator.inspect(ADMIN, name("flood"))).consoleEnd > 20e6,
  );
  value(await lab.orchestrator.stop(ADMIN, name("flood")));
  const { stdout } = Bun.spawnSync(["du", "-k", join(lab.directory, "consoles", `${unikernel.id}.log`)]);
  expect(Number(stdout.toString().split("\t")[0])).toBeLessThan(3000);
  expect(lab.log("flood").length).toBeGreaterThan(100);
});

test("a clock that is set back a year neither ends nor delays anything", async () => {
  let shift = 0;
  await using lab = makeLab({ now: () => Date.now() - shift });
  await lab.run("tick", "tick", { args: ["every=20"] });
  await lab.run("crash", "exit", { args: ["status=9"] });
  shift = 365 * 24 * 3_600_000;
  const restarts = value(lab.orchestrator.inspect(ADMIN, name("crash"))).restarts;
  await until("it to be tried again", () => {
    return value(lab.orchestrator.inspect(ADMIN, name("crash"))).restarts > restarts;
  });
  expect(value(lab.orchestrator.inspect(ADMIN, name("tick"))).state).toBe("running");
  await lab.close();
  await lab.open({ now: () => Date.now() - shift }).recovered;
  expect(value(lab.orchestrator.inspect(ADMIN, name("tick"))).state).toBe("running");
  value(await lab.orchestrator.stop(ADMIN, name("crash")));
});

test.skipIf(lacks(needsRoot()))(
  "a full disk is told, ends nothing, and is over when there is room",
  async () => {
    const directory = mkdtempSync(join(tmpdir(), "robur-full-"));
    const mount = (...args: string[]) => expect(Bun.spawnSync(args).exitCode).toBe(0);
    mount("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", directory);
    try {
      const db = openDatabase(databasePath(directory));
      const attachments = fileAttachments(() => "");
      const orchestrator = openOrchestrator({ db, dataDirectory: directory, attachments, useCgroups: false });
      const bytes = readFileSync(await buildGuest("tick", "spt"));
      const image = value(await orchestrator.images.put(ADMIN, bytes)).sha256;
      const config = {
        memoryMb: 8,
        addName: false,
        args: ["every=20"],
        restart: { kind: "always" } as const,
      };
      const create = (who: string) => orchestrator.create(ADMIN, { name: name(who), image, config });
      const { pid } = value(await create("tick")).unikernel;
      const filler = join(directory, "filler");
      mkdirSync(filler);
      for (const [i, size] of [1 << 20, 1 << 16, 1 << 12].entries()) {
        for (let n = 0; n < 300; n++) {
          try {
            writeFileSync(join(filler, `${i}-${n}`), new Uint8Array(size));
          } catch {
            break;
          }
        }
      }
      // Whatever is asked for while the disk is full is refused in words, or done.
      const answers = await Promise.allSettled([create("second"), orchestrator.stop(ADMIN, name("tick"))]);
      for (const answer of answers) {
        if (answer.status === "rejected") expect(String(answer.reason)).toContain("disk is full");
      }
      expect(pid).not.toBeNull();
      rmSync(filler, { recursive: true });
      value(
        await orchestrator
          .start(ADMIN, name("tick"))
          .then((one) => (one.ok ? one : orchestrator.restart(ADMIN, name("tick")))),
      );
      await until("all to be well again", () => {
        return value(orchestrator.inspect(ADMIN, name("tick"))).state === "running";
      });
      expect(db.query("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
      await orchestrator.shutdown();
      db.close();
    } finally {
      endTenders(instanceOf(directory));
      await until("the tenders to be gone", () => Bun.spawnSync(["umount", directory]).exitCode === 0);
      rmSync(directory, { recursive: true, force: true });
    }
  },
);

function limitOf(pid: number): number | undefined {
  const own = readFileSync(`/proc/${pid}/cgroup`, "utf8");
  const memory = /^\d+:memory:(.*)$/m.exec(own)?.[1];
  const unified = /^0::(.*)$/m.exec(own)?.[1];
  const candidates = [
    `/sys/fs/cgroup/memory${memory}/memory.limit_in_bytes`,
    `/sys/fs/cgroup${unified}/memory.max`,
  ];
  const path = candidates.find((one) => existsSync(one));
  return path === undefined ? undefined : Number(readFileSync(path, "utf8"));
}

test.skipIf(lacks(needsRoot()))("memory is limited by a control group where there are some", async () => {
  await using lab = makeLab({ useCgroups: true });
  const { unikernel } = await lab.run("tick", "tick", { args: ["every=1000"] });
  const limit = limitOf(unikernel.pid!);
  if (limit !== undefined && Number.isFinite(limit) && limit < 1e15) expect(limit).toBe(24 << 20);
  expect(texts(value(lab.orchestrator.console.read(ADMIN, name("tick"))).items).length).toBeGreaterThan(0);
});
