/** The start: three ways to a first unikernel, or how those that are there are doing. */
import type { OrchestratorEvent, UnikernelView } from "../../src/orchestrator/api.ts";
import { jobPath } from "../../src/server/builds/paths.ts";
import type { JobOverview } from "../../src/store/api.ts";
import { Strip } from "../components/builds.tsx";
import { formatSize, mebibytes, percent } from "../components/format.ts";
import { Icon } from "../components/icons.tsx";
import { Ago, Page, type PageContext } from "../components/layout.tsx";
import { StateBadge, needsAttention } from "../components/state.tsx";

export interface HomeProps {
  readonly page: PageContext;
  readonly unikernels: readonly UnikernelView[];
  readonly events: readonly OrchestratorEvent[];
  /** Shares of one processor, and bytes, of all that run. */
  readonly used: { readonly cpu: number; readonly resident: number };
  readonly host: { readonly name: string; readonly cpus: number; readonly memory: number };
  /** Those that were built of late. */
  readonly jobs: readonly JobOverview[];
}

export function HomePage(props: HomeProps) {
  const { page, unikernels, host, jobs } = props;
  return (
    <Page page={page} title="Home">
      <div class="page-head">
        <div>
          <h1>{host.name}</h1>
          <p class="muted">
            {host.cpus} {host.cpus === 1 ? "processor" : "processors"}, {formatSize(host.memory)} of memory
          </p>
        </div>
        {unikernels.length > 0 && page.user?.mayWrite && (
          <a class="button main" href="/deploy">
            <Icon name="upload" />
            Deploy
          </a>
        )}
      </div>
      {unikernels.length === 0 ? <FirstSteps page={page} /> : <Overview {...props} />}
      {jobs.length > 0 && <Builds page={page} jobs={jobs} />}
    </Page>
  );
}

/** How many jobs are shown: those that fail, then those that were built last. */
const JOBS = 6;

function Builds({ page, jobs }: Pick<HomeProps, "page" | "jobs">) {
  const failing = ({ recent }: JobOverview) =>
    recent.some(({ builds: [newest] }) => newest?.main === undefined);
  const at = ({ newest }: JobOverview) => newest?.startedAt ?? 0;
  const shown = jobs
    .toSorted((a, b) => Number(failing(b)) - Number(failing(a)) || at(b) - at(a))
    .slice(0, JOBS);
  return (
    <section class="card home-builds" aria-labelledby="home-builds">
      <div class="card-head">
        <h2 id="home-builds">Builds</h2>
        <a class="small" href="/all-builds">
          All jobs
        </a>
      </div>
      <ul class="plain">
        {shown.map((job) => (
          <li key={job.name} class="home-job">
            <a class="break" href={jobPath(job.name)}>
              {job.name}
            </a>
            <span class="strips">
              {job.recent.map(({ platform, builds }) => (
                <Strip key={platform} builds={builds} page={page} />
              ))}
            </span>
            <span class="muted small">
              {job.newest === undefined ? "never built" : <Ago at={job.newest.startedAt} page={page} />}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function FirstSteps({ page }: { page: PageContext }) {
  if (!page.user?.mayWrite) {
    return <p class="notice">No unikernel runs here yet, and your account may only look.</p>;
  }
  return (
    <section aria-labelledby="first">
      <h2 id="first" class="hidden-text">
        First steps
      </h2>
      <div class="cards">
        <div class="card choice">
          <span class="icon">
            <Icon name="play" />
          </span>
          <h3>Run the sample</h3>
          <p class="muted">
            A tiny unikernel that is built in. It says hello on its console, and shows that this machine can
            do it.
          </p>
          <form class="end" method="post" action="/deploy/sample">
            <button class="button main" type="submit">
              Run hello
            </button>
          </form>
        </div>
        <div class="card choice">
          <span class="icon">
            <Icon name="upload" />
          </span>
          <h3>Deploy your own</h3>
          <p class="muted">
            Upload an image that MirageOS built for hvt or spt. robur reads which networks and volumes it
            wants, and asks for no more than that.
          </p>
          <p class="end">
            <a class="button" href="/deploy">
              Upload an image
            </a>
          </p>
        </div>
        <div class="card choice">
          <span class="icon">
            <Icon name="cloud" />
          </span>
          <h3>Take a ready-made one</h3>
          <p class="muted">
            DNS servers, web servers, VPN gateways: builds.robur.coop has reproducible builds of them.
            Download a main binary there, and upload it here.
          </p>
          <p class="end">
            <a class="button" href="https://builds.robur.coop/" rel="noreferrer external">
              Visit builds.robur.coop
            </a>
          </p>
        </div>
      </div>
    </section>
  );
}

function Overview({ page, unikernels, events, used, host }: HomeProps) {
  const running = unikernels.filter(({ state }) => state === "running");
  const reserved = running.reduce((sum, { config }) => sum + config.memoryMb, 0);
  const troubled = unikernels.filter(needsAttention);
  return (
    <div class="stack" id="live-home" data-island="refresh">
      <dl class="tiles">
        <div class="tile">
          <dt>Running</dt>
          <dd>
            {running.length} <small>of {unikernels.length}</small>
          </dd>
        </div>
        <div class="tile">
          <dt>Need a look</dt>
          <dd>{troubled.length}</dd>
        </div>
        <div class="tile">
          <dt>Processor</dt>
          <dd>
            {percent(used.cpu)} <small>of {host.cpus * 100} %</small>
          </dd>
        </div>
        <div class="tile">
          <dt>Memory</dt>
          <dd>
            {formatSize(used.resident)} <small>of {mebibytes(reserved)}</small>
          </dd>
        </div>
      </dl>
      <div class="columns second-first">
        <section class="card" aria-labelledby="events">
          <div class="card-head">
            <h2 id="events">What happened</h2>
          </div>
          <EventList page={page} events={events} />
        </section>
        <section class="card" aria-labelledby="trouble">
          <div class="card-head">
            <h2 id="trouble">{troubled.length === 0 ? "Unikernels" : "Need a look"}</h2>
            <a class="small" href="/unikernels">
              All {unikernels.length}
            </a>
          </div>
          <ul class="events">
            {(troubled.length === 0 ? running : troubled).slice(0, 8).map(({ id, name, state, reason }) => (
              <li key={id}>
                <StateBadge state={state} />
                <span class="break">
                  <a href={`/unikernels/${encodeURIComponent(name)}`}>{name}</a>
                  {troubled.length > 0 && reason !== null && <span class="muted small"> {reason}</span>}
                </span>
              </li>
            ))}
          </ul>
        </section>
      </div>
    </div>
  );
}

interface EventListProps {
  readonly page: PageContext;
  readonly events: readonly OrchestratorEvent[];
  /** The page is of one unikernel: its name need not be said. */
  readonly isOfOne?: boolean;
}

export function EventList({ page, events, isOfOne = false }: EventListProps) {
  if (events.length === 0) return <p class="muted">Nothing yet.</p>;
  return (
    <ol class={isOfOne ? "events narrow-list" : "events"} tabindex={isOfOne ? 0 : undefined}>
      {events.map((event) => (
        <li key={event.id}>
          <Ago at={event.at} page={page} />
          <span class="break">
            {!isOfOne && event.unikernel !== null && (
              <>
                <a href={`/unikernels/${encodeURIComponent(event.unikernel.name)}`}>
                  {event.unikernel.name}
                </a>{" "}
              </>
            )}
            {event.text}
          </span>
        </li>
      ))}
    </ol>
  );
}
