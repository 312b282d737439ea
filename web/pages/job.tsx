/** One job: its newest outputs, how it went over time, and all of its runs. */
import type { JobDefinition, Run } from "../../src/builds/api.ts";
import { nameOf } from "../../src/builds/runs/name.ts";
import { sayRecurrence } from "../../src/builds/schedule/recurrence.ts";
import type { BuildSummary, Job, Platform } from "../../src/store/api.ts";
import { visible } from "../../src/lib/errors.ts";
import { buildPath, filePath, jobPath } from "../../src/server/builds/paths.ts";
import { jobSettingsPath, runPath } from "../../src/server/builds/run-paths.ts";
import {
  Command,
  Hash,
  type Reproducibility,
  ReproducedBadge,
  Strip,
  baseName,
  isGood,
  streakText,
} from "../components/builds.tsx";
import { Chart } from "../components/chart.tsx";
import { formatSize } from "../components/format.ts";
import { Ago, Page } from "../components/layout.tsx";
import { Choice } from "./jobs.tsx";
import { Timeline, type TimelineProps } from "./job-timeline.tsx";
import { Act, type MayDo, RunBadge } from "./run-parts.tsx";

export type Shown = "all" | "successful" | "failed";

export interface JobPageProps extends TimelineProps {
  /** One that is only defined has no platforms yet. */
  readonly job: Job;
  /** How this server builds it; undefined where it doesn't, or the visitor may not know. */
  readonly definition: JobDefinition | undefined;
  readonly may: MayDo;
  /** Those that run or wait. */
  readonly active: readonly Run[];
  /** Already safe. */
  readonly readme: string | undefined;
  /** For each platform the last runs, newest first, and the newest good one. */
  readonly platforms: readonly {
    readonly platform: Platform;
    readonly recent: readonly BuildSummary[];
    readonly latest: BuildSummary | undefined;
    readonly reproduced: Reproducibility | undefined;
  }[];
  /** Oldest first, for the charts: of one platform. */
  readonly course: readonly BuildSummary[];
  readonly coursePlatform: string | undefined;
  readonly shown: Shown;
  /** This server as its visitor reached it. */
  readonly origin: string;
  readonly platform: string | undefined;
  readonly next: string | undefined;
}

export function JobPage(props: JobPageProps) {
  const { page, job, readme, platforms, platform, course } = props;
  return (
    <Page page={page} title={job.name} feed={`${jobPath(job.name)}/feed`}>
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
          <Schedule {...props} />
        </div>
        <JobActions {...props} />
      </div>
      <div class="stack">
        <Active {...props} />
        {platforms.length > 0 && (
          <section class="card table-card" aria-label="Newest outputs">
            <Platforms page={page} job={job} platforms={platforms} />
          </section>
        )}
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
        {job.platforms.length === 0 && <p class="card muted">Nothing came of it yet.</p>}
        {job.platforms.length > 0 && <Runs {...props} />}
      </div>
    </Page>
  );
}

/** When it is built; nothing for a job that only others build. */
function Schedule({ page, definition }: JobPageProps) {
  if (definition === undefined) return null;
  const { isEnabled, nextAt, recurrence, platforms } = definition;
  return (
    <p class="muted small">
      {recurrence.kind === "never"
        ? "Built on demand"
        : `Built ${recurrence.kind === "cron" ? "by " : ""}${sayRecurrence(recurrence)}`}
      {platforms.length > 0 && ` on ${platforms.join(", ")}`}
      {!isEnabled
        ? "; switched off"
        : nextAt !== null && (
            <>
              , next <Ago at={nextAt} page={page} />
            </>
          )}
    </p>
  );
}

function JobActions({ job, definition, may }: JobPageProps) {
  if (definition === undefined || !may.operate) return null;
  return (
    <div class="actions">
      <Act
        path={`/jobs/${encodeURIComponent(job.name)}/start`}
        word="Start"
        label={`Start ${job.name}`}
        back=""
      />
      {may.administer && (
        <a class="button small" href={jobSettingsPath(job.name)}>
          Settings
        </a>
      )}
    </div>
  );
}

function Active({ page, active }: JobPageProps) {
  if (active.length === 0) return null;
  return (
    <section class="card" aria-label="Being built">
      <ul class="plain">
        {active.map((run) => (
          <li key={run.id} class="break">
            <RunBadge run={run} /> <a href={runPath(run)}>{nameOf(run)}</a>{" "}
            <span class="tag">{run.platform}</span>{" "}
            <span class="small muted">
              {run.startedAt === null ? "queued " : "began "}
              <Ago at={run.startedAt ?? run.queuedAt} page={page} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Runs(props: JobPageProps) {
  const { job, groups, platforms } = props;
  return (
    <>
      <section id="builds" aria-labelledby="builds-title">
        <div class="card-head">
          <h2 id="builds-title">Runs</h2>
          <RunFilter {...props} />
        </div>
        {groups.length === 0 ? <p class="card muted">There are no such runs.</p> : <Timeline {...props} />}
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
        {platforms.some(({ latest }) => latest !== undefined) && (
          <>
            <a href={`${jobPath(job.name)}/build/latest`}>Newest build</a>
            <a href={`${jobPath(job.name)}/build/latest/main-binary`}>Newest binary</a>
          </>
        )}
      </p>
      <BadgeCode {...props} />
    </>
  );
}

/** How the newest run went, for pages elsewhere. */
function BadgeCode({ job, platform, origin }: JobPageProps) {
  const query = platform === undefined ? "" : `?${new URLSearchParams({ platform })}`;
  const picture = `${jobPath(job.name)}/badge.svg${query}`;
  const code = `[![build](${origin}${picture})](${origin}${jobPath(job.name)}${query})`;
  return (
    <details class="card">
      <summary>
        Badge for a README <img class="badge" src={picture} alt="" loading="lazy" />
      </summary>
      <div class="after">
        <Command text={code} />
      </div>
    </details>
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
            <td class="name break">
              <a class="one-line" href={`${jobPath(job.name)}?platform=${encodeURIComponent(platform)}`}>
                {platform}
              </a>
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
            <td class="binary break">
              {latest?.main !== undefined && (
                <>
                  <a href={filePath(latest, latest.main.path)}>{visible(baseName(latest.main.path))}</a>{" "}
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
