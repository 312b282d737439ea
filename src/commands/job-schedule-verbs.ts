/** What `robur job` does with definitions. */
import { readFileSync } from "node:fs";
import type { JobLimits, Outcome, Platform, Work } from "../builds/api.ts";
import { DEFAULT_SETTINGS, TIMEOUT_MAX_MS, checkSettings, readJobName } from "../builds/schedule/settings.ts";
import { UsageError } from "../lib/errors.ts";
import { MIB, formatSize, parseSize } from "../lib/units.ts";
import { print, printError } from "../linux/libc.ts";
import { copiesOf, jobWord, platformWord } from "./client/build-words.ts";
import { type Client, ask, connect } from "./client/connect.ts";
import { parseSpan, saySpan } from "./client/span.ts";
import { startRuns } from "./build-run-verbs.ts";
import { formatTime, printable } from "./table.ts";

interface ToHost {
  readonly host: string | undefined;
}

interface SettingFlags {
  readonly platform: readonly string[] | undefined;
  readonly every: "hourly" | "daily" | "weekly" | undefined;
  readonly cron: string | undefined;
  readonly never: boolean | undefined;
  readonly timeout: string | undefined;
  readonly memory: string | undefined;
  readonly cpus: number | undefined;
  readonly processes: number | undefined;
  readonly disk: string | undefined;
  readonly network: string | undefined;
  readonly copies: number | undefined;
  readonly jitter: string | undefined;
  readonly catchUp: "once" | "skip" | undefined;
}

type Body = NonNullable<Parameters<ReturnType<Client["api"]["schedule"]>["patch"]>[0]>;

/** `robur job add`. Prints the name. */
export async function add(
  flags: ToHost & SettingFlags & { name: string; script: string; start: boolean },
): Promise<void> {
  await define(flags, { kind: "script", script: readScript(flags.script) });
}

/** `robur job orb`. Prints the name. */
export async function orb(
  flags: ToHost & SettingFlags & { name: string; package: string; repos: string | undefined; start: boolean },
): Promise<void> {
  await define(flags, { kind: "orb", opamPackage: flags.package, ...repositoriesOf(flags.repos) });
}

/** `default` stands for the template's own. */
function repositoriesOf(repos: string | undefined): { repositories?: string[] } {
  if (repos === undefined || repos === "default") return {};
  return { repositories: repos.split(",").map((repository) => repository.trim()) };
}

async function define(
  flags: ToHost & SettingFlags & { name: string; start: boolean },
  work: NonNullable<Body["work"]>,
): Promise<void> {
  const name = fitting(readJobName(flags.name));
  const settings = settingsOf(flags);
  expectFit({ ...settings, work });
  const client = connect(flags.host);
  const job = await ask(client, client.api.schedule.post({ ...settings, name, work }));
  print(`${job.name}\n`);
  if (flags.start) {
    for (const { name } of await startRuns(client, job.name, {})) printError(`queued ${name}\n`);
    return;
  }
  const due = job.nextAt === null ? "only by hand" : `first at ${formatTime(job.nextAt)}`;
  printError(`${due}; now: robur build start ${job.name}\n`);
}

/** `robur job edit`. Prints the name. */
export async function edit(
  flags: ToHost &
    SettingFlags & {
      name: string;
      script: string | undefined;
      package: string | undefined;
      repos: string | undefined;
      next: string | undefined;
    },
): Promise<void> {
  const settings = settingsOf(flags);
  if (flags.script !== undefined && (flags.package !== undefined || flags.repos !== undefined)) {
    throw new UsageError("a job is a script or a package, not both");
  }
  const changesWork = [flags.script, flags.package, flags.repos].some((flag) => flag !== undefined);
  if (!changesWork && Object.keys(settings).length === 0 && flags.next === undefined) {
    throw new UsageError("what is to be changed?", { hint: `robur job edit ${flags.name} --every weekly` });
  }
  const script = flags.script === undefined ? undefined : readScript(flags.script);
  const at = flags.next === undefined ? undefined : parseNext(flags.next);
  const client = connect(flags.host);
  const one = client.api.schedule({ job: jobWord(flags.name) });
  const work: Body["work"] =
    script !== undefined
      ? { kind: "script", script }
      : changesWork
        ? packageOf((await ask(client, one.get())).work, flags)
        : undefined;
  const body: Body = { ...settings, ...(work === undefined ? {} : { work }) };
  expectFit(body);
  if (Object.keys(body).length > 0) await ask(client, one.patch(body));
  if (at !== undefined) await ask(client, one.next.put({ at }));
  print(`${flags.name}\n`);
}

