/** One unikernel: how it does, its console, its course, what it is made of. */
import type { ComponentChildren } from "preact";
import type {
  OrchestratorEvent,
  RestartPolicy,
  StatsSeries,
  UnikernelView,
} from "../../src/orchestrator/api.ts";
import type { GapJson, LineJson } from "../../src/server/routes/console-json.ts";
import { ConsoleLines } from "../components/console.tsx";
import { formatSize, mebibytes } from "../components/format.ts";
import { Ago, Page, type PageContext } from "../components/layout.tsx";
import { StateBadge, exitText } from "../components/state.tsx";
import { Charts } from "./charts.tsx";
import { EventList } from "./home.tsx";
import { Actions, pathOf } from "./unikernels.tsx";

export const RANGES = [
  ["raw", "10 min"],
  ["minute", "Day"],
  ["hour", "Month"],
  ["day", "Year"],
] as const;

export interface UnikernelProps {
  readonly page: PageContext;
  readonly unikernel: UnikernelView;
  readonly lines: readonly (LineJson | GapJson)[];
  /** Where the stream goes on. */
  readonly next: number;
  readonly series: StatsSeries;
  readonly events: readonly OrchestratorEvent[];
}

export function UnikernelPage(props: UnikernelProps) {
  const { page, unikernel, lines, next, series, events } = props;
  const { name } = unikernel;
  return (
    <Page page={page} title={name}>
      <p class="crumb">
        <a href="/unikernels">Unikernels</a>
      </p>
      <div id="live-head" data-island="refresh" data-name={name}>
        <Head page={page} unikernel={unikernel} />
      </div>
      <div class="stack">
        <section class="card console-card" aria-labelledby="console">
          <div class="card-head">
            <h2 id="console">Console</h2>
            <div class="actions">
              <span class="live" data-live>
                as of now
              </span>
              <a class="button small" href={`${pathOf(name)}/console`}>
                All lines
              </a>
            </div>
          </div>
          <pre
            class="console"
            tabindex={0}
            role="log"
            aria-label={`Console of ${name}`}
            data-island="console"
            data-source={`/api/v1/unikernels/${encodeURIComponent(name)}/console/stream`}
            data-after={next}
          >
            <ConsoleLines items={lines} />
          </pre>
        </section>
        <div class="columns">
          <Course page={page} unikernel={unikernel} series={series} />
          <section class="card" aria-labelledby="happened">
            <h2 id="happened">What happened</h2>
            <div id="live-events" data-island="refresh" data-name={name}>
              <EventList page={page} events={events} isOfOne />
            </div>
          </section>
        </div>
        <div class="columns">
          <Configuration unikernel={unikernel} page={page} />
          <Image unikernel={unikernel} page={page} />
        </div>
      </div>
    </Page>
  );
}

function Head({ page, unikernel }: { page: PageContext; unikernel: UnikernelView }) {
  const { name, state, since, reason, exit, isLooping, hasPendingChanges, nextRetryAt, restarts } = unikernel;
  return (
    <>
      <div class="page-head">
        <div>
          <h1 class="break">{name}</h1>
          <p class="muted">
            <StateBadge state={state} /> since <Ago at={since} page={page} />
            {restarts > 0 && `, restarted ${restarts === 1 ? "once" : `${restarts} times`} by itself`}
            {nextRetryAt !== null && (
              <>
                , next start <Ago at={nextRetryAt} page={page} />
              </>
            )}
          </p>
        </div>
        <Actions page={page} unikernel={unikernel} />
      </div>
      {(reason !== null || isLooping) && (
        <div class={`notice after ${state === "failed" || isLooping ? "bad" : ""}`}>
          {reason !== null && <p class="break">{upper(reason)}</p>}
          {isLooping && (
            <p>It fails again and again soon after its start. Its last words are on the console.</p>
          )}
          {reason === null && exit !== null && <p>{upper(exitText(exit))}</p>}
        </div>
      )}
      {hasPendingChanges && (
        <p class="notice warn after">It was changed since it was started: a restart makes that count.</p>
      )}
    </>
  );
}

function Course({ page, unikernel, series }: Pick<UnikernelProps, "page" | "unikernel" | "series">) {
  return (
    <section class="card" aria-labelledby="course">
      <div class="card-head">
        <h2 id="course">Course</h2>
        <nav class="ranges" aria-label="Time span">
          {RANGES.map(([resolution, word]) => (
            <a
              key={resolution}
              href={`${page.path}?course=${resolution}#course`}
              {...(series.resolution === resolution ? { "aria-current": "true" as const } : {})}
            >
              {word}
            </a>
          ))}
        </nav>
      </div>
      <div
        data-island="chart"
        data-source={`/api/v1/unikernels/${encodeURIComponent(unikernel.name)}/stats?resolution=${series.resolution}`}
        data-memory={unikernel.config.memoryMb}
        data-resolution={series.resolution}
      >
        <Charts series={series} memoryMb={unikernel.config.memoryMb} />
      </div>
    </section>
  );
}

