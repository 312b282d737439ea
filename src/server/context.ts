/** What every part of the server works with. Made once by serve.ts, or by a test. */
import type { Database } from "bun:sqlite";
import type { Orchestrator } from "../orchestrator/api.ts";
import type { BuildService } from "../builds/service.ts";
import type { BuildStore } from "../store/api.ts";
import type { OpenContents } from "../store/contents/content-store.ts";
import type { Log } from "./log.ts";

export interface ServerContext {
  readonly db: Database;
  readonly orchestrator: Orchestrator;
  readonly contents: OpenContents;
  readonly builds: BuildStore;
  /** Jobs, queues, runs and workers. */
  readonly buildService: BuildService;
  readonly dataDirectory: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Log;
  /** The last address in X-Forwarded-For is the visitor's: only where a proxy of one's own writes it. */
  readonly trustProxy: boolean;
  /** Tells the deliverers of events that there is something to deliver. */
  readonly wakeHooks: () => void;
  /** Aborted when the server stops: streams end then. */
  readonly stopping: AbortSignal;
}
