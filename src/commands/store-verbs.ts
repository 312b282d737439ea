/** What `robur store` does, with the words around it. */
import { existsSync } from "node:fs";
import { DatabaseError } from "../db/database-error.ts";
import { databasePath, openDatabase } from "../db/open.ts";
import { lockForServer } from "../db/server-lock.ts";
import { dataDirectory } from "../lib/data-directory.ts";
import { UsageError } from "../lib/errors.ts";
import { formatSize } from "../lib/units.ts";
import { print, printError } from "../linux/libc.ts";
import type { Collected } from "../store/collection/collect.ts";
import { compactDatabase } from "../store/collection/compact.ts";
import type { PastBuild } from "../store/collection/retention.ts";
import type { Verified } from "../store/collection/verify.ts";
import { ClientError } from "./client/client-error.ts";
import { type Client, ask, connect } from "./client/connect.ts";
import { parseSince } from "./client/since.ts";
import { confirm } from "./confirm.ts";
import { withProgress } from "./progress.ts";
import { formatTable, formatTime } from "./table.ts";

interface Flags {
  readonly host: string | undefined;
  readonly json: boolean;
}

const say = (text: string) => printError(`${text}\n`);
const printJson = (value: unknown) => print(`${JSON.stringify(value, null, 2)}\n`);

/** `robur store stats`. */
export async function stats({ host, json }: Flags): Promise<void> {
  const client = connect(host);
  const found = await ask(client, client.api.store.get());
  if (json) return printJson(found);
  const { builds, contents, chunks, logicalBytes, contentBytes, chunkBytes, compressedBytes } = found;
  const share =
    logicalBytes === 0 ? "" : `, ${((100 * compressedBytes) / logicalBytes).toFixed(1)} % of all files`;
  const lines = [
    ["builds", String(builds)],
    ["files", `${formatSize(logicalBytes)} in all builds`],
    ["contents", `${contents}, ${formatSize(contentBytes)}`],
    ["chunks", `${chunks}, ${formatSize(chunkBytes)}`],
    ["compressed", `${formatSize(compressedBytes)}${share}`],
    ["database", `${formatSize(found.databaseBytes)}, of which ${formatSize(found.freeBytes)} are free`],
  ];
  print(lines.map(([name, text]) => `${name!.padEnd(12)}${text}\n`).join(""));
}

/** `robur store gc`. */
export async function gc({ host, json, dryRun }: Flags & { dryRun: boolean }): Promise<void> {
  const collected = await work<Collected>(connect(host), "/collect", { dryRun });
  if (json) return printJson(collected);
  const { contents, contentBytes, unfinished, uploads, chunks, chunkBytes, pictures, returnedBytes } =
    collected;
  const would = dryRun ? "would go" : "went";
  say(`contents: ${contents} (${formatSize(contentBytes)}) ${would}`);
  say(`chunks: ${chunks} (${formatSize(chunkBytes)} compressed) ${would}`);
  const others = { "unfinished contents": unfinished, "expired uploads": uploads, pictures };
  for (const [name, count] of Object.entries(others)) if (count > 0) say(`${name}: ${count} ${would}`);
  if (dryRun) return;
  if (returnedBytes === 0 && chunkBytes > 0) {
    say("the database keeps the room for what comes; robur store gc --compact gives it back");
  } else say(`the database is ${formatSize(returnedBytes)} smaller`);
}

/** `robur store gc --compact`. Throws DatabaseError in-use where a server runs. */
export async function compact(flags: { dataDir: string | undefined; json: boolean }): Promise<void> {
  const path = databasePath(dataDirectory(flags.dataDir, process.env, process.getuid?.() === 0));
  if (!existsSync(path)) throw new DatabaseError("missing", `${path}: there is no database`);
  using lock = lockForServer(path);
  using db = openDatabase(path, { server: lock });
  const { before, after } = compactDatabase(db);
  if (flags.json) return printJson({ before, after });
  say(`the database: ${formatSize(before)} -> ${formatSize(after)}`);
}

/** `robur store verify`. */
export async function verify({ host, json }: Flags): Promise<void> {
  const client = connect(host);
  const { contents, bytes, chunks, damage, damagedChunks } = await withProgress("verifying", (progress) =>
    work<Verified>(client, "/verify", {}, progress),
  );
  const isDamaged = damage.length > 0 || damagedChunks.length > 0;
  if (isDamaged) process.exitCode = 1;
  if (json) return printJson({ contents, bytes, chunks, damage, damagedChunks });
  for (const { sha256, size, why, usedBy } of damage) {
    print(`${sha256}  ${formatSize(size)}  ${why}\n`);
    for (const user of usedBy) print(`  ${user}\n`);
  }
  if (damage.length === 0) for (const sha256 of damagedChunks) print(`chunk ${sha256}, which nothing uses\n`);
  say(
    isDamaged
      ? `${damage.length} of ${contents} contents are damaged`
      : `${contents} contents (${formatSize(bytes)}) in ${chunks} chunks are whole`,
  );
}

