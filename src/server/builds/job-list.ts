/** Which jobs the index shows, in which order. Pure. */
import type { JobsChoices, JobsQuery } from "../../../web/pages/jobs.tsx";
import { JOB_ORDERS } from "../../../web/pages/jobs.tsx";
import type { JobOverview } from "../../store/api.ts";
import { NO_SECTION } from "./original-json.ts";

/** What an address asks for; what it can't ask for is left out. */
export function readJobsQuery(search: URLSearchParams): JobsQuery {
  const text = (name: string) => (search.get(name) ?? "").trim().slice(0, 200);
  const status = text("status");
  return {
    text: text("q"),
    section: text("section"),
    platform: text("platform"),
    target: text("target"),
    status: status === "good" || status === "failing" ? status : "",
    order: JOB_ORDERS.find(([order]) => order === text("order"))?.[0] ?? "section",
  };
}

export function chooseJobs(jobs: readonly JobOverview[], query: JobsQuery): JobOverview[] {
  const words = query.text.toLowerCase().split(/\s+/);
  const chosen = jobs.filter(
    (job) =>
      words.every((word) => `${job.name} ${job.synopsis ?? ""}`.toLowerCase().includes(word)) &&
      (query.section === "" || (job.section ?? NO_SECTION) === query.section) &&
      (query.platform === "" || job.recent.some(({ platform }) => platform === query.platform)) &&
      (query.target === "" || job.newest?.solo5?.abi.target === query.target) &&
      (query.status === "" || isFailing(job) === (query.status === "failing")),
  );
  switch (query.order) {
    case "section":
    case "name":
      return chosen.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    case "age":
      return chosen.toSorted((a, b) => (b.newest?.startedAt ?? 0) - (a.newest?.startedAt ?? 0));
    case "size":
      return chosen.toSorted((a, b) => (b.newest?.main?.size ?? 0) - (a.newest?.main?.size ?? 0));
  }
}

/** Whether the newest run of some platform failed. */
export function isFailing({ recent }: JobOverview): boolean {
  return recent.some(({ builds: [newest] }) => newest !== undefined && newest.main === undefined);
}

/** What there is to choose from. */
export function choicesOf(jobs: readonly JobOverview[]): JobsChoices {
  const distinct = (values: readonly (string | undefined)[]) =>
    [...new Set(values.filter((value) => value !== undefined))].sort();
  return {
    sections: distinct(jobs.map(({ section }) => section ?? NO_SECTION)),
    platforms: distinct(jobs.flatMap(({ recent }) => recent.map(({ platform }) => platform))),
    targets: distinct(jobs.map(({ newest }) => newest?.solo5?.abi.target)),
  };
}