/** An orb job's work with a package or repositories changed. Throws UsageError. */
function packageOf(
  now: Work,
  flags: { readonly name: string; readonly package: string | undefined; readonly repos: string | undefined },
): NonNullable<Body["work"]> {
  const opamPackage = flags.package ?? (now.kind === "orb" ? now.opamPackage : undefined);
  if (opamPackage === undefined) {
    throw new UsageError(`${flags.name} is a script, which has no repositories`, {
      hint: `robur job edit ${flags.name} --package hello --repos ${flags.repos ?? ""}`,
    });
  }
  const kept =
    now.kind === "orb" && now.repositories !== undefined ? { repositories: [...now.repositories] } : {};
  return { kind: "orb", opamPackage, ...(flags.repos === undefined ? kept : repositoriesOf(flags.repos)) };
}

/** `robur job inspect`. */
export async function inspect(flags: ToHost & { name: string; json: boolean }): Promise<void> {
  const client = connect(flags.host);
  const job = await ask(client, client.api.schedule({ job: jobWord(flags.name) }).get());
  if (flags.json) return print(`${JSON.stringify(job, null, 2)}\n`);
  const { memoryMb, cpus, processes, diskMb } = job.limits;
  const limits = [
    memoryMb === undefined ? "" : `${formatSize(memoryMb * MIB)} memory`,
    cpus === undefined ? "" : `${cpus} processors`,
    processes === undefined ? "" : `${processes} processes`,
    diskMb === undefined ? "" : `${formatSize(diskMb * MIB)} disk`,
  ].filter((limit) => limit !== "");
  const facts: readonly (readonly [string, string])[] = [
    ["Job", job.name],
    ["Package", job.work.kind === "orb" ? job.work.opamPackage : ""],
    ["From", job.work.kind === "orb" ? (job.work.repositories ?? []).join(" ") : ""],
    ["Platforms", job.platforms.length === 0 ? "all that have a worker" : job.platforms.join(" ")],
    ["Schedule", job.isEnabled ? job.schedule : `${job.schedule}, switched off`],
    ["Next", job.nextAt === null || !job.isEnabled ? "only by hand" : formatTime(job.nextAt)],
    ["Jitter", job.jitterMs === 0 ? "" : `up to ${saySpan(job.jitterMs)}`],
    ["Copies", job.copies === 1 ? "" : String(job.copies)],
    ["Time-out", saySpan(job.timeoutMs)],
    ["Limits", limits.join(", ")],
    ["Network", job.network.kind === "hosts" ? job.network.hosts.join(" ") : job.network.kind],
    ["Changed", formatTime(job.changedAt)],
  ];
  for (const [name, text] of facts) if (text !== "") print(`${`${name}:`.padEnd(11)} ${printable(text)}\n`);
  if (job.work.kind === "script")
    print(`\n${job.work.script.split("\n").map(printable).join("\n").trimEnd()}\n`);
}

/** `robur job enable` and `disable`. Prints the names. */
export async function enable(flags: ToHost & { name: readonly string[] }, isEnabled: boolean): Promise<void> {
  const client = connect(flags.host);
  for (const job of flags.name) {
    await ask(client, client.api.schedule({ job: jobWord(job) }).enabled.put({ isEnabled }));
    print(`${job}\n`);
  }
}

/** `robur job forget`. Prints the names. */
export async function forget(flags: ToHost & { name: readonly string[] }): Promise<void> {
  const client = connect(flags.host);
  for (const job of flags.name) {
    await ask(client, client.api.schedule({ job: jobWord(job) }).delete());
    print(`${job}\n`);
  }
}

