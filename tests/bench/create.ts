// How long it takes from create to the guest's first byte on its console, and to the answer, warm: one line a target.
import { statSync } from "node:fs";
import { join } from "node:path";
import { ADMIN, makeLab, name, value } from "../orchestrator/lab.ts";

const ROUNDS = 30;

function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)]!;
}

async function measure(target: "spt" | "hvt"): Promise<string> {
  await using lab = makeLab();
  await lab.run("warm", "hello", {}, target);
  const image = await lab.put("hello", target);
  const first: number[] = [];
  const answered: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const started = performance.now();
    const config = { memoryMb: 8, addName: false, restart: { kind: "no" } as const };
    const creating = lab.orchestrator.create(ADMIN, { name: name(`u${i}`), image, config });
    const { id } = value(lab.orchestrator.inspect(ADMIN, name(`u${i}`)));
    const log = join(lab.directory, "consoles", `${id}.log`);
    while ((statSync(log, { throwIfNoEntry: false })?.size ?? 0) === 0) await Bun.sleep(0);
    first.push(performance.now() - started);
    value(await creating);
    answered.push(performance.now() - started);
    value(await lab.orchestrator.remove(ADMIN, name(`u${i}`), { force: true }));
  }
  const text = (values: readonly number[]) =>
    `median ${quantile(values, 0.5).toFixed(1)} ms, 95 % ${quantile(values, 0.95).toFixed(1)} ms`;
  return `create ${target}: first console byte ${text(first)}; answer ${text(answered)}`;
}

if (import.meta.main) for (const target of ["spt", "hvt"] as const) console.log(await measure(target));
