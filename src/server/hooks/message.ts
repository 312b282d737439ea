/** What hooks are told: one JSON document an event, the same for all kinds. */
import type { EventKind, OrchestratorEvent } from "../../orchestrator/api.ts";

/** Kinds that are not of a unikernel. */
const OTHERS: Partial<Record<EventKind, string>> = {
  "policy-set": "policy.set",
  "policy-removed": "policy.removed",
  "image-put": "image.put",
  "image-removed": "image.removed",
  "server-started": "server.started",
  "server-stopped": "server.stopped",
  "backup-failed": "backup.failed",
  "build-finished": "build.finished",
  "build-failed": "build.failed",
  warning: "server.warning",
};

export interface Message {
  /** `unikernel.failed`, `server.started` … */
  readonly event: string;
  /** The event's number, the same when a delivery is repeated. */
  readonly id: number;
  readonly at: string;
  readonly unikernel: string | null;
  readonly text: string;
  readonly who: string;
  readonly host: string;
}

export function eventName(kind: EventKind): string {
  return OTHERS[kind] ?? `unikernel.${kind}`;
}

export function messageOf(event: OrchestratorEvent, host: string): Message {
  return {
    event: eventName(event.kind),
    id: event.id,
    at: new Date(event.at).toISOString(),
    unikernel: event.unikernel?.name ?? null,
    text: event.text,
    who: event.who,
    host,
  };
}

/** `sha256=…` over the body's bytes: https://docs.github.com/webhooks has made this form the usual one. */
export function signature(secret: string, body: string): string {
  return `sha256=${new Bun.CryptoHasher("sha256", secret).update(body).digest("hex")}`;
}
