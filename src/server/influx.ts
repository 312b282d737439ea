/**
 * Pushing statistics: the setting `influx` says where to, {"host": "10.0.0.2", "port": 8094, "keepPath": false}.
 * It is read before each round, so a change needs no restart.
 */
import type { Database } from "bun:sqlite";
import { ROOT_PATH } from "../orchestrator/names.ts";
import { type InfluxTarget, pushInflux } from "../orchestrator/stats/influx-push.ts";
import type { ServerContext } from "./context.ts";
import { readSetting } from "./settings.ts";

export const INFLUX = "influx";

const EVERYTHING = { who: "system", path: ROOT_PATH };
const HOST = /^[A-Za-z0-9.:_-]{1,253}$/;

/** Pushes until `signal`, whenever there is somewhere to push to. */
export function pushStatistics({ db, orchestrator, log }: ServerContext, signal: AbortSignal): Promise<void> {
  return pushInflux({
    target: () => readTarget(db),
    rounds: orchestrator.stats.follow(EVERYTHING, signal),
    signal,
    report: log,
  });
}

function readTarget(db: Database): InfluxTarget | undefined {
  const target = parseInflux(readSetting(db, INFLUX));
  return typeof target === "string" ? undefined : target;
}

/** What the setting means; undefined for null, which is off; a sentence where it means nothing. Pure. */
export function parseInflux(value: unknown): InfluxTarget | undefined | string {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "object") return 'not an object such as {"host": "10.0.0.2", "port": 8094}';
  const { host, port, keepPath, ...others } = value as Readonly<Record<string, unknown>>;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined)
    return `there is no ${JSON.stringify(unknown)}: host, port and keepPath are there`;
  if (typeof host !== "string" || !HOST.test(host)) return "host is a name or an address";
  if (port !== undefined && !(Number.isInteger(port) && Number(port) > 0 && Number(port) < 65536)) {
    return "port is a number from 1 to 65535";
  }
  if (keepPath !== undefined && typeof keepPath !== "boolean") return "keepPath is true or false";
  return {
    host,
    ...(port === undefined ? {} : { port: Number(port) }),
    ...(keepPath === undefined ? {} : { keepPath }),
  };
}
