/** What `robur volume ls` and `inspect` print. */
import type { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { close, O_CLOEXEC, O_RDONLY, open, print } from "../linux/libc.ts";
import { type LockKind, lockOnFile } from "../linux/file-lock.ts";
import { type LockHolder, lockHolders } from "../linux/lock-holders.ts";
import { formatSize } from "../lib/units.ts";
import { databasePath, openDatabase } from "../db/open.ts";
import { type Volume, findVolume, listVolumes } from "../orchestrator/volumes/inventory.ts";
import { volumeName } from "../orchestrator/volumes/volume-name.ts";
import { type Column, formatTable, formatTime, printable } from "./table.ts";

export interface ListFlags {
  readonly format: "table" | "json" | "jsonl";
  readonly json: boolean;
  readonly quiet: boolean;
}

type Shown = Volume & { readonly lock: LockKind | undefined };

const COLUMNS: readonly Column<Shown>[] = [
  { title: "NAME", text: ({ name }) => name },
  { title: "SIZE", text: ({ size }) => formatSize(size), isRight: true },
  { title: "ON DISK", text: ({ allocated }) => formatSize(allocated), isRight: true },
  { title: "STATE", text: stateOf },
  { title: "CREATED", text: ({ createdAt }) => formatTime(createdAt) },
  { title: "CONTENT", text: ({ origin }) => origin },
];

/** `robur volume ls`. */
export function list(dataDirectory: string, { format, json, quiet }: ListFlags): void {
  using db = openToLook(dataDirectory);
  const volumes = listVolumes({ db, dataDirectory }).map(withLock);
  if (quiet) print(volumes.map(({ name }) => `${name}\n`).join(""));
  else if (json || format === "json") print(`${JSON.stringify(volumes.map(asJson), null, 2)}\n`);
  else if (format === "jsonl") print(volumes.map((volume) => `${JSON.stringify(asJson(volume))}\n`).join(""));
  else print(formatTable(COLUMNS, volumes));
}

/** `robur volume inspect`. */
export function inspect(dataDirectory: string, names: readonly string[], json: boolean): void {
  using db = openToLook(dataDirectory);
  const volumes = names.map((name) => withLock(findVolume({ db, dataDirectory }, volumeName(name))));
  const holders = volumes.map(({ path, lock }) => (lock === undefined ? [] : lockHolders(path)));
  if (json) {
    const all = volumes.map((volume, i) => ({ ...asJson(volume), usedBy: holders[i]! }));
    print(`${JSON.stringify(all, null, 2)}\n`);
    return;
  }
  print(volumes.map((volume, i) => describe(volume, holders[i]!)).join("\n"));
}

/** Looking makes no database: where there is none, nothing is recorded. */
function openToLook(dataDirectory: string): Database {
  const path = databasePath(dataDirectory);
  return openDatabase(existsSync(path) ? path : ":memory:");
}

function describe(volume: Shown, holders: readonly LockHolder[]): string {
  const rows: [string, string][] = [
    ["name", volume.name],
    ["size", `${volume.size} bytes (${formatSize(volume.size)})`],
    ["on disk", formatSize(volume.allocated)],
    ["state", stateOf(volume)],
    ...holders.map(({ pid, command }): [string, string] => ["used by", `process ${pid} (${command})`]),
    ["created", formatTime(volume.createdAt)],
    ["content", volume.origin],
    ["file", volume.path],
  ];
  return rows.map(([name, value]) => `${name.padEnd(9)} ${printable(value)}\n`).join("");
}

function stateOf({ state, lock }: Shown): string {
  if (state === "missing") return "missing";
  const use = lock === undefined ? "free" : "in use";
  return state === "found" ? `${use}, found` : use;
}

/** The keys are promised to scripts. */
function asJson({ name, state, size, allocated, lock, createdAt, origin, path }: Shown): object {
  return {
    ...{ name, state, size, allocated, inUse: lock ?? null },
    ...{ createdAt: new Date(createdAt).toISOString(), origin, path },
  };
}

/** By looking only: a unikernel that starts at this moment is not kept out. */
function withLock(volume: Volume): Shown {
  const fd = volume.state === "missing" ? -1 : open(volume.path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return { ...volume, lock: undefined };
  const lock = lockOnFile(fd);
  close(fd);
  return { ...volume, lock };
}
