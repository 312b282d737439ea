/** What hooks are told: one JSON document an event, the same for all kinds. */
import type { EventKind, OrchestratorEvent } from "../../orchestrator/api.ts";
import { resultText } from "../../protocols/builder/result-text.ts";
import type { Build } from "../../store/api.ts";
import { buildPath } from "../builds/paths.ts";

/** What hooks call the kinds of events. */
const NAMES: Record<EventKind, string> = {
  created: "unikernel.created",
  starting: "unikernel.starting",
  running: "unikernel.running",
  stopping: "unikernel.stopping",
  stopped: "unikernel.stopped",
  failed: "unikernel.failed",
  "backing-off": "unikernel.backing-off",
  looping: "unikernel.looping",
  adopted: "unikernel.adopted",
  updated: "unikernel.updated",
  renamed: "unikernel.renamed",
  removed: "unikernel.removed",
  "policy-set": "policy.set",
  "policy-removed": "policy.removed",
  "image-put": "image.put",
  "image-removed": "image.removed",
  "server-started": "server.started",
  "server-stopped": "server.stopped",
  "backup-failed": "backup.failed",
  "build-finished": "build.finished",
  "build-failed": "build.failed",
  "build-differs": "build.differs",
  warning: "server.warning",
};

/** What is told of a build: what builder-web's upload hooks get as arguments, and how it ended. */
export interface BuildMessage {
  readonly job: string;
  readonly uuid: string;
  readonly platform: string;
  readonly started: string;
  readonly finished: string;
  /** `exited 0` */
  readonly result: string;
  readonly mainBinary: { readonly path: string; readonly sha256: string; readonly size: number } | null;
  /** On this server. */
  readonly path: string;
}

export interface Message {
  /** `unikernel.failed`, `server.started` … */
  readonly event: string;
  /** The event's number, the same when a delivery is repeated. */
  readonly id: number;
  readonly at: string;
  readonly unikernel: string | null;
  /** Of `build.finished` and `build.failed`, while the build is there. */
  readonly build: BuildMessage | null;
  readonly text: string;
  readonly who: string;
  readonly host: string;
}

/** All that a hook can be told of, but for tests. */
export const EVENT_NAMES: readonly string[] = Object.values(NAMES);

export const eventName = (kind: EventKind): string => NAMES[kind];

export function messageOf(event: OrchestratorEvent, build: Build | undefined, host: string): Message {
  return {
    event: eventName(event.kind),
    id: event.id,
    at: new Date(event.at).toISOString(),
    unikernel: event.unikernel?.name ?? null,
    build: build === undefined ? null : buildMessage(build),
    text: event.text,
    who: event.who,
    host,
  };
}

function buildMessage(build: Build): BuildMessage {
  const { job, id, platform, startedAt, finishedAt, result, main } = build;
  return {
    ...{ job, uuid: id, platform, result: resultText(result), path: buildPath(build) },
    started: new Date(startedAt).toISOString(),
    finished: new Date(finishedAt).toISOString(),
    mainBinary: main === undefined ? null : { path: main.path, sha256: main.sha256, size: main.size },
  };
}

/** `sha256=…` over the body's bytes: https://docs.github.com/webhooks has made this form the usual one. */
export function signature(secret: string, body: string): string {
  return `sha256=${new Bun.CryptoHasher("sha256", secret).update(body).digest("hex")}`;
}
