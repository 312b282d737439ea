/** One job: its newest outputs, how it went over time, and all of its runs. */
import type { BuildSummary, Job, Platform } from "../../src/store/api.ts";
import { buildPath, filePath, jobPath } from "../../src/server/builds/paths.ts";
import {
  Hash,
  type Reproducibility,
  ReproducedBadge,
  ResultBadge,
  SizeDelta,
  Strip,
  baseName,
  failureWords,
  isGood,
  streakText,
} from "../components/builds.tsx";
import { Chart } from "../components/chart.tsx";
import { duration, formatSize, moment } from "../components/format.ts";
import { Icon } from "../components/icons.tsx";
import { Ago, Page, type PageContext } from "../components/layout.tsx";
import { Choice } from "./jobs.tsx";
import { ConsoleTail, type TailLine } from "./console-text.tsx";

export type Shown = "all" | "successful" | "failed";

/** Runs that gave one output, or that failed one after another; newest first. */
export type RunGroup =
  | { readonly kind: "output"; readonly runs: readonly BuildSummary[] }
  | { readonly kind: "failed"; readonly runs: readonly BuildSummary[] };

export interface JobPageProps {
  readonly page: PageContext;
  readonly job: Job;
  /** Already safe. */
  readonly readme: string | undefined;
  /** For each platform the last runs, newest first, and the newest good one. */
  readonly platforms: readonly {
    readonly platform: Platform;
    readonly recent: readonly BuildSummary[];
    readonly latest: BuildSummary | undefined;
    readonly reproduced: Reproducibility | undefined;
  }[];
  readonly groups: readonly RunGroup[];
  /** Oldest first, for the charts: of one platform. */
  readonly course: readonly BuildSummary[];
  readonly coursePlatform: string | undefined;
  /** The end of the console of the newest runs that failed. */
  readonly excerpts: ReadonlyMap<string, readonly TailLine[]>;
  readonly shown: Shown;
  readonly platform: string | undefined;
  readonly next: string | undefined;
}

export function JobPage(props: JobPageProps) {
  const { page, job, readme, platforms, groups, platform, course } = props;
  return (
    <Page page={page} title={job.name}>
      <div class="page-head">
        <div>
          <p class="crumb">
            <a href="/all-builds">Builds</a> · {job.section ?? "Uncategorized"}
          </p>
          <h1 class="break">
            {job.name}
            {platform === undefined ? "" : ` on ${platform}`}
          </h1>
          {job.synopsis !== undefined && <p class="muted break">{job.synopsis}</p>}
        </div>
      </div>
      <div class="stack">
        <section class="card table-card" aria-label="Newest outputs">
          <Platforms page={page} job={job} platforms={platforms} />
        </section>
        {(readme !== undefined || job.description !== undefined) && (
          <details class="card readme-card">
            <summary>
              <h2>About {job.name}</h2>
            </summary>
            {readme === undefined ? (
              <p class="pre break">{job.description}</p>
            ) : (
              // Made by readmeHtml, which lets nothing through but its own tags.
              <div class="readme" dangerouslySetInnerHTML={{ __html: readme }} />
            )}
          </details>
        )}
        {course.length > 2 && <Course {...props} />}
        <section id="builds" aria-labelledby="builds-title">
          <div class="card-head">
            <h2 id="builds-title">Runs</h2>
            <RunFilter {...props} />
          </div>
          {groups.length === 0 ? <p class="card muted">There are no such runs.</p> : <Groups {...props} />}
          {props.next !== undefined && (
            <p class="after">
              <a class="button" href={props.next}>
                Older runs
              </a>
            </p>
          )}
        </section>
        <p class="ways">
          <a href={`${jobPath(job.name)}/feed`}>Atom feed</a>
          <a href={`${jobPath(job.name)}/build/latest`}>Newest build</a>
          <a href={`${jobPath(job.name)}/build/latest/main-binary`}>Newest binary</a>
        </p>
      </div>
    </Page>
  );
}

