/** Jobs at work: what runs, what waits, what is due next, and who builds. */
import type { ComponentChildren } from "preact";
import type { JobDefinition, JobName, Platform, Run, WorkerView } from "../../src/builds/api.ts";
import { nameOf } from "../../src/builds/runs/name.ts";
import { sayRecurrence } from "../../src/builds/schedule/recurrence.ts";
import { jobPath } from "../../src/server/builds/paths.ts";
import { jobSettingsPath, runPath } from "../../src/server/builds/run-paths.ts";
import { Icon } from "../components/icons.tsx";
import { Ago, Page, type PageContext } from "../components/layout.tsx";
import { Lines, type TailLine } from "./console-text.tsx";
import { Act, type MayDo } from "./run-parts.tsx";

export interface QueueProps {
  readonly page: PageContext;
  readonly running: readonly { readonly run: Run; readonly lines: readonly TailLine[] }[];
  /** `runs`: the first ones of each; `waiting`: how many there are. */
  readonly queues: readonly {
    readonly platform: Platform;
    readonly runs: readonly Run[];
    readonly waiting: number;
  }[];
  readonly dropped: readonly Platform[];
  /** Undefined for who may not see it. */
  readonly jobs: readonly JobDefinition[] | undefined;
  readonly workers: readonly WorkerView[] | undefined;
  /** Why this machine's own workers can't work. */
  readonly trouble: string | undefined;
  /** Platforms that somebody builds for. */
  readonly manned: ReadonlySet<Platform>;
  readonly ended: readonly Run[];
  readonly may: MayDo;
}

/** Between two looks, in milliseconds. */
const REFRESH_MS = 3000;
const JOBS_SHOWN = 100;

export function QueuePage(props: QueueProps) {
  const { page, running, queues, jobs, workers, may } = props;
  const waiting = queues.reduce((sum, queue) => sum + queue.waiting, 0);
  const next = jobs?.find(({ isEnabled, nextAt }) => isEnabled && nextAt !== null)?.nextAt ?? null;
  return (
    <Page page={page} title="Queue">
      <div class="page-head">
        <div>
          <h1>Queue</h1>
          <p class="muted">What is being built, what waits, and what is due.</p>
        </div>
        {may.administer && (
          <a class="button main" href="/jobs/new">
            New job
          </a>
        )}
      </div>
      <div class="stack" id="live-queue" data-island="refresh" data-every={REFRESH_MS}>
        <dl class="tiles">
          <Tile name="Running">{running.length}</Tile>
          <Tile name="Waiting">{waiting}</Tile>
          {jobs !== undefined && (
            <Tile name="Due next">{next === null ? "–" : <Ago at={next} page={page} />}</Tile>
          )}
          {workers !== undefined && (
            <Tile name="Workers">
              {workers.length}{" "}
              <small>{workers.filter(({ state }) => state === "building").length} at work</small>
            </Tile>
          )}
        </dl>
        <Running {...props} />
        <Waiting {...props} />
        {jobs !== undefined && <Jobs {...props} jobs={jobs} />}
        <div class="columns">
          <Ended {...props} />
          {workers !== undefined && <Workers {...props} workers={workers} />}
        </div>
      </div>
    </Page>
  );
}

