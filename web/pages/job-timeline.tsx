/** The runs of a job, put together by what they gave. */
import type { ComponentChildren } from "preact";
import { formatDuration } from "../../src/lib/duration.ts";
import { visible } from "../../src/lib/errors.ts";
import { buildPath, filePath } from "../../src/server/builds/paths.ts";
import type { BuildSummary } from "../../src/store/api.ts";
import { Hash, ResultBadge, SizeDelta, baseName, failureWords } from "../components/builds.tsx";
import { formatSize, moment } from "../components/format.ts";
import { Icon } from "../components/icons.tsx";
import { Ago, Minute, type PageContext } from "../components/layout.tsx";
import { ConsoleTail, type TailLine } from "./console-text.tsx";

/** Runs that gave one output, or that failed one after another; newest first. */
export type RunGroup =
  | { readonly kind: "output"; readonly runs: readonly BuildSummary[] }
  | { readonly kind: "failed"; readonly runs: readonly BuildSummary[] };

export interface TimelineProps {
  readonly page: PageContext;
  readonly groups: readonly RunGroup[];
  /** The end of the console of the newest runs that failed. */
  readonly excerpts: ReadonlyMap<string, readonly TailLine[]>;
}

/** Outputs and failures, newest first; two outputs are chosen to be compared. */
export function Timeline(props: TimelineProps) {
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

interface CardProps extends TimelineProps {
  readonly runs: readonly BuildSummary[];
}

/** Which run it is, and `children` about it. */
function CardHead({ page, run, says, children }: HeadProps) {
  return (
    <div class="output-head">
      <ResultBadge build={run} />
      <a class="when" href={buildPath(run)}>
        <Minute at={run.startedAt} />
      </a>
      <span class="tag">{run.platform}</span>
      <span class="muted small">
        <Ago at={run.startedAt} page={page} />
        {says !== undefined && ` · ${says}`}
      </span>
      {children}
    </div>
  );
}

interface HeadProps {
  readonly page: PageContext;
  readonly run: BuildSummary;
  /** How it went, where the badge doesn't say it all. */
  readonly says: string | undefined;
  readonly children?: ComponentChildren;
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
  const platforms = new Set(runs.map(({ platform }) => platform)).size;
  return (
    <li class="card output">
      <CardHead
        page={page}
        run={newest}
        says={`took ${formatDuration(newest.finishedAt - newest.startedAt)}`}
      >
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
      </CardHead>
      <p class="output-file">
        <a class="break" href={filePath(newest, main.path)}>
          <Icon name="download" size={16} /> {visible(baseName(main.path))}
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
        <details class="same small">
          <summary class="muted">
            {runs.length} runs{platforms > 1 ? ` on ${platforms} platforms` : ""} gave this output, the first{" "}
            <Ago at={runs.at(-1)!.startedAt} page={page} />
          </summary>
          <ul>
            {runs.map((run) => (
              <li key={run.id}>
                <a href={buildPath(run)}>
                  <Minute at={run.startedAt} />
                </a>{" "}
                <span class="tag">{run.platform}</span>
              </li>
            ))}
          </ul>
        </details>
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
      <CardHead page={page} run={newest} says={failureWords(newest)} />
      {runs.length > 1 && (
        <p class="small">
          Failed {runs.length} times in a row, first{" "}
          <a href={buildPath(first)}>
            <Minute at={first.startedAt} />
          </a>
          .
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
