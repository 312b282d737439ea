/** A shell in the sandbox that a failed build left, on the page. */
import { buildPath, jobPath } from "../../src/server/builds/paths.ts";
import type { BuildSummary } from "../../src/store/api.ts";
import { Command } from "../components/builds.tsx";
import { formatSize, moment } from "../components/format.ts";
import { Ago, Page, type PageContext } from "../components/layout.tsx";

export interface BuildShellProps {
  readonly page: PageContext;
  readonly build: BuildSummary;
  /** Undefined where the sandbox isn't kept. */
  readonly kept: { readonly keptAt: number; readonly bytes: number } | undefined;
  /** The file with the terminal's own style. */
  readonly style: string;
}

const KEYS: readonly (readonly [word: string, characters: string])[] = [
  ["Esc", "\u001b"],
  ["Tab", "\t"],
  ["Ctrl-C", "\u0003"],
  ["Ctrl-D", "\u0004"],
  ["↑", "\u001b[A"],
  ["↓", "\u001b[B"],
];

export function BuildShellPage({ page, build, kept, style }: BuildShellProps) {
  return (
    <Page page={page} title={`Shell in ${build.job}`}>
      <link rel="stylesheet" href={`/assets/${style}`} />
      <p class="crumb">
        <a href={jobPath(build.job)}>{build.job}</a> ·{" "}
        <a href={buildPath(build)}>{moment(build.startedAt).slice(0, 16)}</a>
      </p>
      <div class="page-head">
        <h1 class="break">Shell in the sandbox</h1>
      </div>
      {kept === undefined ? (
        <p class="notice">
          No sandbox of this build is kept here. Only the newest failed build of a job leaves one, for a
          while, on the machine that built it.
        </p>
      ) : (
        <>
          <noscript>
            <div class="card">
              <p>The terminal needs JavaScript. The same on the command line:</p>
              <Command text={`robur build shell ${build.id}`} />
            </div>
          </noscript>
          <section class="card terminal-card" aria-labelledby="terminal">
            <div class="card-head">
              <h2 id="terminal" class="small">
                {build.platform}, {formatSize(kept.bytes)}, left <Ago at={kept.keptAt} page={page} />
              </h2>
              <div class="actions">
                <span class="live" role="status" data-live>
                  not connected
                </span>
                <a class="button small" href={page.path} data-again hidden>
                  Open again
                </a>
              </div>
            </div>
            <div
              class="shell"
              data-island="terminal"
              data-source={`/api/v1/builds/${build.id}/shell`}
              role="group"
              aria-label={`Shell in the sandbox of ${build.job}`}
            />
            <div class="keys" role="group" aria-label="Keys">
              {KEYS.map(([word, characters]) => (
                <button key={word} class="button small" type="button" data-key={characters}>
                  {word}
                </button>
              ))}
            </div>
          </section>
        </>
      )}
    </Page>
  );
}
