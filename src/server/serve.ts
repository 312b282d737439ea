/**
 * The server's life: takes the lock, opens the database, finds the unikernels that run, opens the doors, says so; and
 * at its end closes them in the other order. Unikernels go on running.
 */
import { mkdirSync, realpathSync } from "node:fs";
import { checkTables } from "../db/check-tables.ts";
import { databasePath, openDatabase } from "../db/open.ts";
import { lockForServer } from "../db/server-lock.ts";
import { VERSION } from "../lib/version.ts";
import { notify } from "../linux/notify.ts";
import { type BackupOutcome, scheduleBackups } from "../orchestrator/backup/scheduled.ts";
import { hostAttachments } from "../orchestrator/host-attachments.ts";
import { openOrchestrator } from "../orchestrator/orchestrator.ts";
import { openBuildStore } from "../store/builds/build-store.ts";
import { type CollectionOutcome, scheduleCollection } from "../store/collection/scheduled.ts";
import { openContentStore } from "../store/contents/content-store.ts";
import { createLimits } from "./access/limits.ts";
import { isSetUp } from "./accounts/users.ts";
import { type Listen, baseUrl, isLoopback } from "./addresses.ts";
import { createApp } from "./app.ts";
import { ownKey } from "../trust/records.ts";
import { noteBuild } from "./builds/note-build.ts";
import { tellingStore } from "./builds/telling-store.ts";
import type { ServerContext } from "./context.ts";
import { adminFromEnvironment, rememberListen, setupUrls } from "./first-start.ts";
import { dataDirectory as usualDirectory } from "../lib/data-directory.ts";
import { shellWord } from "../lib/shell-word.ts";
import { frontDoor } from "./front-door.ts";
import { collectEvents, createBell, deliverHooks } from "./hooks/deliver.ts";
import { runUploadScripts } from "./hooks/upload-scripts.ts";
import { pushStatistics } from "./influx.ts";
import { listenTcp, listenUnix } from "./listen.ts";
import type { Log } from "./log.ts";
import { type BuildSettings, DEFAULT_BUILD_SETTINGS, openBuilds } from "./open-builds.ts";

export interface ServeOptions {
  readonly dataDirectory: string;
  /** The database's file; default: robur.db in the data directory. */
  readonly database?: string | undefined;
  readonly listen: Listen;
  /** Undefined: none. */
  readonly socket: string | undefined;
  readonly trustProxy: boolean;
  /** Default: no workers, and no builder's protocol. */
  readonly builds?: Partial<BuildSettings> | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  /** Lines for whoever started it: the set-up links. */
  readonly say: (line: string) => void;
}

export interface RunningServer {
  /** With the port that was really taken. */
  readonly listen: Listen;
  /** Ends it: requests that run have a few seconds. */
  stop(options?: { readonly stopUnikernels?: boolean }): Promise<void>;
}

/** How long requests may take to end when the server stops. */
const GRACE_MS = 3000;

