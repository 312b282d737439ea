/** `robur job import`: what a builder-server has scheduled, from its state file. */
import { readFileSync } from "node:fs";
import { RoburError, UsageError } from "../lib/errors.ts";
import { print, printError } from "../linux/libc.ts";
import { type BuilderState, decodeState } from "../protocols/builder/state-file.ts";
import { NEVER } from "../protocols/builder/times.ts";
import { ClientError } from "./client/client-error.ts";
import { type Client, ask, connect } from "./client/connect.ts";
import { startRuns } from "./build-run-verbs.ts";

/** Prints the names of the jobs that are defined now. What is here already stays as it is. */
export async function importState(flags: {
  readonly host: string | undefined;
  readonly file: string;
}): Promise<void> {
  const state = readState(flags.file);
  const client = connect(flags.host);
  const taken = new Set<string>();
  for (const item of state.schedule) {
    if (!(await define(client, item))) continue;
    taken.add(item.job.name);
    print(`${item.job.name}\n`);
  }
  // In the queue's own order, and only what came along: the server may have queued the others by itself.
  for (const { platform, jobs } of state.queues) {
    for (const { name } of jobs)
      if (taken.has(name)) await startRuns(client, name, { platform, reason: "imported" });
  }
  for (const platform of state.dropped) await ask(client, client.api.queue({ platform }).drop.post());
}

function readState(file: string): BuilderState {
  let bytes: Uint8Array;
  try {
    bytes = new Uint8Array(readFileSync(file));
  } catch (error) {
    throw new UsageError(`${file}: can't be read`, {
      why: error instanceof Error ? error.message : String(error),
    });
  }
  try {
    return decodeState(bytes);
  } catch (error) {
    if (!(error instanceof RoburError)) throw error;
    throw new UsageError(`${file} is no state of a builder-server`, { why: error.message });
  }
}

async function define(
  client: Client,
  { job, next, period }: BuilderState["schedule"][number],
): Promise<boolean> {
  const work =
    job.type === "orb"
      ? ({ kind: "orb", opamPackage: job.opamPackage } as const)
      : ({ kind: "script", script: job.script } as const);
  const platforms = job.type === "orb" ? [] : [job.platform];
  try {
    await ask(
      client,
      client.api.schedule.post({ name: job.name, work, platforms, recurrence: { kind: period } }),
    );
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    if (error.code !== "exists" && error.code !== "invalid") throw error;
    printError(`${job.name}: left out: ${error.message}\n`);
    return false;
  }
  if (next < NEVER) await ask(client, client.api.schedule({ job: job.name }).next.put({ at: next }));
  return true;
}