function Configuration({ page, unikernel }: { page: PageContext; unikernel: UnikernelView }) {
  const { config, networks, cpus, pid } = unikernel;
  return (
    <section class="card" aria-labelledby="configuration">
      <h2 id="configuration">Configuration</h2>
      <dl class="facts">
        <Fact name="Arguments">
          {config.args.length === 0 ? "none" : config.args.map((arg) => <code class="block">{arg}</code>)}
        </Fact>
        <Fact name="Memory">{mebibytes(config.memoryMb)}</Fact>
        <Fact name="Processors">
          {config.cpus === null
            ? `chosen by robur${cpus === null ? "" : `: ${cpus.join(", ")}`}`
            : config.cpus.join(", ")}
        </Fact>
        {config.networks.map(({ device, network }) => {
          const given = networks.find((candidate) => candidate.device === device);
          return (
            <Fact key={device} name={`Network ${device}`}>
              {network}
              {typeof given?.address === "string" && `, ${given.address}`}
              {given !== undefined && <span class="muted"> {given.mac}</span>}
            </Fact>
          );
        })}
        {config.blocks.map(({ device, volume }) => (
          <Fact key={device} name={`Volume ${device}`}>
            {volume}
          </Fact>
        ))}
        {config.publish.map(({ protocol, hostPort, guestPort }) => (
          <Fact key={`${protocol}${hostPort}`} name="Port">
            {hostPort} → {guestPort}/{protocol}
          </Fact>
        ))}
        <Fact name="Restart">{restartText(config.restart)}</Fact>
        <Fact name="Start order">{config.priority}</Fact>
        {pid !== null && <Fact name="Process">{pid}</Fact>}
        <Fact name="Made">
          <Ago at={unikernel.createdAt} page={page} />
        </Fact>
      </dl>
    </section>
  );
}

function Image({ page, unikernel }: { page: PageContext; unikernel: UnikernelView }) {
  const { image, name } = unikernel;
  return (
    <section class="card" aria-labelledby="image">
      <h2 id="image">Image</h2>
      <dl class="facts">
        <Fact name="Target">{image.target}</Fact>
        <Fact name="Size">{formatSize(image.size)}</Fact>
        <Fact name="SHA-256">
          <a class="mono" href={`/api/v1/images/${image.sha256}/content`} download>
            {image.sha256.slice(0, 16)}…
          </a>
        </Fact>
      </dl>
      {page.user?.mayWrite && (
        <div class="actions after-facts">
          <a class="button danger small" href={`${pathOf(name)}/remove`}>
            Remove …
          </a>
        </div>
      )}
    </section>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

export function restartText(policy: RestartPolicy): string {
  if (policy.kind === "no") return "never";
  if (policy.kind === "always") return "whenever it ends";
  if (policy.kind === "on-failure") {
    return policy.limit === null ? "when it fails" : `when it fails, ${policy.limit} times in a row`;
  }
  return policy.codes === null
    ? "when it ends with a status"
    : `when it ends with ${policy.codes.join(", ")}`;
}

function upper(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** The console alone, with all lines that are kept: for reading and saving, also without scripts. */
export function ConsolePage({
  page,
  name,
  lines,
  older,
}: {
  page: PageContext;
  name: UnikernelView["name"];
  lines: readonly (LineJson | GapJson)[];
  /** There are more lines behind the last one. */
  older: number | undefined;
}) {
  return (
    <Page page={page} title={`Console of ${name}`}>
      <p class="crumb">
        <a href={pathOf(name)}>{name}</a>
      </p>
      <div class="page-head">
        <h1>Console</h1>
      </div>
      <pre class="console tall" tabindex={0} aria-label={`Console of ${name}`}>
        <ConsoleLines items={lines} />
      </pre>
      {older !== undefined && (
        <p class="after">
          <a class="button" href={`${pathOf(name)}/console?after=${older}`}>
            Further lines
          </a>
        </p>
      )}
    </Page>
  );
}

/** Asks before something is gone. */
export function RemovePage({ page, unikernel }: { page: PageContext; unikernel: UnikernelView }) {
  const { name, config, state } = unikernel;
  const isUp = state !== "stopped" && state !== "failed" && state !== "created";
  return (
    <Page page={page} title={`Remove ${name}`}>
      <p class="crumb">
        <a href={pathOf(name)}>{name}</a>
      </p>
      <div class="page-head">
        <h1 class="break">Remove {name}?</h1>
      </div>
      <form class="card stack narrow" method="post" action={`${pathOf(name)}/remove`}>
        <p>
          {isUp ? "It runs, and will be stopped. " : ""}Its configuration, console and statistics are gone
          then.
          {config.blocks.length > 0 &&
            ` Its volumes (${config.blocks.map(({ volume }) => volume).join(", ")}) stay.`}
        </p>
        <div class="actions">
          <button class="button danger main" type="submit">
            {isUp ? "Stop and remove" : "Remove"}
          </button>
          <a class="button" href={pathOf(name)}>
            Keep it
          </a>
        </div>
      </form>
    </Page>
  );
}
