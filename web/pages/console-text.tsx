/** The console of a build: with colours, and with a link to each line. */
import type { BuildSummary } from "../../src/store/api.ts";
import { buildPath, jobPath } from "../../src/server/builds/paths.ts";
import { ansiRuns } from "../components/ansi.ts";
import { ResultBadge } from "../components/builds.tsx";
import { Minute, Page, type PageContext } from "../components/layout.tsx";

/** One line: where it stands, when it was written, and its text without other control sequences than colours. */
export interface TailLine {
  /** From 1. Undefined where only the end of the console was read. */
  readonly number: number | undefined;
  /** Seconds since the build began, as text: `1.500s`. Empty for a line that says none. */
  readonly time: string;
  readonly text: string;
}

export function ConsoleTail({ lines, label }: { lines: readonly TailLine[]; label: string }) {
  if (lines.length === 0) return <p class="muted">Nothing was written.</p>;
  return (
    <pre class="console build-console tail" tabindex={0} role="group" aria-label={label}>
      <span>
        <Lines lines={lines} />
      </span>
    </pre>
  );
}

export function Lines({ lines }: { lines: readonly TailLine[] }) {
  return (
    <>
      {lines.map(({ number, time, text }, i) => (
        <span key={number ?? i} class="line" {...(number === undefined ? {} : { id: `L${number}` })}>
          {number !== undefined && (
            <a class="number" href={`#L${number}`} aria-label={`Line ${number}`}>
              {number}
            </a>
          )}
          {time !== "" && <span class="stamp">{time}</span>}
          <span class="text">
            {ansiRuns(text).map((run, j) =>
              run.classes === "" ? (
                run.text
              ) : (
                <span key={j} class={run.classes}>
                  {run.text}
                </span>
              ),
            )}
          </span>
        </span>
      ))}
    </>
  );
}

interface LogProps {
  readonly page: PageContext;
  readonly build: BuildSummary;
  readonly lines: readonly TailLine[];
  /** How many there are in all. */
  readonly total: number;
  readonly perPage: number;
  /** From 1. */
  readonly part: number;
  readonly query: string;
}

export function LogPage({ page, build, lines, total, perPage, part, query }: LogProps) {
  const parts = Math.max(Math.ceil(total / perPage), 1);
  const address = `${buildPath(build)}/log`;
  return (
    <Page page={page} title={`Console of ${build.job}`}>
      <div class="page-head">
        <div>
          <p class="crumb">
            <a href={jobPath(build.job)}>{build.job}</a> ·{" "}
            <a href={buildPath(build)}>
              <Minute at={build.startedAt} />
            </a>
          </p>
          <h1>Console</h1>
          <p>
            <ResultBadge build={build} />{" "}
            <span class="muted small">
              {query === "" ? `${total} lines` : `${total} lines with “${query}”`} ·{" "}
              <a href={`${buildPath(build)}/console`}>as plain text</a>
            </span>
          </p>
        </div>
        <form class="search" role="search" method="get" action={address}>
          <label class="hidden-text" for="find">
            Lines that contain
          </label>
          <input
            id="find"
            type="search"
            name="q"
            value={query}
            placeholder="lines that contain"
            spellcheck={false}
          />
          <button class="button" type="submit">
            Find
          </button>
        </form>
      </div>
      {lines.length === 0 ? (
        <p class="card muted">{query === "" ? "Nothing was written." : "No line contains that."}</p>
      ) : (
        <pre class="console tall build-console" tabindex={0} role="group" aria-label="Console">
          <Lines lines={lines} />
        </pre>
      )}
      {parts > 1 && (
        <nav class="ways after" aria-label="Parts of the console">
          {part > 1 && <a href={partOf(address, query, part - 1)}>Earlier</a>}
          <span class="muted">
            Part {part} of {parts}
          </span>
          {part < parts && <a href={partOf(address, query, part + 1)}>Later</a>}
          {part < parts && <a href={partOf(address, query, parts)}>End</a>}
        </nav>
      )}
    </Page>
  );
}

function partOf(address: string, query: string, part: number): string {
  return `${address}?${new URLSearchParams({ ...(query === "" ? {} : { q: query }), part: String(part) })}`;
}
