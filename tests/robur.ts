/**
 * The compiled executable, for tests of what people really start. It is built when it is missing or older than its
 * sources, by one process at a time; tests/run.ts builds it before all tests and names it in ROBUR_EXECUTABLE.
 */
import { afterAll } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PROJECT = join(import.meta.dir, "..");
const EXECUTABLE = join(PROJECT, "dist/robur");
const LOCK = join(PROJECT, ".cache/build-executable.lock");
/** Everything that ends up in the executable. */
const SOURCES = ["src", "assets", "web", "package.json", "bun.lock", "scripts/build.ts"];
/** A build takes a few seconds; another process that holds the lock for longer than this has died. */
const LOCK_LIMIT_MS = 120_000;

let built: Promise<string> | undefined;

/** The path of dist/robur, made of the sources as they are. */
export function roburExecutable(): Promise<string> {
  const given = process.env["ROBUR_EXECUTABLE"];
  if (given !== undefined && given !== "") return Promise.resolve(given);
  return (built ??= buildOnce());
}

async function buildOnce(): Promise<string> {
  if (isFresh()) return EXECUTABLE;
  mkdirSync(join(PROJECT, ".cache"), { recursive: true });
  const deadline = Date.now() + LOCK_LIMIT_MS;
  while (!tryLock()) {
    if (Date.now() > deadline) throw new Error(`${LOCK} is held by a process that does not end`);
    await Bun.sleep(50);
  }
  try {
    if (!isFresh()) await build();
  } finally {
    rmSync(LOCK, { force: true });
  }
  return EXECUTABLE;
}

async function build(): Promise<void> {
  const child = Bun.spawn([process.execPath, "scripts/build.ts"], {
    cwd: PROJECT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, errors, status] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  if (status !== 0) throw new Error(`scripts/build.ts ended with status ${status}:\n${output}${errors}`);
}

/** Takes the lock, or finds it held by a process that lives. One that died leaves it behind: it is taken away. */
function tryLock(): boolean {
  try {
    writeFileSync(LOCK, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as { code?: string }).code !== "EEXIST") throw error;
  }
  const holder = existsSync(LOCK) ? readFileSync(LOCK, "utf8") : "";
  if (holder !== "" && !existsSync(`/proc/${holder}`)) rmSync(LOCK, { force: true });
  return false;
}

function isFresh(): boolean {
  if (!existsSync(EXECUTABLE)) return false;
  const builtAt = statSync(EXECUTABLE).mtimeMs;
  return SOURCES.every((source) => newest(join(PROJECT, source)) <= builtAt);
}

function newest(path: string): number {
  if (!existsSync(path)) return 0;
  const found = statSync(path);
  if (!found.isDirectory()) return found.mtimeMs;
  return Math.max(found.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

export interface RunOptions {
  /** The name it is called by: `robur`, or the name of a symbolic link to it, such as solo5-hvt. */
  as?: string;
  cwd?: string;
  /** Beside the usual variables; undefined takes one away. */
  env?: Record<string, string | undefined>;
  /** A command that goes before it: setpriv, unshare, ip netns exec … */
  under?: readonly string[];
  /** Milliseconds after which it is told to end, and a little later killed; its standard error then says so. */
  limit?: number;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Longer than anything takes on a slow and busy machine. */
const DEFAULT_LIMIT_MS = 40_000;

/** The command line that starts the executable with these arguments. */
export async function command(args: readonly string[], { as = "robur", under = [] }: RunOptions = {}) {
  return [...under, await calledAs(as), ...args];
}

const links = new Map<string, string>();

/** A path whose last part is `name` and that leads to the executable. */
export async function calledAs(name: string): Promise<string> {
  const executable = await roburExecutable();
  if (name === "robur") return executable;
  const known = links.get(name);
  if (known !== undefined) return known;
  const directory = temporaryDirectory();
  const path = join(directory, name);
  symlinkSync(executable, path);
  links.set(name, path);
  return path;
}

/** Starts the executable. Its streams are pipes; standard input is empty. */
export async function start(args: readonly string[], options: RunOptions = {}) {
  return Bun.spawn(await command(args, options), {
    cwd: options.cwd ?? PROJECT,
    env: environment(options.env),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

/** What the executable sees: colours and the runtime's own variables would make tests depend on who runs them. */
export function environment(more: Record<string, string | undefined> = {}): Record<string, string> {
  const all = {
    ...process.env,
    NO_COLOR: "1",
    // Never the machine's own.
    ROBUR_DATA_DIR: process.env["ROBUR_DATA_DIR"] ?? join(tmpdir(), "robur-test-data"),
    BUN_OPTIONS: undefined,
    ROBUR_EXECUTABLE: undefined,
    ...more,
  };
  const defined = Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(defined);
}

/** How long after SIGTERM comes SIGKILL. */
const GRACE_MS = 5000;

/** Runs the executable to its end. */
export async function run(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const child = await start(args, options);
  const limit = options.limit ?? DEFAULT_LIMIT_MS;
  // SIGTERM first: what has children of its own passes it on.
  const timers = [
    setTimeout(() => child.kill("SIGTERM"), limit),
    setTimeout(() => child.kill("SIGKILL"), limit + GRACE_MS),
  ];
  const started = performance.now();
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  for (const timer of timers) clearTimeout(timer);
  const note = performance.now() - started < limit ? "" : `(did not end within ${limit} ms)\n`;
  return { code: child.exitCode, signal: child.signalCode, stdout, stderr: stderr + note };
}

/** A new directory that anybody may look into, removed when the tests of this file are done. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "robur-test-"));
  Bun.spawnSync(["chmod", "755", directory]);
  temporary.push(directory);
  return directory;
}

const temporary: string[] = [];

function removeTemporary(): void {
  for (const directory of temporary.splice(0)) rmSync(directory, { recursive: true, force: true });
  links.clear();
}

// The test runner doesn't run exit handlers, a program has no afterAll.
if (process.env["NODE_ENV"] === "test") afterAll(removeTemporary);
else process.on("exit", removeTemporary);

/** Waits until `condition` gives something else than undefined or false. Throws after `limit` milliseconds. */
export async function until<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  limit = 30_000,
): Promise<T> {
  const deadline = Date.now() + limit;
  for (;;) {
    const found = await condition();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`waited ${limit} ms for: ${what}`);
    await Bun.sleep(5);
  }
}
