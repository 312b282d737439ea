/** Reads of a kept build what a comparison needs. Parsed inputs are kept for a while: builds share most of them. */
import { OpamError } from "../../opam/opam-error.ts";
import { type SwitchExport, readSwitchExport } from "../../opam/switch-export.ts";
import { MIB } from "../../lib/units.ts";
import type { Build, BuildId, BuildStore, Content, ContentStore } from "../api.ts";
import { StoreError } from "../store-error.ts";
import type { Comparable, Input } from "./comparison.ts";
import type { ConsoleText } from "./console-changes.ts";
import { readEnvironment, readSystemPackages } from "./keyed-lines.ts";

/** The largest real switch exports are a few megabytes. */
export const INPUT_LIMIT = 16 * MIB;
/** Lists of variables and of the system's packages are a few kilobytes. */
export const LINES_LIMIT = MIB;
/** Compared of a console. */
export const CONSOLE_LIMIT = 4 * MIB;
export const CONSOLE_TAIL = 32 * 1024;
const KEPT = 32;

/** Undefined where there is no such build. */
export async function loadComparable(
  builds: BuildStore,
  contents: ContentStore,
  id: BuildId,
): Promise<Comparable | undefined> {
  const build = builds.build(id);
  return build === undefined ? undefined : comparableOf(builds, contents, build);
}

/** The same for a build that was asked for already. */
export async function comparableOf(
  builds: BuildStore,
  contents: ContentStore,
  build: Build,
): Promise<Comparable> {
  const { id, job, platform, startedAt, finishedAt, result, main, solo5 } = build;
  const input = <T>(path: string, read: (text: string) => T, limit: number) =>
    readInput(contents, builds.artifact(id, path), path, read, limit);
  const [switchExport, environment, systemPackages, console] = await Promise.all([
    input<SwitchExport>("opam-switch", readSwitchExport, INPUT_LIMIT),
    input("build-environment", readEnvironment, LINES_LIMIT),
    input("system-packages", readSystemPackages, LINES_LIMIT),
    readConsole(contents, build.console),
  ]);
  return {
    build: {
      name: `${job}@${id}`,
      id,
      job,
      platform,
      startedAt,
      finishedAt,
      result,
      ...(main === undefined ? {} : { main: { path: main.path, sha256: main.sha256, size: main.size } }),
    },
    files: build.artifacts,
    switchExport,
    environment,
    systemPackages,
    solo5: solo5 === undefined ? { state: "missing" } : { state: "read", value: solo5 },
    console: { state: "read", value: console },
  };
}

/** By path and SHA-256, the one used last at the end. */
const parsed = new Map<string, unknown>();

async function readInput<T>(
  contents: ContentStore,
  found: ReturnType<BuildStore["artifact"]>,
  path: string,
  read: (text: string) => T,
  limit: number,
): Promise<Input<T>> {
  if (found === undefined) return { state: "missing" };
  const key = `${path} ${found.artifact.sha256}`;
  if (parsed.has(key)) {
    const value = parsed.get(key) as T;
    parsed.delete(key);
    parsed.set(key, value);
    return { state: "read", value };
  }
  if (found.content === undefined) return { state: "unreadable", error: `${path}: its bytes are not kept` };
  try {
    const bytes = await contents.bytes(found.content, limit);
    const value = read(new TextDecoder().decode(bytes));
    parsed.set(key, value);
    const [oldest] = parsed.keys();
    if (parsed.size > KEPT && oldest !== undefined) parsed.delete(oldest);
    return { state: "read", value };
  } catch (error) {
    if (error instanceof OpamError || error instanceof StoreError)
      return { state: "unreadable", error: `${path}: ${error.message}` };
    throw error;
  }
}

async function readConsole(contents: ContentStore, console: Content): Promise<ConsoleText> {
  const isCut = console.size > CONSOLE_LIMIT;
  const beginning = await textOf(contents, console, 0, Math.min(console.size, CONSOLE_LIMIT));
  if (!isCut) return { beginning, end: beginning.slice(-CONSOLE_TAIL), isCut };
  return {
    beginning,
    end: await textOf(contents, console, console.size - CONSOLE_TAIL, console.size),
    isCut,
  };
}

async function textOf(contents: ContentStore, content: Content, start: number, end: number): Promise<string> {
  return start === end ? "" : new Response(contents.read(content, { start, end })).text();
}
