/** The server itself: what it is, how it is, its settings and policies, and what networks and volumes there are. */
import type { Database } from "bun:sqlite";
import { availableParallelism, freemem, hostname, totalmem } from "node:os";
import { Elysia, t } from "elysia";
import { parseBackupSettings, writeBackupSettings } from "../../db/backup/settings.ts";
import { write } from "../../db/open.ts";
import { ROOT_PATH } from "../../orchestrator/names.ts";
import { COMMIT, VERSION } from "../../lib/version.ts";
import { RETENTION, parseRetention } from "../../store/collection/retention-settings.ts";
import { visitOf } from "../access/visit.ts";
import type { ServerContext } from "../context.ts";
import { HttpError, notFound } from "../http/http-error.ts";
import { INFLUX, parseInflux } from "../influx.ts";
import { listSettings, removeSetting, writeSetting } from "../settings.ts";
import { actorFor, granted, pathIn } from "./ask.ts";
import { Policy } from "./schemas.ts";

const tags = ["system"];
const Key = t.Object({ key: t.String({ pattern: "^[a-z][a-z0-9.-]{0,63}$" }) });
const Path = t.Object({
  path: t.String({ maxLength: 500, description: "family:alice; a colon alone is the root" }),
});

export function systemRoutes(context: ServerContext) {
  const { db, orchestrator } = context;
  return new Elysia({ name: "system", prefix: "/api/v1" })
    .get("/system", () => ({ version: VERSION, commit: COMMIT, host: hostFigures() }), {
      detail: { tags, summary: "Version and machine" },
    })
    .get("/settings", () => ({ settings: listSettings(db) }), { detail: { tags, summary: "Settings" } })
    .put(
      "/settings/:key",
      ({ params, body }) => {
        checkSetting(params.key, body.value);
        if (params.key === "backup") writeBackupSettings(db, parseBackupSettings(body.value, context.now()));
        else writeSetting(db, params.key, body.value);
        return { key: params.key, value: body.value };
      },
      { params: Key, body: t.Object({ value: t.Unknown() }), detail: { tags, summary: "Set a setting" } },
    )
    .delete(
      "/settings/:key",
      ({ params }) => {
        if (!removeSetting(db, params.key)) throw notFound(`setting ${params.key}`);
        return { ok: true };
      },
      { params: Key, detail: { tags, summary: "Back to the default" } },
    )
    .get("/policies", ({ request }) => ({ policies: orchestrator.policies.list(actorFor(request)) }), {
      detail: { tags: ["policies"], summary: "What each path may use, and uses" },
    })
    .put(
      "/policies/:path",
      ({ request, params, body }) =>
        granted(orchestrator.policies.set(actorFor(request), pathIn(params.path), body)),
      { params: Path, body: Policy, detail: { tags: ["policies"], summary: "Set a path's policy" } },
    )
    .delete(
      "/policies/:path",
      ({ request, params }) => granted(orchestrator.policies.remove(actorFor(request), pathIn(params.path))),
      { params: Path, detail: { tags: ["policies"], summary: "Remove a path's policy" } },
    )
    .get("/networks", () => ({ networks: listNetworks(db) }), { detail: { tags, summary: "Networks" } })
    .get("/volumes", ({ request }) => ({ volumes: listVolumes(db, visitOf(request).principal.path) }), {
      detail: { tags, summary: "Volumes" },
    });
}

/** Refuses what nobody could read. Keys that are not known here are for those who read them. Throws HttpError, StoreError. */
function checkSetting(key: string, value: unknown): void {
  const complaint = complaintOf(key, value);
  if (complaint === undefined) return;
  throw new HttpError(422, "invalid-setting", `the setting ${key}: ${complaint}`);
}

function complaintOf(key: string, value: unknown): string | undefined {
  if (value === undefined) return "its value is missing";
  // Whatever isn't false would leave them open to everybody.
  if (key === "builds.public" && typeof value !== "boolean") return "it is true or false";
  if (key === RETENTION) parseRetention(value);
  const parsed = key === INFLUX ? parseInflux(value) : undefined;
  return typeof parsed === "string" ? parsed : undefined;
}

/** What the machine has, in bytes. */
export function hostFigures() {
  return {
    name: hostname(),
    cpus: availableParallelism(),
    memory: totalmem(),
    freeMemory: freemem(),
    architecture: process.arch,
  };
}

export interface NetworkRow {
  readonly name: string;
  readonly mode: string;
  readonly bridge: string;
  readonly ipv4: string | null;
}

/** Networks are everybody's: one must know their names to use them. */
export function listNetworks(db: Database): NetworkRow[] {
  return db.query<NetworkRow, []>("SELECT name, mode, bridge, ipv4 FROM network ORDER BY name").all();
}

export interface VolumeRow {
  readonly name: string;
  readonly size: number;
  readonly created_at: number;
}

/** Volumes at or below a path: their names begin with it, as unikernels' do. */
export function listVolumes(db: Database, path: string) {
  return db
    .query<VolumeRow, []>("SELECT name, size, created_at FROM volume ORDER BY name")
    .all()
    .filter(({ name }) => path === ROOT_PATH || name.startsWith(`${path}:`))
    .map(({ name, size, created_at }) => ({ name, size, createdAt: created_at }));
}

/** Outside of the API: for load balancers, service managers and Prometheus. */
export function healthRoutes({ db }: ServerContext) {
  return new Elysia({ name: "health" })
    .get("/healthz", () => ({ status: "ok" }), { detail: { tags, summary: "The process lives" } })
    .get(
      "/readyz",
      () => {
        // Takes the write lock and gives it back: a full or read-only disk shows when something is written.
        write(db, () => db.run("UPDATE setting SET value = value WHERE key = ''"));
        if (db.query("SELECT 1").get() === null)
          throw new HttpError(503, "not-ready", "the database can't be read");
        return { status: "ready" };
      },
      { detail: { tags, summary: "The server can do its work" } },
    );
}
