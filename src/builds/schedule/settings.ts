/** What a job's settings may be. Pure. */
import { parseHost } from "../sandbox/network.ts";
import { type JobName, type Platform, parseJobName, parsePlatform } from "../../store/api.ts";
import type { JobSettings, Outcome, Work } from "../api.ts";
import { done, refuse } from "../api.ts";
import { parseCron } from "./recurrence.ts";

/** Larger scripts belong into a repository. */
export const SCRIPT_MAX = 8 * 1024 * 1024;
export const TIMEOUT_MAX_MS = 7 * 24 * 3_600_000;

export const DEFAULT_SETTINGS: Omit<JobSettings, "work" | "platforms"> = {
  recurrence: { kind: "daily" },
  timeoutMs: 3_600_000,
  limits: { memoryMb: undefined, cpus: undefined, processes: undefined, diskMb: undefined },
  network: { kind: "all" },
  copies: 1,
  jitterMs: 0,
  catchUp: "once",
  isEnabled: true,
};

/** An opam package, with a version or without. It stands in a script, so it is no more than letters and these. */
const PACKAGE = /^[A-Za-z0-9_][A-Za-z0-9_+.~-]{0,254}$/;
/** An opam repository, as `orb build --repos` takes it. It stands between quotes in a script, and commas part them. */
const REPOSITORY =
  /^[A-Za-z0-9][A-Za-z0-9._-]*:((git|hg|darcs)(\+[a-z]+)?|https?|ssh|file):\/\/[^\s'",\\`$%]+$/;
const REPOSITORIES_MAX = 16;
const REPOSITORY_MAX = 1000;

/** The name of a job, or why it is none. */
export function readJobName(text: string): Outcome<JobName> {
  const name = parseJobName(text);
  if (name !== undefined) return done(name);
  return refuse(
    "invalid",
    `${JSON.stringify(text)} can't be a job's name`,
    "letters, digits and . _ + -, like hello-1",
  );
}

/** The name of a platform, or why it is none. */
export function readPlatform(text: string): Outcome<Platform> {
  const platform = parsePlatform(text);
  if (platform !== undefined) return done(platform);
  return refuse("invalid", `${JSON.stringify(text)} can't be a platform's name`, "debian-12, freebsd-14");
}

/** The settings, if they fit together. */
export function checkSettings(settings: JobSettings): Outcome<JobSettings> {
  const why = complaint(settings);
  return why === undefined ? done(settings) : refuse("invalid", why);
}

function complaint({
  work,
  platforms,
  recurrence,
  timeoutMs,
  network,
  copies,
  jitterMs,
  limits,
}: JobSettings) {
  const inWork = workComplaint(work);
  if (inWork !== undefined) return inWork;
  if (work.kind === "script" && platforms.length === 0)
    return "a script is for a platform, such as debian-12: which one?";
  if (new Set(platforms).size !== platforms.length) return "a platform is named twice";
  if (recurrence.kind === "cron" && parseCron(recurrence.line) === undefined) {
    return `${JSON.stringify(recurrence.line)} is no line of cron: minute hour day month weekday, such as 0 3 * * *`;
  }
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 1000 || timeoutMs > TIMEOUT_MAX_MS) {
    return "a time-out is between 1 second and 7 days";
  }
  if (!Number.isSafeInteger(copies) || copies < 1 || copies > 16)
    return "between 1 and 16 builds are made at a time";
  if (!Number.isSafeInteger(jitterMs) || jitterMs < 0 || jitterMs > 24 * 3_600_000)
    return "jitter is at most a day";
  if (network.kind === "hosts" && network.hosts.some((host) => parseHost(host) === undefined)) {
    return "a host is a name such as opam.ocaml.org or an address, with :PORT or without";
  }
  const numbers = Object.values(limits).filter((limit) => limit !== undefined);
  return numbers.every((limit) => Number.isFinite(limit) && limit > 0) ? undefined : "limits are above 0";
}

function workComplaint(work: Work): string | undefined {
  if (work.kind === "orb") {
    if (!PACKAGE.test(work.opamPackage))
      return `${JSON.stringify(work.opamPackage)} is no opam package: name, or name.version`;
    return repositoriesComplaint(work.repositories ?? []);
  }
  if (work.script === "") return "the script is empty";
  if (work.script.includes("\0")) return "the script has a NUL byte in it";
  return work.script.length > SCRIPT_MAX ? "the script is larger than 8 MiB" : undefined;
}

function repositoriesComplaint(repositories: readonly string[]): string | undefined {
  if (repositories.length > REPOSITORIES_MAX) return `at most ${REPOSITORIES_MAX} repositories are named`;
  const wrong = repositories.find((text) => text.length > REPOSITORY_MAX || !REPOSITORY.test(text));
  if (wrong !== undefined)
    return `${JSON.stringify(wrong.slice(0, 100))} is no repository: NAME:URL, such as default:https://opam.ocaml.org`;
  const names = new Set(repositories.map((text) => text.slice(0, text.indexOf(":"))));
  return names.size < repositories.length ? "a repository is named twice" : undefined;
}