/** Starts a server. Throws DatabaseError (in-use: another server has the data directory), ListenError. */
export async function serve(options: ServeOptions): Promise<RunningServer> {
  const { environment, log } = options;
  mkdirSync(options.dataDirectory, { recursive: true, mode: 0o700 });
  // Which interfaces and processes are this instance's follows from its directory's one true name.
  const dataDirectory = realpathSync(options.dataDirectory);
  await using cleanup = new AsyncDisposableStack();
  const path = options.database ?? databasePath(dataDirectory);
  const lock = cleanup.use(lockForServer(path));
  const db = openDatabase(path, { server: lock });
  cleanup.defer(() => db.close());
  checkTables(db);
  await adminFromEnvironment(db, environment, Date.now());
  // Whoever comes to this server may trust it from its first minute on.
  ownKey(db, Date.now());

  const attachments = hostAttachments(db, dataDirectory);
  cleanup.use(attachments);
  const orchestrator = openOrchestrator({ db, dataDirectory, attachments });
  let shutdown: { stopUnikernels?: boolean } = {};
  cleanup.defer(() => orchestrator.shutdown(shutdown));

  const contents = openContentStore(db);
  cleanup.use(contents);
  const builds = openBuildStore(db, contents);
  const settings = { ...DEFAULT_BUILD_SETTINGS, ...options.builds };
  const stopping = new AbortController();
  const teller = { orchestrator, builds, contents, dataDirectory, log, stopping: stopping.signal };
  const made = tellingStore(builds, (build) => {
    noteBuild(teller, build);
    void runUploadScripts(teller, build);
  });
  const room = { db, contents, dataDirectory, socket: options.socket, settings, environment, log };
  const building = cleanup.use(openBuilds({ ...room, builds: made }));

  const bell = createBell();
  const context: ServerContext = {
    ...{ db, orchestrator, contents, builds, dataDirectory, log },
    buildService: building.service,
    now: Date.now,
    trustProxy: options.trustProxy,
    wakeHooks: bell.wake,
    stopping: stopping.signal,
  };
  const limits = createLimits();
  const app = createApp(context, limits);
  const door = frontDoor(context, limits, (request) => app.fetch(request));

  const tcp = listenTcp(options.listen, door);
  cleanup.defer(() => tcp.stop(true));
  const unix = options.socket === undefined ? undefined : await listenUnix(options.socket, door);
  cleanup.defer(() => unix?.stop(true));
  const listen = { host: options.listen.host, port: tcp.port ?? options.listen.port };
  rememberListen(db, listen);
  building.begin();

  const backups = { db, database: path, dataDirectory, now: Date.now, report: reportBackup(context) };
  const work = Promise.all([
    collectEvents(context, stopping.signal),
    deliverHooks(context, bell, stopping.signal),
    pushStatistics(context, stopping.signal),
    scheduleBackups(backups, stopping.signal),
    scheduleCollection({ ...context, report: reportCollection(context) }, stopping.signal),
  ]);
  work.catch((error: unknown) => log("error", "hooks stopped", { why: String(error) }));
  announce(options, context, listen);
  await orchestrator.recovered;
  notify(environment["NOTIFY_SOCKET"], `READY=1\nSTATUS=Listening on ${baseUrl(listen)}\n`);

  const resources = cleanup.move();
  let stopped: Promise<void> | undefined;
  const stop = async (stopOptions: { readonly stopUnikernels?: boolean }) => {
    shutdown = stopOptions;
    notify(environment["NOTIFY_SOCKET"], "STOPPING=1\n");
    log("info", "stopping");
    stopping.abort();
    // No new connections from here on; those that are there may end what they do.
    const quiet = Promise.all([tcp.stop(), unix?.stop(), work.catch(() => undefined)]);
    await Promise.race([quiet, Bun.sleep(GRACE_MS)]);
    await resources.disposeAsync();
  };
  return { listen, stop: (stopOptions = {}) => (stopped ??= stop(stopOptions)) };
}

/** A backup that failed is an event like any other trouble: hooks tell of it. */
function reportBackup({ orchestrator, log }: ServerContext): (outcome: BackupOutcome) => void {
  return (outcome) => {
    if (outcome.kind === "made") return log("info", "backup made", { path: outcome.path });
    log("error", "backup failed", { why: outcome.message });
    orchestrator.tell("backup-failed", outcome.message);
  };
}

/** What a collection did is for the log; one that failed is tried again the next day. */
function reportCollection({ log }: ServerContext): (outcome: CollectionOutcome) => void {
  return (outcome) => {
    if (outcome.kind === "failed") return log("error", "collection failed", { why: outcome.message });
    const { contents, returnedBytes } = outcome.collected;
    log("info", "collected what nobody uses", { builds: outcome.builds, contents, bytes: returnedBytes });
  };
}

function announce(options: ServeOptions, { db, now }: ServerContext, listen: Listen): void {
  const { say, log, socket } = options;
  log("info", "listening", { version: VERSION, address: baseUrl(listen), socket });
  if (!isLoopback(listen)) {
    log("warning", "passwords and pages cross the network unencrypted: put a proxy with TLS in front", {
      address: baseUrl(listen),
    });
  }
  if (isSetUp(db)) return;
  say("This server is not set up. Open one of these within half an hour to make its administrator:");
  for (const url of setupUrls(db, listen, now())) say(`  ${url}`);
  const where = placeFlag(options);
  say(`Later, robur setup-url${where} makes new ones.`);
  say(`Without a browser: robur user add NAME --admin --password-stdin${where}`);
}

/** What these commands need to find this server's data. */
function placeFlag({ dataDirectory, environment }: ServeOptions): string {
  const usual = usualDirectory(undefined, environment, process.getuid?.() === 0);
  return dataDirectory === usual ? "" : ` --data-dir ${shellWord(dataDirectory)}`;
}
