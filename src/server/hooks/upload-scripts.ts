/**
 * Scripts that are run for each new build with a main binary, with the arguments that builder-web's upload hooks get:
 * those of an old server go on working. They lie in DATA_DIR/upload-hooks, end in .sh and are executable; each has the
 * main binary as a file of its own for as long as it runs. One runs at a time, and what it writes goes to the log.
 */
import { type Dirent, chmodSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { mkdtemp, open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Artifact, Build, Content } from "../../store/api.ts";
import type { ServerContext } from "../context.ts";
import { runScript } from "./run-script.ts";

/** A repository's script may sign and copy for a while. */
const LIMIT_MS = 10 * 60_000;
/** Builds that wait; beyond, the newest go without scripts. */
const WAITING = 100;

export type ScriptContext = Pick<ServerContext, "builds" | "contents" | "dataDirectory" | "log" | "stopping">;

/** What waits for each server. */
const queues = new WeakMap<AbortSignal, { last: Promise<void>; waiting: number }>();

/** The arguments of a script but for the file, which is the last. Pure. */
export function scriptArguments(build: Build, main: Artifact, dataDirectory: string): string[] {
  const time = new Date(build.startedAt)
    .toISOString()
    .replaceAll(/[-:T]/g, "")
    .slice(0, "20240904101112".length);
  return [
    `--build-time=${time}`,
    `--sha256=${main.sha256}`,
    `--job=${build.job}`,
    `--uuid=${build.id}`,
    `--platform=${build.platform}`,
    `--cache-dir=${join(dataDirectory, "upload-hooks-cache")}`,
    `--data-dir=${dataDirectory}`,
    `--main-binary-filepath=${main.path}`,
  ];
}

/** The scripts of a data directory, by name; none where there is no such folder. */
export function uploadScripts(dataDirectory: string): string[] {
  const folder = join(dataDirectory, "upload-hooks");
  return entriesOf(folder)
    .filter(({ name }) => name.endsWith(".sh"))
    .map(({ name }) => join(folder, name))
    .filter(isExecutable)
    .sort();
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}

/** For everybody, as the original wants it: a script that is being written isn't yet. */
function isExecutable(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat?.isFile() === true && (stat.mode & 0o111) === 0o111;
}

/** Runs the scripts after those of the builds before. Resolves when they are done, and never throws. */
export function runUploadScripts(context: ScriptContext, build: Build): Promise<void> {
  const queue = queues.get(context.stopping) ?? { last: Promise.resolve(), waiting: 0 };
  queues.set(context.stopping, queue);
  if (build.main === undefined) return queue.last;
  if (queue.waiting >= WAITING) {
    context.log("warning", "upload hooks left out: too many builds wait for them", { build: build.id });
    return queue.last;
  }
  queue.waiting += 1;
  queue.last = queue.last
    .then(() => runAll(context, build))
    .catch((error: unknown) =>
      context.log("error", "upload hooks failed", { build: build.id, why: String(error) }),
    )
    .finally(() => (queue.waiting -= 1));
  return queue.last;
}

async function runAll(context: ScriptContext, build: Build): Promise<void> {
  const { builds, dataDirectory, stopping } = context;
  const scripts = uploadScripts(dataDirectory);
  const { main } = build;
  const content = main === undefined ? undefined : builds.artifact(build.id, main.path)?.content;
  if (scripts.length === 0 || main === undefined || content === undefined || stopping.aborted) return;
  mkdirSync(join(dataDirectory, "upload-hooks-cache"), { recursive: true, mode: 0o700 });
  const folder = await mkdtemp(join(tmpdir(), "robur-upload-"));
  try {
    // As in the original's store the file is called by its SHA-256.
    const file = join(folder, main.sha256);
    await writeContent(context, content, file);
    const argv = [...scriptArguments(build, main, dataDirectory), file];
    for (const script of scripts) if (!stopping.aborted) await runOne(context, script, argv);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function writeContent({ contents }: ScriptContext, content: Content, path: string): Promise<void> {
  const file = await open(path, "wx", 0o400);
  try {
    for await (const piece of contents.read(content)) await file.writeFile(piece);
  } finally {
    await file.close();
  }
  chmodSync(path, 0o444);
}

async function runOne(
  { log, dataDirectory, stopping }: ScriptContext,
  script: string,
  argv: readonly string[],
): Promise<void> {
  const started = performance.now();
  const end = await runScript({
    argv: [script, ...argv],
    cwd: dataDirectory,
    env: { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin", HOME: process.env["HOME"] ?? "/" },
    limitMs: LIMIT_MS,
    // A server that stops takes its scripts along: the file goes.
    signal: stopping,
    say: (line) => log("info", line, { hook: script }),
  });
  const ms = Math.round(performance.now() - started);
  if (end.ok) log("info", "upload hook done", { hook: script, ms });
  else log("warning", "upload hook failed", { hook: script, why: end.why, ms });
}
