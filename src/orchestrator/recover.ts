/**
 * What a server does first: finds again what runs, ends what nobody knows, and starts what should run.
 */
import { errorLine } from "../lib/errors.ts";
import type { Exit } from "./api.ts";
import type { Attachments } from "./attachments.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { bootId, findTenders } from "./process/identity.ts";
import type { Supervisor } from "./supervisor.ts";
import { type Unit, untilStep } from "./unit.ts";

/**
 * Recovers all unikernels that the supervisor has, smaller priorities first; those of one priority together. `onFound`
 * is called when the running ones are adopted and before anything is started. Answers once all run or have failed,
 * and tells what could not be started.
 */
export async function recover(
  supervisor: Supervisor,
  instance: string,
  attachments: Attachments,
  boot = bootId(),
): Promise<void> {
  const tenders = findTenders(instance);
  const alive: Unit[] = [];
  // Those that are there now: what is created while this waits has nothing to recover.
  const known = [...supervisor.units];
  for (const unit of known) {
    const { run } = unit.record;
    const found = run === null ? undefined : tenders.get(run.token);
    if (found === undefined || !supervisor.adopt(unit, found.pid, found.startTicks)) continue;
    tenders.delete(found.token);
    alive.push(unit);
  }
  await endStrangers(supervisor, [...tenders.values()]);
  const running = alive.map(({ record: { id, name, run }, process }) => ({
    id,
    name: run?.name ?? name,
    pid: process?.pid ?? 0,
  }));
  // A machine that has lost its means to make networks still has unikernels that need none.
  await attachments.sweep(running).catch((error: unknown) => {
    supervisor.warn(`what former unikernels were given could not be taken back: ${errorLine(error)}`);
  });
  for (const unit of alive) {
    supervisor.post(unit, { kind: "recovered", process: "alive", rebooted: false });
    unit.markReady();
  }
  const others = known.filter((unit) => !alive.includes(unit));
  report(supervisor, alive.length, await startInOrder(supervisor, others, boot));
}

/** Tenders of this instance that no unikernel has: their database is older than they are. */
async function endStrangers(
  supervisor: Supervisor,
  strangers: readonly { readonly pid: number; readonly startTicks: number }[],
): Promise<void> {
  for (const { pid, startTicks } of strangers) {
    const process = supervisor.stranger(pid, startTicks);
    if (process === undefined) continue;
    process.signal("SIGKILL");
    await process.ended;
    supervisor.warn(`ended the process ${pid}: a unikernel that this database knows nothing of`);
  }
}

/** Answers those that should run and don't. */
async function startInOrder(supervisor: Supervisor, units: readonly Unit[], boot: string): Promise<Unit[]> {
  const failed: Unit[] = [];
  const byPriority = Map.groupBy(units, ({ record }) => record.config.priority);
  for (const priority of [...byPriority.keys()].sort((a, b) => a - b)) {
    const started: Unit[] = [];
    for (const unit of byPriority.get(priority)!) {
      if (supervisor.isClosing) return failed;
      const { run } = unit.record;
      const rebooted = run !== null && run.boot !== boot;
      // The run stays recorded until the next one is: its token finds a tender that is only just coming to life.
      const change = run === null ? {} : { run: { ...run, pid: null, startTicks: null } };
      const exit = exitToldBy(supervisor.lastWords(unit));
      supervisor.post(unit, { kind: "recovered", process: "gone", rebooted, exit }, change);
      unit.markReady();
      if (unit.record.lifecycle.phase.kind === "starting") started.push(unit);
      else if (isTrouble(unit.record.lifecycle)) failed.push(unit);
    }
    await Promise.all(started.map((unit) => untilStep(unit, () => isSettled(unit, supervisor.isClosing))));
    failed.push(...started.filter((unit) => isTrouble(unit.record.lifecycle)));
  }
  return failed;
}

/** Solo5's guests say as their last words how they end. A guest that lies about it only fools itself. */
function exitToldBy(lastWords: string | undefined): Exit | undefined {
  const status = /^Solo5: solo5_exit\((\d{1,3})\) called$/.exec(lastWords ?? "")?.[1];
  return status === undefined ? undefined : { kind: "status", status: Number(status) & 0xff };
}

function report(supervisor: Supervisor, adopted: number, failed: readonly Unit[]): void {
  if (supervisor.isClosing) return;
  for (const { record } of failed) {
    supervisor.warn(`${record.name} does not run: ${record.lifecycle.reason ?? record.lifecycle.phase.kind}`);
  }
  const units = [...supervisor.units];
  const running = units.filter(({ record }) => record.lifecycle.phase.kind === "running");
  const text = `${running.length} of ${units.length} unikernels run, ${adopted} of them never stopped`;
  supervisor.announce("server-started", text);
}

function isSettled({ record: { lifecycle }, isGone }: Unit, isClosing: boolean): boolean {
  return isGone || isClosing || lifecycle.phase.kind !== "starting";
}

/** It should run and doesn't. */
function isTrouble({ phase, desired }: Lifecycle): boolean {
  return desired === "running" && (phase.kind === "failed" || phase.kind === "backing-off");
}
