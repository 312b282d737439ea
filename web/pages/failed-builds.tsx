/** The builds of all jobs that failed, newest first. */
import { formatDuration } from "../../src/lib/duration.ts";
import type { BuildSummary } from "../../src/store/api.ts";
import { buildPath, jobPath } from "../../src/server/builds/paths.ts";
import { failureWords } from "../components/builds.tsx";
import { Ago, Page, type PageContext } from "../components/layout.tsx";

interface FailedProps {
  readonly page: PageContext;
  readonly builds: readonly BuildSummary[];
  readonly platform: string | undefined;
  readonly next: string | undefined;
}

export function FailedBuildsPage({ page, builds, platform, next }: FailedProps) {
  return (
    <Page page={page} title="Failed builds">
      <div class="page-head">
        <div>
          <p class="crumb">
            <a href="/all-builds">Builds</a>
            {platform !== undefined && (
              <>
                {" "}
                · <a href="/failed-builds">Failed builds on all platforms</a>
              </>
            )}
          </p>
          <h1>Failed builds{platform === undefined ? "" : ` on ${platform}`}</h1>
        </div>
      </div>
      {builds.length === 0 ? (
        <p class="card">No build has failed. Well done!</p>
      ) : (
        <div class="card table-card">
          <table class="table">
            <caption class="hidden-text">Failed builds, newest first</caption>
            <thead>
              <tr>
                <th scope="col">Job</th>
                <th scope="col">Platform</th>
                <th scope="col">When</th>
                <th scope="col">Why</th>
                <th scope="col" class="number">
                  Took
                </th>
              </tr>
            </thead>
            <tbody>
              {builds.map((build) => (
                <tr key={build.id}>
                  <td class="name break">
                    <a href={jobPath(build.job)}>{build.job}</a>
                  </td>
                  <td>
                    <a
                      class="tag"
                      href={`/failed-builds?${new URLSearchParams({ platform: build.platform })}`}
                    >
                      {build.platform}
                    </a>
                  </td>
                  <td data-label="failed">
                    <a href={buildPath(build)}>
                      <Ago at={build.startedAt} page={page} />
                    </a>
                  </td>
                  <td class="break">{failureWords(build)}</td>
                  <td class="number" data-label="took">
                    {formatDuration(build.finishedAt - build.startedAt)}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {next !== undefined && (
        <p class="after">
          <a class="button" href={next}>
            Older ones
          </a>
        </p>
      )}
    </Page>
  );
}
