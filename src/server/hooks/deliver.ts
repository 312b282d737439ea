/**
 * From events to hooks. What is to be told is in the database before anything is sent, with the number of the last
 * event that was looked at, so a server that ends in the middle goes on where it was: nothing is left out, and what
 * comes twice has the same number.
 */
import { hostname } from "node:os";
import type { OrchestratorEvent } from "../../orchestrator/api.ts";
import { write } from "../../db/open.ts";
import { ROOT_PATH } from "../../orchestrator/names.ts";
import type { ServerContext } from "../context.ts";
import { readSetting, writeSetting } from "../settings.ts";
import { notedBuild } from "../builds/note-build.ts";
import { messageOf } from "./message.ts";
import { wantsEvent } from "./schedule.ts";
import { send } from "./send.ts";
import { dueDeliveries, findHook, listHooks, nextDue, queueDelivery, recordDelivery } from "./store.ts";

const AT_ONCE = 4;
const LONGEST_SLEEP_MS = 60_000;
/** The last event that hooks were told of. */
const CURSOR = "server.hooks-cursor";
const SYSTEM = { who: "system", path: ROOT_PATH };

/** Something that can be woken: a condition variable for one waiter. */
export function createBell() {
  let ring = Promise.withResolvers<void>();
  return {
    wake: () => ring.resolve(),
    async wait(milliseconds: number): Promise<void> {
      const timer = setTimeout(() => ring.resolve(), milliseconds);
      await ring.promise;
      clearTimeout(timer);
      ring = Promise.withResolvers<void>();
    },
  };
}

export type Bell = ReturnType<typeof createBell>;

/** Puts events in line for the hooks that want them, until the server stops. */
export async function collectEvents(context: ServerContext, signal: AbortSignal): Promise<void> {
  const { db, orchestrator } = context;
  const cursor = readSetting(db, CURSOR);
  const options = typeof cursor === "number" ? { after: cursor } : {};
  for await (const event of orchestrator.events.follow(SYSTEM, options, signal)) queueEvent(context, event);
}

/** Puts one event in line. */
export function queueEvent({ db, builds, now, wakeHooks }: ServerContext, event: OrchestratorEvent): void {
  const build =
    event.kind === "build-finished" || event.kind === "build-failed" ? notedBuild(event.text) : undefined;
  const message = messageOf(event, build && builds.build(build), hostname());
  const wanting = listHooks(db).filter(({ enabled, events }) => enabled && wantsEvent(events, message.event));
  write(db, () => {
    for (const { id } of wanting) queueDelivery(db, id, message.event, JSON.stringify(message), now());
    writeSetting(db, CURSOR, event.id);
  });
  if (wanting.length > 0) wakeHooks();
}

/** Sends what is due, and sleeps until more is, until the server stops. */
export async function deliverHooks(context: ServerContext, bell: Bell, signal: AbortSignal): Promise<void> {
  const { db, now } = context;
  signal.addEventListener("abort", bell.wake, { once: true });
  while (!signal.aborted) {
    const sent = await deliverDue(context);
    if (sent > 0) continue;
    const next = nextDue(db);
    await bell.wait(Math.min(Math.max((next ?? Infinity) - now(), 0), LONGEST_SLEEP_MS));
  }
}

/** Sends what is due now, a few at once. Answers how many that were. */
export async function deliverDue({ db, now, dataDirectory, log }: ServerContext): Promise<number> {
  const due = dueDeliveries(db, now(), AT_ONCE);
  await Promise.all(
    due.map(async (delivery) => {
      const hook = findHook(db, delivery.hookId);
      if (hook === undefined) return;
      const { isDone, text } = await send(hook, delivery, dataDirectory);
      if (!isDone) log("warning", "hook failed", { hook: hook.name, event: delivery.event, why: text });
      recordDelivery(db, delivery, isDone, text, now());
    }),
  );
  return due.length;
}
