/** A client of the original protocol: one command a connection, answered in the original's words. */
import { RoburError } from "../../lib/errors.ts";
import type { Period, ScriptJob } from "../../protocols/builder/job.ts";
import { CLIENT_VERSION, type Message } from "../../protocols/builder/messages.ts";
import type { JobName, JobSettings, Outcome, Platform, Refusal, Work } from "../api.ts";
import { done, refuse } from "../api.ts";
import { DEFAULT_SETTINGS, checkSettings, readJobName, readPlatform } from "../schedule/settings.ts";
import type { BuildService } from "../service.ts";
import { infoReply } from "./info.ts";
import { type Peer, PeerError } from "./peer.ts";

const COMMAND_MS = 60_000;
/** Who looks may look away for a while: nothing is held for it but what it sees next. */
const OBSERVER_MS = 15 * 60_000;
const WHO = "builder-client";
/** Before everything that waits. */
const FRONT = 10;

/** Answers one command. Throws PeerError when the peer is gone. */
export async function serveClient(
  service: BuildService,
  peer: Peer,
  version: number,
  stopping: AbortSignal,
): Promise<void> {
  let command: Message;
  try {
    command = await peer.read(COMMAND_MS);
  } catch (error) {
    if (!(error instanceof RoburError) || (error instanceof PeerError && error.code === "silent"))
      throw error;
    return fail(peer, error.message);
  }
  if (command.type === "info") {
    await peer.send(infoReply(service, version < CLIENT_VERSION));
    return peer.send({ type: "success" });
  }
  if (command.type === "observe") return observe(service, peer, command.uuid, stopping);
  const outcome = obey(service, command);
  if (!outcome.ok) return fail(peer, outcome.refusal.message);
  return peer.send({ type: "success" });
}

function fail(peer: Peer, message: string): Promise<void> {
  return peer.send({ type: "failure", message });
}

function obey(service: BuildService, command: Message): Outcome<unknown> {
  switch (command.type) {
    case "schedule":
      return scheduleScript(service, command.job, command.period);
    case "schedule-orb": {
      const { name, opamPackage } = command.job;
      return schedule(service, name, { kind: "orb", opamPackage }, [], command.period);
    }
    case "unschedule":
      return named(command.name, `unknown job ${command.name}`, (name) =>
        reworded(service.dispatch({ kind: "forget", name }), { "not-found": `unknown job ${name}` }),
      );
    case "reschedule": {
      const recurrence = command.period === undefined ? undefined : { kind: command.period };
      const unknown = `couldn't find job ${command.name}`;
      return named(command.name, unknown, (name) =>
        reworded(service.dispatch({ kind: "reschedule", name, next: command.next, recurrence, who: WHO }), {
          "not-found": unknown,
        }),
      );
    }
    case "execute":
      return execute(service, command.name, command.platform);
    case "execute-old":
      return execute(service, command.name, undefined);
    case "drop-platform":
    case "undrop-platform": {
      const platform = readPlatform(command.platform);
      if (!platform.ok) return refuse("no-platform", `unknown platform ${command.platform}`);
      return service.dispatch(
        command.type === "drop-platform"
          ? { kind: "drop", platform: platform.value, mayBeNew: false }
          : { kind: "undrop", platform: platform.value },
      );
    }
    default:
      return refuse("invalid", "bad communication");
  }
}

function scheduleScript(service: BuildService, job: ScriptJob, period: Period): Outcome<unknown> {
  const platform = readPlatform(job.platform);
  if (!platform.ok) return platform;
  return schedule(service, job.name, { kind: "script", script: job.script }, [platform.value], period);
}

function schedule(
  service: BuildService,
  text: string,
  work: Work,
  platforms: readonly Platform[],
  period: Period,
): Outcome<unknown> {
  const name = readJobName(text);
  if (!name.ok) return name;
  const wanted: JobSettings = { ...DEFAULT_SETTINGS, work, platforms, recurrence: { kind: period } };
  const settings = checkSettings(wanted);
  if (!settings.ok) return settings;
  return service.dispatch({ kind: "schedule", name: name.value, settings: settings.value });
}

function execute(service: BuildService, text: string, platformText: string | undefined): Outcome<unknown> {
  const unknown = "execute failed: job not found";
  return named(text, unknown, (name) => {
    const job = service.job(name);
    if (job === undefined) return refuse("not-found", unknown);
    const platform = platformText === undefined ? undefined : readPlatform(platformText);
    const wanted = platform?.ok === true ? platform.value : undefined;
    const [own] = job.platforms;
    if (
      job.work.kind === "script" &&
      platformText !== undefined &&
      !job.platforms.some((p) => p === platformText)
    ) {
      return refuse("other-platform", `execute failed: job is for a different platform: ${own}`);
    }
    // A queue must be there for it already.
    const queues = service.platforms();
    if (platform !== undefined && (wanted === undefined || !queues.includes(wanted))) {
      return refuse("no-platform", "execute failed: no such platform");
    }
    if (wanted === undefined && job.work.kind === "orb" && queues.length === 0) return done([]);
    const outcome = service.dispatch({
      ...{ kind: "start", name, platform: wanted, reason: `by ${WHO}` },
      ...{ place: "front", priority: FRONT, copies: undefined, mayMove: true },
    });
    return reworded(outcome, {
      "no-platform": "execute failed: no such platform",
      "platform-dropped": "execute failed: no such platform",
      "other-platform": `execute failed: job is for a different platform: ${own ?? ""}`,
    });
  });
}

function named(text: string, unknown: string, action: (name: JobName) => Outcome<unknown>): Outcome<unknown> {
  const name = readJobName(text);
  return name.ok ? action(name.value) : refuse("not-found", unknown);
}

/** The refusal in words that scripts around the original know. */
function reworded(
  outcome: Outcome<unknown>,
  words: Partial<Record<Refusal["code"], string>>,
): Outcome<unknown> {
  if (outcome.ok) return outcome;
  return refuse(outcome.refusal.code, words[outcome.refusal.code] ?? outcome.refusal.message);
}

/** From the first line on, each line, and the end; the original loses lines here, and sometimes the end. */
async function observe(
  service: BuildService,
  peer: Peer,
  uuid: string,
  stopping: AbortSignal,
): Promise<void> {
  const attempt = service.runningAttempt(uuid);
  if (attempt === undefined) return fail(peer, "uuid not found");
  const signal = AbortSignal.any([peer.ended, stopping]);
  for await (const lines of service.followAttempt(attempt, signal)) {
    for (const { text, delta } of lines)
      await peer.send({ type: "output", uuid, output: text, timestamp: delta }, OBSERVER_MS);
  }
  if (stopping.aborted) return;
  const { text, endedAt } = service.attemptEnd(attempt);
  const timestamp = BigInt(Math.max(0, endedAt - attempt.startedAt)) * 1_000_000n;
  await peer.send({ type: "output", uuid, output: new TextEncoder().encode(text), timestamp });
  await peer.send({ type: "success" });
}
