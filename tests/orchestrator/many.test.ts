// @alone
// Many spt unikernels on one server: create all, list them, destroy all. ROBUR_MANY=500 is the full measure.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { ADMIN, makeLab, name, until, value } from "./lab.ts";

const MANY = Number(process.env["ROBUR_MANY"] ?? 100);

function residentKib(): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))![1]);
}

test(`${MANY} unikernels are made, listed in less than 50 ms and removed, and nothing is left`, async () => {
  await using lab = makeLab();
  const { orchestrator } = lab;
  const image = await lab.put("tick");
  await lab.run("warm", "tick", { args: ["every=60000"] });
  Bun.gc(true);
  const before = residentKib();
  const started = performance.now();
  const names = Array.from({ length: MANY }, (_, i) => name(`many:u${i}`));
  const config = { memoryMb: 8, addName: false, args: ["every=60000"] };
  const created = await Promise.all(
    names.map((one) => orchestrator.create(ADMIN, { name: one, image, config }).then(value)),
  );
  const createMs = performance.now() - started;
  expect(created.every(({ unikernel }) => unikernel.state === "running")).toBe(true);
  expect(created.every(({ console }) => console.length > 0)).toBe(true);
  Bun.gc(true);
  const perUnikernel = (residentKib() - before) / MANY;

  const from = performance.now();
  expect(orchestrator.list(ADMIN).length).toBe(MANY + 1);
  const listMs = performance.now() - from;
  const cpus = new Map<number, number>();
  for (const { unikernel } of created) {
    for (const cpu of unikernel.cpus ?? []) cpus.set(cpu, (cpus.get(cpu) ?? 0) + 1);
  }

  const removing = performance.now();
  await Promise.all(names.map((one) => orchestrator.remove(ADMIN, one, { force: true }).then(value)));
  const removeMs = performance.now() - removing;
  await until("all to be gone", () => lab.tenders().length === 1);
  console.log(
    `${MANY}: created in ${createMs.toFixed(0)} ms, listed in ${listMs.toFixed(1)} ms, ` +
      `removed in ${removeMs.toFixed(0)} ms, ${perUnikernel.toFixed(0)} KiB each, on processors ${[...cpus.values()].join("/")}`,
  );
  expect(listMs).toBeLessThan(50);
  const loads = [...cpus.values()];
  expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(1);
}, 300_000);