function Tile({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div class="tile">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Running({ page, running, may }: QueueProps) {
  if (running.length === 0) {
    return (
      <section class="card" aria-labelledby="running">
        <h2 id="running">Running</h2>
        <p class="muted">Nothing is being built.</p>
      </section>
    );
  }
  return (
    <section class="stack" aria-labelledby="running">
      <h2 id="running" class="hidden-text">
        Running
      </h2>
      {running.map(({ run, lines }) => (
        <article key={run.id} class="card console-card" aria-label={nameOf(run)}>
          <div class="card-head">
            <div>
              <h3 class="break">
                <a href={runPath(run)}>{nameOf(run)}</a> <span class="tag">{run.platform}</span>
              </h3>
              <p class="small muted">
                <span class="state busy">
                  <Icon name="play" size={14} />
                  {run.abortedBy === null ? "running" : "is told to end"}
                </span>{" "}
                {run.startedAt !== null && (
                  <>
                    began <Ago at={run.startedAt} page={page} />
                  </>
                )}
                {page.user !== undefined && run.worker !== null && <>, by {run.worker}</>}
              </p>
            </div>
            {may.administer && run.abortedBy === null && (
              <Act
                path={`${runPath(run)}/abort`}
                word="Abort"
                label={`Abort ${nameOf(run)}`}
                back={page.path}
                isDangerous
              />
            )}
          </div>
          <pre
            class="console build-console last-words"
            role="group"
            aria-label={`Last lines of ${nameOf(run)}`}
          >
            {lines.length === 0 ? (
              <span class="line empty">Nothing was written yet.</span>
            ) : (
              <Lines lines={lines} />
            )}
          </pre>
        </article>
      ))}
    </section>
  );
}

function Waiting({ page, queues, dropped, manned, may }: QueueProps) {
  const busy = queues.filter(({ runs }) => runs.length > 0);
  const idle = queues.filter(({ runs }) => runs.length === 0);
  return (
    <section class="card table-card" aria-labelledby="waiting">
      <div class="card-head padded">
        <h2 id="waiting">Waiting</h2>
      </div>
      {busy.map(({ platform, runs, waiting }) => (
        <div key={platform}>
          <h3 class="queue-name">
            {platform} <span class="tag">{waiting}</span>
            {!manned.has(platform) && (
              <span class="state warn">
                <Icon name="alert" size={14} />
                no worker builds for it now
              </span>
            )}
          </h3>
          <table class="table waiting">
            <caption class="hidden-text">What waits for {platform}</caption>
            <thead>
              <tr>
                <th scope="col">Place</th>
                <th scope="col">Build</th>
                {page.user !== undefined && <th scope="col">Why</th>}
                <th scope="col">Queued</th>
                <th scope="col">
                  <span class="hidden-text">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {runs.map((run, i) => (
                <WaitingRow key={run.id} {...{ page, run, may }} place={i + 1} />
              ))}
            </tbody>
          </table>
          <More count={waiting - runs.length} command="robur queue" />
        </div>
      ))}
      {busy.length === 0 && <p class="padded muted">Nothing waits.</p>}
      {(idle.length > 0 || dropped.length > 0) && (
        <p class="padded small muted">
          {idle.length > 0 &&
            busy.length > 0 &&
            `Empty: ${idle.map(({ platform }) => platform).join(", ")}. `}
          {dropped.length > 0 && `Given up: ${dropped.join(", ")}.`}
        </p>
      )}
    </section>
  );
}

interface RowProps {
  readonly page: PageContext;
  readonly run: Run;
  readonly place: number;
  readonly may: MayDo;
}

function WaitingRow({ page, run, place, may }: RowProps) {
  const path = runPath(run);
  return (
    <tr>
      <td class="place">{place}</td>
      <td class="name break">
        <a href={path}>{nameOf(run)}</a>
        {run.attempts > 0 && <span class="small muted"> tried {times(run.attempts)}</span>}
        {run.notBefore > page.now && (
          <span class="small muted">
            {" "}
            not before <Ago at={run.notBefore} page={page} />
            {run.outcome !== null && `: ${run.outcome}`}
          </span>
        )}
      </td>
      {page.user !== undefined && <td class="small break why">{run.reason}</td>}
      <td class="small muted queued">
        <Ago at={run.queuedAt} page={page} />
      </td>
      <td class="end">
        {may.administer && (
          <div class="actions">
            {place > 1 && (
              <Act
                path={`${path}/move`}
                word="To the front"
                label={`${nameOf(run)} to the front`}
                back={page.path}
                fields={{ place: "front" }}
              />
            )}
            <Act
              path={`${path}/abort`}
              word="Drop"
              label={`Drop ${nameOf(run)}`}
              back={page.path}
              isDangerous
            />
          </div>
        )}
      </td>
    </tr>
  );
}

/** What a page that is looked at every few seconds leaves out. */
function More({ count, command }: { count: number; command: string }) {
  if (count <= 0) return null;
  return (
    <p class="padded small muted">
      And {count} more: <code>{command}</code>
    </p>
  );
}

function times(count: number): string {
  return count === 1 ? "once" : `${count} times`;
}

function Jobs({ page, jobs, may }: QueueProps & { jobs: readonly JobDefinition[] }) {
  return (
    <section class="card table-card" aria-labelledby="jobs">
      <div class="card-head padded">
        <h2 id="jobs">Jobs</h2>
      </div>
      {jobs.length === 0 ? (
        <p class="padded muted">
          No job is defined yet. A job is a script, or an opam package, and when it is to be built.
        </p>
      ) : (
        <table class="table scheduled">
          <caption class="hidden-text">Jobs, those that are due first at the top</caption>
          <thead>
            <tr>
              <th scope="col">Job</th>
              <th scope="col">When</th>
              <th scope="col">Due</th>
              <th scope="col">Platforms</th>
              <th scope="col">
                <span class="hidden-text">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {jobs.slice(0, JOBS_SHOWN).map((job) => (
              <tr key={job.name}>
                <td class="name break">
                  <a href={jobPath(job.name)}>{job.name}</a>
                </td>
                <td class="small">{sayRecurrence(job.recurrence)}</td>
                <td class="small">
                  {!job.isEnabled ? (
                    <span class="state">
                      <Icon name="dash" size={14} />
                      off
                    </span>
                  ) : job.nextAt === null ? (
                    <span class="muted">by hand</span>
                  ) : (
                    <Ago at={job.nextAt} page={page} />
                  )}
                </td>
                <td class="small muted platforms">
                  {job.platforms.length === 0 ? "all" : job.platforms.join(", ")}
                </td>
                <td class="end">
                  <JobActions name={job.name} isEnabled={job.isEnabled} page={page} may={may} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <More count={jobs.length - JOBS_SHOWN} command="robur schedule" />
    </section>
  );
}

interface JobActionsProps {
  readonly name: JobName;
  readonly isEnabled: boolean;
  readonly page: PageContext;
  readonly may: MayDo;
}

/** Start, switch off or on, settings: as far as the visitor may. */
export function JobActions({ name, isEnabled, page, may }: JobActionsProps) {
  const path = `/jobs/${encodeURIComponent(name)}`;
  return (
    <div class="actions">
      {may.operate && <Act path={`${path}/start`} word="Start" label={`Start ${name}`} back={page.path} />}
      {may.administer && (
        <>
          <Act
            path={`${path}/enabled`}
            word={isEnabled ? "Switch off" : "Switch on"}
            label={`${isEnabled ? "Switch off" : "Switch on"} ${name}`}
            back={page.path}
            fields={{ enabled: isEnabled ? "no" : "yes" }}
          />
          <a class="button small" href={jobSettingsPath(name)} aria-label={`Settings of ${name}`}>
            Settings
          </a>
        </>
      )}
    </div>
  );
}

function Ended({ page, ended }: QueueProps) {
  return (
    <section class="card" aria-labelledby="ended">
      <h2 id="ended">Ended lately</h2>
      {ended.length === 0 && <p class="muted">Nothing yet.</p>}
      <ul class="events">
        {ended.map((run) => (
          <li key={run.id}>
            <Ago at={run.finishedAt ?? run.queuedAt} page={page} />
            <span class="break">
              <a href={runPath(run)}>{nameOf(run)}</a> <span class="tag">{run.platform}</span>{" "}
              <span class={run.outcome === "exited 0" ? "muted small" : "trouble small"}>
                {run.outcome ?? run.state}
              </span>
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Workers({ page, workers, trouble }: QueueProps & { workers: readonly WorkerView[] }) {
  return (
    <section class="card" aria-labelledby="workers">
      <h2 id="workers">Workers</h2>
      {trouble !== undefined && <p class="trouble small break">{trouble}</p>}
      {workers.length === 0 && trouble === undefined && (
        <p class="muted">
          None was heard of lately. Those of this machine begin with the first job; others are started by{" "}
          <code>robur worker</code>.
        </p>
      )}
      <ul class="plain">
        {workers.map((worker, i) => (
          <li key={i} class="break">
            <span class={worker.state === "building" ? "state busy" : "state"}>
              <Icon name={worker.state === "building" ? "play" : "clock"} size={14} />
              {worker.state === "building" ? "builds" : "waits"}
            </span>{" "}
            <b>{worker.name}</b>{" "}
            <span class="small muted">
              for {worker.platforms.join(", ")}
              {worker.address === "local" ? "" : `, from ${worker.address}`}
              {worker.link === "builder" ? ", by builder's protocol" : ""}, heard of{" "}
              <Ago at={worker.seenAt} page={page} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