function Platforms({ page, job, platforms }: Pick<JobPageProps, "page" | "job" | "platforms">) {
  return (
    <table class="table">
      <caption class="hidden-text">The newest output of each platform</caption>
      <thead>
        <tr>
          <th scope="col">Platform</th>
          <th scope="col">Last runs</th>
          <th scope="col">Newest</th>
          <th scope="col">Binary</th>
          <th scope="col">Reproduced</th>
        </tr>
      </thead>
      <tbody>
        {platforms.map(({ platform, recent, latest, reproduced }) => (
          <tr key={platform}>
            <td class="name">
              <a href={`${jobPath(job.name)}?platform=${encodeURIComponent(platform)}`}>{platform}</a>
            </td>
            <td class="runs">
              <Strip builds={recent} page={page} />
              {streakText(recent, page) !== undefined && (
                <span class="small trouble">{streakText(recent, page)}</span>
              )}
            </td>
            <td data-label="newest">
              {latest === undefined ? (
                <span class="muted">never built</span>
              ) : (
                <a class="quiet" href={buildPath(latest)}>
                  <Ago at={latest.startedAt} page={page} />
                </a>
              )}
            </td>
            <td class="binary">
              {latest?.main !== undefined && (
                <>
                  <a href={filePath(latest, latest.main.path)}>{baseName(latest.main.path)}</a>{" "}
                  <span class="muted small">{formatSize(latest.main.size)}</span>{" "}
                  <span class="block">
                    <Hash value={latest.main.sha256} />
                  </span>
                </>
              )}
            </td>
            <td>
              <ReproducedBadge found={reproduced} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Course({ course, coursePlatform }: JobPageProps) {
  const good = course.filter(isGood);
  return (
    <section class="card" aria-label="Course">
      <div class="charts">
        <Chart
          title={`Size on ${coursePlatform ?? "all platforms"}`}
          format="size"
          least={1}
          points={good.map(({ startedAt, main }) => ({ at: startedAt, value: main!.size }))}
        />
        <Chart
          title="Time it took"
          format="duration"
          least={1000}
          isSecond
          points={course.map(({ startedAt, finishedAt }) => ({
            at: startedAt,
            value: finishedAt - startedAt,
          }))}
        />
      </div>
    </section>
  );
}

function RunFilter({ job, platform, shown }: JobPageProps) {
  return (
    <form class="filter" method="get" action={`${jobPath(job.name)}#builds`} aria-label="Which runs">
      <Choice
        name="platform"
        word="Platform"
        value={platform ?? ""}
        options={job.platforms.map((name) => [name, name] as const)}
      />
      <Choice
        name="show"
        word="Show"
        value={shown === "all" ? "" : shown}
        options={[
          ["successful", "built"],
          ["failed", "failed"],
        ]}
      />
      <button class="button small" type="submit">
        Show
      </button>
    </form>
  );
}

function Groups(props: JobPageProps) {
  const { groups } = props;
  /** Counts the outputs: the two newest are what is most likely to be compared. */
  let rank = 0;
  const choices = groups.filter(({ kind }) => kind === "output").length;
  return (
    <form method="get" action="/compare">
      <ol class="timeline">
        {groups.map((group, i) => {
          const before = groups
            .slice(i + 1)
            .find(({ kind, runs }) => kind === "output" && runs[0]?.platform === group.runs[0]?.platform);
          if (group.kind === "output") rank += 1;
          return group.kind === "output" ? (
            <OutputCard
              key={group.runs[0]!.id}
              {...props}
              runs={group.runs}
              before={before?.runs[0]}
              rank={rank}
            />
          ) : (
            <FailedCard key={group.runs[0]!.id} {...props} runs={group.runs} />
          );
        })}
      </ol>
      {choices > 1 && (
        <p class="after">
          <button class="button" type="submit">
            Compare the chosen two
          </button>
        </p>
      )}
    </form>
  );
}

interface CardProps extends JobPageProps {
  readonly runs: readonly BuildSummary[];
}

function OutputCard({
  page,
  runs,
  before,
  rank,
}: CardProps & { before: BuildSummary | undefined; rank: number }) {
  const newest = runs[0]!;
  const main = newest.main!;
  const name = `${newest.platform}, ${moment(newest.startedAt)}`;
  return (
    <li class="card output">
      <div class="output-head">
        <ResultBadge build={newest} />
        <a class="when" href={buildPath(newest)}>
          {moment(newest.startedAt).slice(0, 16)}
        </a>
        <span class="tag">{newest.platform}</span>
        <span class="muted small">
          <Ago at={newest.startedAt} page={page} /> · took {duration(newest.finishedAt - newest.startedAt)}
        </span>
        <span class="pick">
          <label>
            <input type="radio" name="left" value={newest.id} checked={rank === 2} />
            <span aria-hidden="true">old</span>
            <span class="hidden-text">compare {name} as the older one</span>
          </label>
          <label>
            <input type="radio" name="right" value={newest.id} checked={rank === 1} />
            <span aria-hidden="true">new</span>
            <span class="hidden-text">compare {name} as the newer one</span>
          </label>
        </span>
      </div>
      <p class="output-file">
        <a href={filePath(newest, main.path)}>
          <Icon name="download" size={16} /> {baseName(main.path)}
        </a>
        <span>{formatSize(main.size)}</span>
        {before?.main !== undefined && <SizeDelta from={before.main.size} to={main.size} />}
        <Hash value={main.sha256} />
        {before !== undefined && (
          <a class="small" href={`/compare/${before.id}/${newest.id}`}>
            what changed
          </a>
        )}
      </p>
      {runs.length > 1 && (
        <p class="small muted">
          {runs.length} runs gave this output:{" "}
          {runs.slice(0, 12).map((run, i) => (
            <span key={run.id}>
              {i > 0 && ", "}
              <a href={buildPath(run)}>{moment(run.startedAt).slice(0, 16)}</a>
              {run.platform === newest.platform ? "" : ` (${run.platform})`}
            </span>
          ))}
          {runs.length > 12 && ` and ${runs.length - 12} more`}
        </p>
      )}
    </li>
  );
}

function FailedCard({ page, runs, excerpts }: CardProps) {
  const newest = runs[0]!;
  const first = runs.at(-1)!;
  const lines = excerpts.get(newest.id);
  return (
    <li class="card output failed">
      <div class="output-head">
        <ResultBadge build={newest} />
        <a class="when" href={buildPath(newest)}>
          {moment(newest.startedAt).slice(0, 16)}
        </a>
        <span class="tag">{newest.platform}</span>
        <span class="muted small">
          <Ago at={newest.startedAt} page={page} /> · {failureWords(newest)}
        </span>
      </div>
      {runs.length > 1 && (
        <p class="small">
          Failed {runs.length} times in a row, first{" "}
          <a href={buildPath(first)}>{moment(first.startedAt).slice(0, 16)}</a>.
        </p>
      )}
      {lines !== undefined && (
        <>
          <ConsoleTail lines={lines} label={`End of the console of ${moment(newest.startedAt)}`} />
          <p class="small">
            <a href={`${buildPath(newest)}/log`}>Whole console</a>
          </p>
        </>
      )}
    </li>
  );
}