function settingsOf(flags: SettingFlags): Body {
  const limits = limitsOf(flags);
  return {
    ...(flags.platform === undefined ? {} : { platforms: platformsOf(flags.platform) }),
    ...recurrenceOf(flags),
    ...(flags.timeout === undefined ? {} : { timeoutMs: timeoutOf(flags.timeout) }),
    ...(limits === undefined ? {} : { limits }),
    ...(flags.network === undefined ? {} : { network: networkOf(flags.network) }),
    ...(flags.copies === undefined ? {} : { copies: copiesOf(flags.copies) }),
    ...(flags.jitter === undefined ? {} : { jitterMs: parseSpan("--jitter", flags.jitter) }),
    ...(flags.catchUp === undefined ? {} : { catchUp: flags.catchUp }),
  };
}

/** None stands for all. Throws UsageError. */
function platformsOf(given: readonly string[]): Platform[] {
  const names = given.flatMap((text) => text.split(","));
  return names.length === 1 && names[0] === "all" ? [] : names.map(platformWord);
}

/** What the server would refuse is a wrong command line. Throws UsageError. */
function expectFit({ limits, platforms, ...settings }: Body): void {
  const work: Work = { kind: "orb", opamPackage: "any" };
  const none = { memoryMb: undefined, cpus: undefined, processes: undefined, diskMb: undefined };
  fitting(
    checkSettings({
      ...{ ...DEFAULT_SETTINGS, work, ...settings },
      // Those of a script that is changed are the server's to know.
      platforms: (platforms ?? ["any"]) as Platform[],
      limits: { ...none, ...(limits as JobLimits | undefined) },
    }),
  );
}

function fitting<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value;
  const { message, hint } = outcome.refusal;
  throw new UsageError(message, hint === undefined ? {} : { hint });
}

function recurrenceOf({ every, cron, never }: SettingFlags): Pick<Body, "recurrence"> {
  const given = [every, cron, never === true ? true : undefined].filter((one) => one !== undefined);
  if (given.length > 1) throw new UsageError("--every, --cron and --never: one of them");
  if (every !== undefined) return { recurrence: { kind: every } };
  if (cron !== undefined) return { recurrence: { kind: "cron", line: cron } };
  return never === true ? { recurrence: { kind: "never" } } : {};
}

function limitsOf({ memory, cpus, processes, disk }: SettingFlags): Body["limits"] | undefined {
  if ([memory, cpus, processes, disk].every((limit) => limit === undefined)) return undefined;
  return {
    ...(memory === undefined ? {} : { memoryMb: megabytes("--memory", memory) }),
    ...(cpus === undefined ? {} : { cpus: above0("--cpus", cpus) }),
    ...(processes === undefined ? {} : { processes: Math.ceil(above0("--processes", processes)) }),
    ...(disk === undefined ? {} : { diskMb: megabytes("--disk", disk) }),
  };
}

/** What yargs takes for a number may be none. */
function above0(flag: string, count: number): number {
  if (Number.isFinite(count) && count > 0) return count;
  throw new UsageError(`${flag} ${count}: not a number above 0`, { hint: `${flag} 2` });
}

function timeoutOf(text: string): number {
  const span = parseSpan("--timeout", text);
  if (span >= 1000 && span <= TIMEOUT_MAX_MS) return span;
  throw new UsageError(`--timeout ${text}: between 1s and 7d`, { hint: "--timeout 2h" });
}

function megabytes(flag: string, text: string): number {
  const bytes = parseSize(text, "M");
  if (bytes !== undefined && bytes >= MIB) return Math.ceil(bytes / MIB);
  throw new UsageError(`${flag} ${text}: not a size of 1M or more`, { hint: `${flag} 4G` });
}

function networkOf(text: string): NonNullable<Body["network"]> {
  if (text === "all" || text === "none") return { kind: text };
  return { kind: "hosts", hosts: text.split(",").map((host) => host.trim()) };
}

function parseNext(text: string): number {
  if (text === "now") return Date.now();
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (at >= 0) return at;
  throw new UsageError(`--next ${text}: not a time`, { hint: "--next 2026-12-01T03:00:00Z, or now" });
}

function readScript(file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(file === "-" ? 0 : file));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UsageError(`--script ${file}: can't be read`, { why });
  }
}
