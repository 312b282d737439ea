/** The form of a job: from its settings to fields, and from fields to settings or to what is wrong. Pure. */
import type { JobNetwork, JobSettings, Platform, Recurrence, Work } from "../../builds/api.ts";
import { parseCron } from "../../builds/schedule/recurrence.ts";
import { checkSettings, readPlatform } from "../../builds/schedule/settings.ts";

type Fields = Readonly<Record<string, string>>;

/** Bytes of a script that can be changed in a form: sent, they grow up to threefold. */
export const SCRIPT_IN_FORM = 256 * 1024;

export type JobFormResult =
  | { readonly ok: true; readonly settings: JobSettings }
  | { readonly ok: false; readonly errors: Fields; readonly complaint: string };

/** What the form shows for settings. */
export function jobFields({
  work,
  recurrence,
  limits,
  network,
  ...rest
}: JobSettings): Record<string, string> {
  const number = (value: number | undefined) => (value === undefined ? "" : String(value));
  return {
    kind: work.kind,
    script: work.kind === "script" && work.script.length <= SCRIPT_IN_FORM ? work.script : "",
    package: work.kind === "orb" ? work.opamPackage : "",
    repositories: work.kind === "orb" ? (work.repositories ?? []).join("\n") : "",
    platforms: rest.platforms.join(" "),
    when: recurrence.kind,
    cron: recurrence.kind === "cron" ? recurrence.line : "",
    timeout: saySpan(rest.timeoutMs),
    copies: String(rest.copies),
    jitter: rest.jitterMs === 0 ? "" : saySpan(rest.jitterMs),
    "catch-up": rest.catchUp,
    memory: number(limits.memoryMb),
    cpus: number(limits.cpus),
    processes: number(limits.processes),
    disk: number(limits.diskMb),
    network: network.kind,
    hosts: network.kind === "hosts" ? network.hosts.join("\n") : "",
    enabled: rest.isEnabled ? "on" : "",
  };
}

/** Reads the form. A script that is too large for it stays the one of `before`. */
export function readJobForm(fields: Fields, before: Work | undefined): JobFormResult {
  const errors: Record<string, string> = {};
  const field = (name: string) => fields[name]?.trim() ?? "";
  const check = <T>(name: string, value: T | undefined, complaint: string, otherwise: T): T => {
    if (value === undefined) errors[name] = complaint;
    return value ?? otherwise;
  };
  const limit = (name: string) =>
    field(name) === "" ? undefined : check(name, above0(field(name)), "A number above 0, or nothing.", 1);
  const work = readWork(fields, before);
  if (work.kind === "orb" && work.opamPackage === "") errors["package"] = "Which package?";
  if (work.kind === "script" && work.script.trim() === "") errors["script"] = "What is it to run?";
  const platforms = check("platforms", readPlatforms(field("platforms")), "Names such as debian-12.", []);
  if (work.kind === "script" && platforms.length === 0) errors["platforms"] ??= "A script needs one.";
  const settings: JobSettings = {
    work,
    platforms,
    recurrence: check(
      "cron",
      readRecurrence(field("when"), field("cron")),
      "Minute, hour, day, month, weekday: 0 3 * * *",
      {
        kind: "never",
      },
    ),
    timeoutMs: check("timeout", readSpan(field("timeout")), "A time such as 60 min.", 60_000),
    copies: check("copies", whole(field("copies"), 1, 16), "A number from 1 to 16.", 1),
    jitterMs:
      field("jitter") === "" ? 0 : check("jitter", readSpan(field("jitter")), "A time such as 30 min.", 0),
    catchUp: field("catch-up") === "skip" ? "skip" : "once",
    limits: {
      memoryMb: limit("memory"),
      cpus: limit("cpus"),
      processes: limit("processes"),
      diskMb: limit("disk"),
    },
    network: readNetwork(field("network"), fields["hosts"] ?? ""),
    isEnabled: field("enabled") === "on",
  };
  if (Object.keys(errors).length > 0) {
    return { ok: false, errors, complaint: "something in the form is not as it should be" };
  }
  const outcome = checkSettings(settings);
  return outcome.ok
    ? { ok: true, settings: outcome.value }
    : { ok: false, errors, complaint: outcome.refusal.message };
}

function readWork(fields: Fields, before: Work | undefined): Work {
  if (fields["kind"] === "orb") {
    const repositories = (fields["repositories"] ?? "").split(/[\s,]+/).filter((one) => one !== "");
    return {
      kind: "orb",
      opamPackage: fields["package"]?.trim() ?? "",
      ...(repositories.length === 0 ? {} : { repositories }),
    };
  }
  const isLarge = before?.kind === "script" && before.script.length > SCRIPT_IN_FORM;
  if (isLarge && fields["script"] === undefined) return before;
  // Browsers send each line end as two characters, and a shell reads the first as a part of the word before it.
  return { kind: "script", script: (fields["script"] ?? "").replaceAll("\r\n", "\n") };
}

function readPlatforms(text: string): Platform[] | undefined {
  const read = text
    .split(/[\s,]+/)
    .filter((name) => name !== "")
    .map(readPlatform);
  return read.every((one) => one.ok) ? read.map(({ value }) => value) : undefined;
}

function readRecurrence(when: string, line: string): Recurrence | undefined {
  switch (when) {
    case "hourly":
    case "daily":
    case "weekly":
    case "never":
      return { kind: when };
    case "cron":
      return parseCron(line);
    default:
      return undefined;
  }
}

function readNetwork(kind: string, hosts: string): JobNetwork {
  if (kind === "none" || kind === "all") return { kind };
  const names = hosts.split(/[\s,]+/).filter((host) => host !== "");
  return { kind: "hosts", hosts: names };
}

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1000],
] as const;

/** The largest unit in which it is a whole number: 90 min. */
function saySpan(ms: number): string {
  const [word, unit] = UNITS.find(([, size]) => ms % size === 0) ?? ["s", 1000];
  return `${ms / unit} ${word}`;
}

/** `90 s`, `60 min`, `2 h`, `7 d`; without a unit: minutes. */
function readSpan(text: string): number | undefined {
  const [, number = "", unit = ""] = /^(\d{1,9}(?:\.\d{1,3})?)\s*(s|m|min|h|d|)$/.exec(text) ?? [];
  if (number === "") return undefined;
  const size = UNITS.find(([word]) => word === unit)?.[1] ?? 60_000;
  return Math.round(Number(number) * size);
}

function whole(text: string, least: number, most: number): number | undefined {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : -1;
  return value >= least && value <= most ? value : undefined;
}

function above0(text: string): number | undefined {
  const value = /^\d{1,9}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  return value > 0 ? value : undefined;
}