/** `robur store retention`. */
export async function showRetention({ host, json }: Flags): Promise<void> {
  const client = connect(host);
  const settings = await ask(client, client.api.store.retention.get());
  if (json) return printJson(settings);
  tellRetention(settings);
}

/** `robur store retention set`. */
export async function setRetention(flags: {
  host: string | undefined;
  keepSuccessful: string | undefined;
  maxAge: string | undefined;
}): Promise<void> {
  const { host, keepSuccessful, maxAge } = flags;
  if (keepSuccessful === undefined && maxAge === undefined) {
    throw new UsageError("what is to be kept?", { hint: "robur store retention set --keep-successful 10" });
  }
  const settings = {
    keepSuccessful:
      keepSuccessful === undefined || keepSuccessful === "all"
        ? null
        : countOf(keepSuccessful, "--keep-successful"),
    maxAgeDays:
      maxAge === undefined || maxAge === "never" ? null : countOf(maxAge.replace(/d$/, ""), "--max-age"),
  };
  const client = connect(host);
  tellRetention(await ask(client, client.api.store.retention.put(settings)));
}

function tellRetention(settings: { keepSuccessful?: number | null; maxAgeDays?: number | null }): void {
  const { keepSuccessful = null, maxAgeDays = null } = settings;
  if (keepSuccessful === null && maxAgeDays === null) return print("all builds are kept\n");
  if (keepSuccessful !== null) {
    print(`of each job and platform the newest ${keepSuccessful} successful builds, and what is newer\n`);
  }
  if (maxAgeDays !== null) print(`no build longer than ${maxAgeDays} days\n`);
  print("pinned builds, and those that a unikernel runs, are always kept\n");
}

interface VacuumFlags extends Flags {
  readonly platform: string | undefined;
  readonly job: string[] | undefined;
  readonly dryRun: boolean;
  readonly yes: boolean;
}

/** `robur store vacuum older-than`. */
export function vacuumOlderThan(flags: VacuumFlags, when: string): Promise<void> {
  return vacuum(flags, { kind: "older-than", at: parseSince(when, Date.now()) });
}

/** `robur store vacuum except-latest` and `except-latest-successful`. */
export function vacuumExcept(
  kind: "except-latest" | "except-latest-successful",
  flags: VacuumFlags,
  count: string,
): Promise<void> {
  return vacuum(flags, { kind, count: countOf(count, kind) });
}

async function vacuum(flags: VacuumFlags, what: Readonly<Record<string, unknown>>): Promise<void> {
  const { host, json, platform, job, dryRun, yes } = flags;
  const client = connect(host);
  const rule = {
    ...what,
    ...(platform === undefined ? {} : { platform }),
    ...(job === undefined ? {} : { jobs: job }),
  };
  const builds = await work<PastBuild[]>(client, "/vacuum", { rule, dryRun: true });
  if (dryRun || builds.length === 0) return listBuilds(builds, json);
  const command = `robur store vacuum ${String(what["kind"])} … --yes`;
  if (!confirm(`remove ${builds.length} builds?`, yes, command)) {
    say("nothing was removed");
    process.exitCode = 1;
    return;
  }
  const removed = await work<PastBuild[]>(client, "/vacuum", { rule });
  if (json) return printJson(removed);
  say(`removed ${removed.length} builds; robur store gc gives their room back, and so does the next night`);
}

function listBuilds(builds: readonly PastBuild[], json: boolean): void {
  if (json) return printJson(builds);
  if (builds.length === 0) return say("no build is to be removed");
  print(
    formatTable<PastBuild>(
      [
        { title: "BUILD", text: ({ id }) => id },
        { title: "JOB", text: ({ job }) => job },
        { title: "PLATFORM", text: ({ platform }) => platform },
        { title: "STARTED", text: ({ startedAt }) => formatTime(startedAt) },
        { title: "RESULT", text: ({ isSuccessful }) => (isSuccessful ? "successful" : "failed") },
      ],
      builds,
    ),
  );
}

function countOf(text: string, what: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new UsageError(`${what} ${text}: a number from 1 on`);
}

interface Line {
  readonly done?: number;
  readonly total?: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string; readonly why?: string; readonly hint?: string };
}

/** Asks for work that takes a while: lines of JSON, the last of them with the result. Throws ClientError. */
async function work<T>(
  client: Client,
  path: string,
  body: unknown,
  progress: (done: number, total: number) => void = () => undefined,
): Promise<T> {
  const response = await client.request(`/api/v1/store${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: new Blob([JSON.stringify(body)]).stream(),
  });
  let rest = "";
  const decoder = new TextDecoder();
  for await (const piece of response.body!) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines.map((text) => JSON.parse(text) as Line)) {
      if (line.error !== undefined) {
        const { message, why, hint } = line.error;
        throw new ClientError(1, "failed", message, {
          ...(why === undefined ? {} : { why }),
          ...(hint === undefined ? {} : { hint }),
        });
      }
      if ("result" in line) return line.result as T;
      progress(line.done ?? 0, line.total ?? 0);
    }
  }
  throw new ClientError(1, "failed", "the server stopped before it was done");
}
