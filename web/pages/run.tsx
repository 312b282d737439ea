/** One run: how it stands, and its console as it grows. */
import type { Run } from "../../src/builds/api.ts";
import { nameOf } from "../../src/builds/runs/name.ts";
import { formatDuration } from "../../src/lib/duration.ts";
import { buildPath, jobPath } from "../../src/server/builds/paths.ts";
import { runPath } from "../../src/server/builds/run-paths.ts";
import type { BuildSummary } from "../../src/store/api.ts";
import { ResultBadge } from "../components/builds.tsx";
import { moment } from "../components/format.ts";
import { Icon } from "../components/icons.tsx";
import { Ago, Page, type PageContext } from "../components/layout.tsx";
import { Lines, type TailLine } from "./console-text.tsx";
import { Act, type MayDo, RunBadge } from "./run-parts.tsx";

export interface RunPageProps {
  readonly page: PageContext;
  readonly run: Run;
  /** What the run became; undefined before its end. */
  readonly build: BuildSummary | undefined;
  /** The last lines. */
  readonly lines: readonly TailLine[];
  /** The first line that isn't there yet. */
  readonly next: number;
  /** How many wait before it; undefined where it doesn't wait. */
  readonly before: number | undefined;
  readonly may: MayDo;
}

const REFRESH_MS = 5000;

const isOver = ({ state }: Run) => state === "finished" || state === "aborted";

export function RunPage(props: RunPageProps) {
  const { page, run, lines, next } = props;
  const path = runPath(run);
  const first = lines[0]?.number ?? 1;
  return (
    <Page page={page} title={nameOf(run)}>
      <p class="crumb">
        <a href="/queue">Queue</a> · <a href={jobPath(run.job)}>{run.job}</a>
      </p>
      <div id="live-run" {...(isOver(run) ? {} : { "data-island": "refresh", "data-every": REFRESH_MS })}>
        <Head {...props} />
      </div>
      <section class="card console-card" aria-labelledby="console">
        <div class="card-head">
          <h2 id="console">Console</h2>
          <div class="actions">
            {isOver(run) ? (
              <span class="live">ended</span>
            ) : (
              <>
                <span class="live" data-live>
                  as of now
                </span>
                <noscript>
                  <a class="button small" href={path}>
                    Refresh
                  </a>
                </noscript>
              </>
            )}
            <a class="button small" href={`${path}/console`}>
              {first > 1 ? "From the first line" : "Alone"}
            </a>
          </div>
        </div>
        {first > 1 && (
          <p class="small muted cut">The last {lines.length} lines; the first ones are left out.</p>
        )}
        <pre
          class="console build-console run-console"
          tabindex={0}
          role="log"
          aria-label={`Console of ${nameOf(run)}`}
          {...(isOver(run)
            ? {}
            : {
                "data-island": "run-console",
                "data-source": `/api/v1/runs/${encodeURIComponent(nameOf(run))}/console/stream`,
                "data-from": next,
              })}
        >
          {lines.length === 0 ? (
            <span class="line empty">
              {isOver(run) ? "Nothing was written." : "Nothing was written yet."}
            </span>
          ) : (
            <Lines lines={lines} />
          )}
        </pre>
      </section>
    </Page>
  );
}

function Head({ page, run, build, before, may }: RunPageProps) {
  const path = runPath(run);
  return (
    <>
      <div class="page-head">
        <div>
          <h1 class="break">
            {run.job} <span class="muted">#{run.number}</span>
          </h1>
          <p class="badges">
            <RunBadge run={run} />
            <span class="tag">{run.platform}</span>
            {build !== undefined && run.outcome !== "exited 0" && <ResultBadge build={build} />}
          </p>
        </div>
        <div class="actions">
          {build !== undefined && (
            <a class={isOver(run) ? "button main" : "button"} href={buildPath(build)}>
              <Icon name="layers" />
              The build
            </a>
          )}
          {may.operate && isOver(run) && (
            <Act
              path={`/jobs/${encodeURIComponent(run.job)}/start`}
              word="Start again"
              label={`Start again: ${run.job}`}
              back=""
            />
          )}
          {may.administer && run.state === "queued" && (before ?? 0) > 0 && (
            <Act
              path={`${path}/move`}
              word="To the front"
              label={`${nameOf(run)} to the front`}
              back={page.path}
              fields={{ place: "front" }}
            />
          )}
          {may.administer && !isOver(run) && run.abortedBy === null && (
            <Act
              path={`${path}/abort`}
              word={run.state === "queued" ? "Drop" : "Abort"}
              label={`${run.state === "queued" ? "Drop" : "Abort"} ${nameOf(run)}`}
              back={page.path}
              isDangerous
            />
          )}
        </div>
      </div>
      <Facts {...{ page, run, before }} />
    </>
  );
}

