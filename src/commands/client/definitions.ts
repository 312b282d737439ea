/** What is known of jobs beside their builds: when they are due, and what of them waits and runs. */
import type { JobOverview } from "../../store/api.ts";
import { printError } from "../../linux/libc.ts";
import { formatTable } from "../table.ts";
import { jobWord } from "./build-words.ts";
import { ClientError } from "./client-error.ts";
import { type Client, ask } from "./connect.ts";
import { formatSpan } from "./list.ts";

/** A job in a list: what was built of it, and when it is due. */
export interface ListedJob extends Omit<JobOverview, "name"> {
  readonly name: string;
  /** `daily`, `cron 0 3 * * *`; undefined where nothing defines the job here. */
  readonly schedule: string | undefined;
  readonly nextAt: number | null;
  readonly isEnabled: boolean;
  /** Where it is to be built, or was with success. */
  readonly platforms: readonly string[];
}

/** Jobs with their definitions, by section and name; those that were never built are among them. */
export async function withDefinitions(client: Client, built: readonly JobOverview[]): Promise<ListedJob[]> {
  const defined = new Map((await definitions(client)).map((job) => [job.name as string, job]));
  const listed = built.map((job): ListedJob => {
    const found = defined.get(job.name);
    defined.delete(job.name);
    const { schedule, nextAt = null, isEnabled = false, platforms = [] } = found ?? {};
    const built = job.recent.map(({ platform }) => platform as string);
    return { ...job, schedule, nextAt, isEnabled, platforms: [...new Set([...built, ...platforms])] };
  });
  const unbuilt = [...defined.values()].map(({ name, schedule, nextAt, isEnabled, platforms }): ListedJob => {
    const nothing = { section: undefined, synopsis: undefined, latest: [], newest: undefined, recent: [] };
    return { ...nothing, name, schedule, nextAt, isEnabled, platforms };
  });
  return [...listed, ...unbuilt];
}

/** None for who may see builds only. */
async function definitions(client: Client) {
  try {
    return (await ask(client, client.api.schedule.get())).jobs;
  } catch (error) {
    if (error instanceof ClientError && ["not-signed-in", "not-permitted"].includes(error.code)) return [];
    throw error;
  }
}

/** When a job is due, for a column. */
export function sayNext({ nextAt, isEnabled, schedule }: ListedJob, now: number): string {
  if (schedule === undefined) return "";
  if (!isEnabled) return "off";
  return nextAt === null ? "by hand" : `in ${formatSpan(nextAt - now)}`;
}

/** Says on standard error what waits and runs, of one job or of all, where there is something. */
export async function sayUnfinished(client: Client, job: string | undefined): Promise<void> {
  const { running, queues } = await ask(client, client.api.queue.get());
  const now = Date.now();
  const runs = [...running, ...queues.flatMap((queue) => queue.runs)].filter(
    (run) => job === undefined || (run.job as string) === job,
  );
  if (runs.length === 0) return;
  const columns = [
    { title: "RUN", text: ({ name }: (typeof runs)[number]) => name },
    { title: "PLATFORM", text: ({ platform }: (typeof runs)[number]) => platform as string },
    { title: "STATE", text: ({ state }: (typeof runs)[number]) => state },
    {
      title: "FOR",
      text: ({ startedAt, state, queuedAt }: (typeof runs)[number]) =>
        formatSpan(now - (state === "running" ? (startedAt ?? now) : queuedAt)),
      isRight: true,
    },
  ];
  const shown = runs.slice(0, 20);
  const more = runs.length > shown.length ? `and ${runs.length - shown.length} more: robur queue\n` : "";
  printError(`${formatTable(columns, shown)}${more}\n`);
}

/** Removes a job's definition; false when there was none. Throws ClientError. */
export async function forgetDefinition(client: Client, job: string): Promise<boolean> {
  try {
    await ask(client, client.api.schedule({ job: jobWord(job) }).delete());
    return true;
  } catch (error) {
    if (error instanceof ClientError && error.code === "missing") return false;
    throw error;
  }
}

/** Whether a job is defined here. */
export async function isDefined(client: Client, job: string): Promise<boolean> {
  return (await definitions(client)).some(({ name }) => (name as string) === job);
}
