/** What was found. */
import type { BuildSummary } from "../../src/store/api.ts";
import type { JobHit } from "../../src/store/builds/search.ts";
import { buildPath, jobPath } from "../../src/server/builds/paths.ts";
import { Hash, ResultBadge } from "../components/builds.tsx";
import { formatSize } from "../components/format.ts";
import { Ago, Minute, Page, type PageContext } from "../components/layout.tsx";
import { sentence } from "./gate.tsx";
import { SearchField } from "./search-field.tsx";

interface SearchProps {
  readonly page: PageContext;
  readonly query: string;
  readonly jobs: readonly JobHit[];
  readonly builds: readonly BuildSummary[];
  readonly next: string | undefined;
  /** Why the query can't be understood. */
  readonly complaint: string | undefined;
}

export function SearchPage({ page, query, jobs, builds, next, complaint }: SearchProps) {
  const isEmpty = query !== "" && complaint === undefined && jobs.length + builds.length === 0;
  return (
    <Page page={page} title={query === "" ? "Search" : `Search for ${query}`}>
      <div class="page-head">
        <div>
          <p class="crumb">
            <a href="/all-builds">Builds</a>
          </p>
          <h1>Search</h1>
        </div>
        <SearchField value={query} />
      </div>
      <div class="stack">
        {complaint !== undefined && (
          <div class="notice bad" role="alert">
            <p class="break">{sentence(complaint)}</p>
          </div>
        )}
        {isEmpty && <p class="card">Nothing here is like that. It may have been built elsewhere.</p>}
        {jobs.length > 0 && (
          <section class="card" aria-labelledby="jobs">
            <h2 id="jobs">Jobs</h2>
            <ul class="plain">
              {jobs.map(({ name, synopsis }) => (
                <li key={name} class="break">
                  <a href={jobPath(name)}>{name}</a> <span class="muted">{synopsis}</span>
                </li>
              ))}
            </ul>
          </section>
        )}
        {builds.length > 0 && <Builds page={page} builds={builds} />}
        {next !== undefined && (
          <p>
            <a class="button" href={next}>
              More
            </a>
          </p>
        )}
        <Help isOpen={query === "" || complaint !== undefined || isEmpty} />
      </div>
    </Page>
  );
}

function Builds({ page, builds }: { page: PageContext; builds: readonly BuildSummary[] }) {
  return (
    <section class="card table-card" aria-label="Builds">
      <table class="table">
        <caption class="hidden-text">Builds that were found</caption>
        <thead>
          <tr>
            <th scope="col">Build</th>
            <th scope="col">State</th>
            <th scope="col">Platform</th>
            <th scope="col" class="number">
              Size
            </th>
            <th scope="col">SHA-256</th>
          </tr>
        </thead>
        <tbody>
          {builds.map((build) => (
            <tr key={build.id}>
              <td class="name break">
                <a href={buildPath(build)}>
                  {build.job}, <Minute at={build.startedAt} />
                </a>
                <span class="block small muted">
                  <Ago at={build.startedAt} page={page} />
                </span>
              </td>
              <td>
                <ResultBadge build={build} />
              </td>
              <td data-label="platform">{build.platform}</td>
              <td class="number" data-label="size">
                {build.main === undefined ? "–" : formatSize(build.main.size)}
              </td>
              <td>{build.main !== undefined && <Hash value={build.main.sha256} />}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Help({ isOpen }: { isOpen: boolean }) {
  const terms: readonly (readonly [string, string])[] = [
    ["hello", "jobs by a part of their name or synopsis, and their builds"],
    ["3bdbb4fe", "builds that have a file whose SHA-256 begins so, or whose own id does"],
    ["x509 < 0.11.0", "builds whose opam switch has such a package; package:x509 for any version"],
    ["platform:debian-12", "builds on a platform"],
    ["since:2026-01-01 before:2026-02-01", "builds of a time"],
  ];
  return (
    <details class="card" open={isOpen}>
      <summary>What can be searched for</summary>
      <dl class="facts terms after">
        {terms.map(([term, meaning]) => (
          <>
            <dt>
              <a href={`/search?${new URLSearchParams({ q: term })}`}>
                <code>{term}</code>
              </a>
            </dt>
            <dd>{meaning}</dd>
          </>
        ))}
      </dl>
      <p class="muted small after">All terms must hold.</p>
    </details>
  );
}
