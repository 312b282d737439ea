/** What `robur job` does with the jobs that were built. */
import { print, printError } from "../linux/libc.ts";
import type { JobOverview } from "../store/api.ts";
import { ClientError } from "./client/client-error.ts";
import {
  type ListedJob,
  forgetDefinition,
  isDefined,
  sayNext,
  withDefinitions,
} from "./client/definitions.ts";
import { jobWord } from "./client/build-words.ts";
import { BUILD_COLUMNS } from "./client/build-text.ts";
import { listJobs, showJob } from "./client/builds.ts";
import { type Client, connect } from "./client/connect.ts";
import { type ListColumn, type ListFlags, formatSpan, printList } from "./client/list.ts";
import { confirm } from "./confirm.ts";
import { formatTable, printable } from "./table.ts";

const columns = (now: number): readonly ListColumn<ListedJob>[] => [
  { key: "name", title: "JOB", text: ({ name }) => name },
  {
    key: "platforms",
    title: "PLATFORMS",
    text: ({ platforms }) => platforms.join(" "),
    cut: 40,
  },
  {
    key: "newest",
    title: "NEWEST",
    text: ({ newest }) => (newest === undefined ? "none" : `${formatSpan(now - newest.startedAt)} ago`),
    isRight: true,
  },
  { key: "next", title: "NEXT", text: (job) => sayNext(job, now), isRight: true },
  { key: "schedule", title: "SCHEDULE", text: ({ schedule }) => schedule ?? "", isExtra: true },
  { key: "health", title: "LAST RUNS", text: ({ recent }) => recent.map(healthOf).join(" ") },
  { key: "synopsis", title: "SYNOPSIS", text: ({ synopsis }) => synopsis ?? "", cut: 50 },
  { key: "section", title: "SECTION", text: ({ section }) => section ?? "", isExtra: true },
];

/** Oldest first, as one reads: + for a good build, - for a failed one. */
function healthOf({ builds }: JobOverview["recent"][number]): string {
  return builds
    .map(({ main }) => (main === undefined ? "-" : "+"))
    .toReversed()
    .join("");
}

/** `robur job ls`. */
export async function list(flags: ListFlags & { host: string | undefined }): Promise<void> {
  const client = connect(flags.host);
  const jobs = await withDefinitions(client, await listJobs(client));
  printList(columns(Date.now()), jobs, ({ name }) => name, flags);
}

/** `robur job show`. */
export async function show(flags: { host: string | undefined; job: string; json: boolean }): Promise<void> {
  const answer = await showJob(connect(flags.host), jobWord(flags.job));
  if (flags.json) return print(`${JSON.stringify(answer, null, 2)}\n`);
  const { job, latest } = answer;
  const facts = [
    ["Job", job.name],
    ["Section", job.section],
    ["Synopsis", job.synopsis],
    ["Platforms", job.platforms.join(" ")],
  ].filter((fact): fact is [string, string] => fact[1] !== undefined && fact[1] !== "");
  print(facts.map(([name, text]) => `${`${name}:`.padEnd(11)} ${printable(text)}\n`).join(""));
  if (latest.length === 0) return;
  const shown = BUILD_COLUMNS.filter(({ key, isExtra }) => key !== "job" && isExtra !== true);
  print(`\nThe newest good build of each platform:\n${formatTable(shown, latest)}`);
}

/** `robur job rm`: its builds, and what says that it is to be built. */
export async function remove(flags: { host: string | undefined; job: string; yes: boolean }): Promise<void> {
  const client = connect(flags.host);
  const found = await findJob(client, jobWord(flags.job));
  const name = found?.job.name ?? flags.job;
  if (found !== undefined) {
    const command = `robur job rm --yes ${name}`;
    if (!confirm(`remove job ${name} and all of its builds for good?`, flags.yes, command)) {
      printError("nothing was changed\n");
      process.exitCode = 1;
      return;
    }
  }
  // The definition first: no build begins in between.
  await forgetDefinition(client, name);
  if (found !== undefined) {
    await client.request(`/api/v1/jobs/${encodeURIComponent(name)}`, { method: "DELETE" });
  }
  print(`${name}\n`);
}

/** Undefined for one that is defined and was never built. Throws ClientError for one that is neither. */
async function findJob(client: Client, name: string) {
  try {
    return await showJob(client, name);
  } catch (error) {
    if (!(error instanceof ClientError) || error.code !== "missing") throw error;
    if (await isDefined(client, name)) return undefined;
    throw error;
  }
}
