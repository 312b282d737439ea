/** builder-web's JSON, field by field: its clients refuse what differs. Pure. */
import { resultText } from "../../protocols/builder/result-text.ts";
import type { Build, BuildSummary, JobOverview, OutputGroup } from "../../store/api.ts";

/** Jobs without a section are shown under this one. */
export const NO_SECTION = "Uncategorized";

/** `2024-09-04T10:11:12-00:00`: RFC 3339 in whole seconds, with the offset that says nothing of where it is. */
export function instant(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19)}-00:00`;
}

/** By section in byte order, the jobs of each by name. */
export function bySection<T extends { readonly section: string | undefined; readonly name: string }>(
  jobs: readonly T[],
): [section: string, jobs: T[]][] {
  const sections = Map.groupBy(jobs, ({ section }) => section ?? NO_SECTION);
  const sorted = (list: T[]) => list.toSorted((a, b) => compareBytes(a.name, b.name));
  return [...sections]
    .map(([section, list]): [string, T[]] => [section, sorted(list)])
    .toSorted(([a], [b]) => compareBytes(a, b));
}

function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

export function indexJson(jobs: readonly JobOverview[]) {
  const sections = bySection(jobs.filter(({ latest }) => latest.length > 0))
    .toReversed()
    .map(([section, list]) => [section, list.map(jobJson)] as const);
  return {
    jobs: sections.flatMap(([, list]) => list),
    jobs_by_section: Object.fromEntries(sections),
  };
}

function jobJson({ name, synopsis, newest }: JobOverview) {
  const { id, solo5 } = newest ?? {};
  return {
    name,
    // One null would empty the whole list of a client.
    synopsis: synopsis ?? "",
    ...(id === undefined || solo5 === undefined
      ? {}
      : { latest: { uuid: id, solo5_manifest: solo5.manifest, solo5_abi: solo5.abi } }),
  };
}

function listedJson({ id, main }: BuildSummary) {
  return {
    uuid: id,
    main_binary:
      main === undefined
        ? null
        : { filename: main.path.slice(main.path.lastIndexOf("/") + 1), sha256: main.sha256, size: main.size },
  };
}

/** One build for each output, newest first; failed ones among them by when they began. */
export function jobBuildsJson(outputs: readonly OutputGroup[], failed: readonly BuildSummary[]) {
  const builds = [...outputs.map(({ newest }) => newest), ...failed];
  if (failed.length > 0) builds.sort((a, b) => b.startedAt - a.startedAt);
  return { builds: builds.map(listedJson) };
}

export function buildJson({ id, job, platform, startedAt, finishedAt, main, solo5 }: Build) {
  return {
    job,
    uuid: id,
    platform,
    start_time: instant(startedAt),
    finish_time: instant(finishedAt),
    main_binary: main !== undefined,
    ...(solo5 === undefined ? {} : { solo5_manifest: solo5.manifest, solo5_abi: solo5.abi }),
  };
}

/** The original has no JSON of failed builds; this one is in its manner. */
export function failedJson(builds: readonly BuildSummary[], next: string | undefined) {
  return {
    builds: builds.map(({ id, job, platform, startedAt, finishedAt, result }) => ({
      job,
      uuid: id,
      platform,
      start_time: instant(startedAt),
      finish_time: instant(finishedAt),
      result: resultText(result),
    })),
    next: next ?? null,
  };
}
