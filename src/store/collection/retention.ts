/**
 * Which builds may go. Pure. The three forms of builder-db's vacuum as the original has them, and the rules that the
 * server follows each day. Whatever the rule: a pinned build stays, and so does one whose main binary a unikernel runs.
 */
import type { BuildId, JobName, Platform } from "../api.ts";

/** A build as retention sees it. Times are milliseconds since 1970. */
export interface PastBuild {
  readonly id: BuildId;
  readonly job: JobName;
  readonly platform: Platform;
  readonly startedAt: number;
  readonly finishedAt: number;
  /** It has a main binary. */
  readonly isSuccessful: boolean;
  readonly isPinned: boolean;
  /** A unikernel's image is its main binary. */
  readonly isUsed: boolean;
}

/** Which builds a rule is about; counts are for each job. */
export interface Selection {
  /** Default: all. */
  readonly jobs?: readonly JobName[] | undefined;
  /** Default: all, counted together. */
  readonly platform?: Platform | undefined;
}

export type RetentionRule =
  /** Those that finished at or before `at`. */
  | (Selection & { readonly kind: "older-than"; readonly at: number })
  /** All but the newest of each job, successful or not. */
  | (Selection & { readonly kind: "except-latest"; readonly count: number })
  /**
   * Those that finished at or before the successful build at the place `count` (from 0, newest first), except that
   * one: so many successful builds and one more stay. Where there are fewer, nothing goes.
   */
  | (Selection & { readonly kind: "except-latest-successful"; readonly count: number })
  /** Of each job and platform, those that finished at or before the last of the newest `count` successful ones. */
  | { readonly kind: "keep-successful"; readonly count: number }
  /** Those that finished so long ago. */
  | { readonly kind: "older-than-days"; readonly days: number };

const DAY_MS = 86_400_000;

/** Those that any of the rules lets go, oldest first. */
export function buildsToRemove(
  builds: readonly PastBuild[],
  rules: readonly RetentionRule[],
  now: number,
): PastBuild[] {
  const going = new Set(rules.flatMap((rule) => removedBy(builds, rule, now)));
  return [...going]
    .filter(({ isPinned, isUsed }) => !isPinned && !isUsed)
    .sort((a, b) => a.startedAt - b.startedAt || compare(a.id, b.id));
}

function removedBy(builds: readonly PastBuild[], rule: RetentionRule, now: number): PastBuild[] {
  switch (rule.kind) {
    case "older-than":
      return selected(builds, rule).filter(({ finishedAt }) => finishedAt <= rule.at);
    case "older-than-days":
      return builds.filter(({ finishedAt }) => finishedAt <= now - rule.days * DAY_MS);
    case "except-latest":
      return groups(selected(builds, rule), ({ job }) => job).flatMap((group) => group.slice(rule.count));
    case "except-latest-successful":
      return groups(selected(builds, rule), ({ job }) => job).flatMap((group) => behind(group, rule.count));
    case "keep-successful":
      return groups(builds, ({ job, platform }) => `${job} ${platform}`).flatMap((group) =>
        behind(group, rule.count - 1),
      );
  }
}

function selected(builds: readonly PastBuild[], { jobs, platform }: Selection): PastBuild[] {
  return builds.filter(
    (build) =>
      (jobs === undefined || jobs.includes(build.job)) &&
      (platform === undefined || build.platform === platform),
  );
}

/** Each newest first. */
function groups(builds: readonly PastBuild[], keyOf: (build: PastBuild) => string): PastBuild[][] {
  const all = Map.groupBy(builds, keyOf);
  return [...all.values()].map((group) =>
    group.toSorted((a, b) => b.startedAt - a.startedAt || compare(b.id, a.id)),
  );
}

/** What finished at or before the successful build at a place, except that one. */
function behind(newestFirst: readonly PastBuild[], place: number): PastBuild[] {
  const last = newestFirst.filter(({ isSuccessful }) => isSuccessful)[place];
  if (last === undefined) return [];
  return newestFirst.filter((build) => build !== last && build.finishedAt <= last.finishedAt);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