function Facts({ page, run, before }: Pick<RunPageProps, "page" | "run" | "before">) {
  const took = run.startedAt === null || run.finishedAt === null ? undefined : run.finishedAt - run.startedAt;
  return (
    <section class="card run-facts" aria-label="Facts">
      <dl class="facts">
        {run.reason !== "" && (
          <>
            <dt>Why</dt>
            <dd>{run.reason}</dd>
          </>
        )}
        <dt>Queued</dt>
        <dd>
          <Ago at={run.queuedAt} page={page} /> <span class="muted small minute">{moment(run.queuedAt)}</span>
        </dd>
        {run.state === "queued" && before !== undefined && (
          <>
            <dt>Waits</dt>
            <dd>
              {before === 0 ? "first in its queue" : `behind ${before} ${before === 1 ? "other" : "others"}`}
              {run.notBefore > page.now && (
                <>
                  , not before <Ago at={run.notBefore} page={page} />
                </>
              )}
            </dd>
          </>
        )}
        {run.startedAt !== null && (
          <>
            <dt>Began</dt>
            <dd>
              <Ago at={run.startedAt} page={page} />{" "}
              <span class="muted small minute">{moment(run.startedAt)}</span>
            </dd>
          </>
        )}
        {took !== undefined && (
          <>
            <dt>Took</dt>
            <dd>{formatDuration(took)}</dd>
          </>
        )}
        {run.outcome !== null && (
          <>
            <dt>Result</dt>
            <dd>{run.outcome}</dd>
          </>
        )}
        {run.attempts > 1 && (
          <>
            <dt>Attempts</dt>
            <dd>{run.attempts}</dd>
          </>
        )}
        {run.abortedBy !== null && (
          <>
            <dt>Aborted by</dt>
            <dd>{run.abortedBy}</dd>
          </>
        )}
        {page.user !== undefined && run.worker !== null && (
          <>
            <dt>Worker</dt>
            <dd>{run.worker}</dd>
          </>
        )}
      </dl>
    </section>
  );
}

interface RunConsoleProps {
  readonly page: PageContext;
  readonly run: Run;
  readonly lines: readonly TailLine[];
  /** Where further lines begin; undefined where there are none now. */
  readonly further: number | undefined;
}

/** The console alone, from a line on: for reading and saving, also without scripts. */
export function RunConsolePage({ page, run, lines, further }: RunConsoleProps) {
  const path = runPath(run);
  return (
    <Page page={page} title={`Console of ${nameOf(run)}`}>
      <p class="crumb">
        <a href="/queue">Queue</a> · <a href={path}>{nameOf(run)}</a>
      </p>
      <div class="page-head">
        <h1>Console</h1>
        <RunBadge run={run} />
      </div>
      <pre
        class="console tall build-console"
        tabindex={0}
        role="group"
        aria-label={`Console of ${nameOf(run)}`}
      >
        {lines.length === 0 ? (
          <span class="line empty">There are no lines here.</span>
        ) : (
          <Lines lines={lines} />
        )}
      </pre>
      <p class="ways after">
        {further !== undefined && (
          <a class="button" href={`${path}/console?from=${further}`}>
            Further lines
          </a>
        )}
        {further === undefined && !isOver(run) && (
          <a
            class="button"
            href={`${path}/console?from=${lines[0] === undefined ? 0 : lines[0].number! - 1}`}
          >
            Refresh
          </a>
        )}
      </p>
    </Page>
  );
}
