/** All jobs: what is built here, how each is doing, and what came of it last. */
import type { BuildSummary, JobOverview } from "../../src/store/api.ts";
import { bySection } from "../../src/server/builds/original-json.ts";
import { buildPath, filePath, jobPath } from "../../src/server/builds/paths.ts";
import {
  Command,
  type Reproducibility,
  ReproducedBadge,
  SizeDelta,
  Strip,
  baseName,
  isGood,
  streakText,
} from "../components/builds.tsx";
import { formatSize } from "../components/format.ts";
import { Icon } from "../components/icons.tsx";
import { Ago, Page, type PageContext } from "../components/layout.tsx";
import { SearchField } from "./search-field.tsx";

export const JOB_ORDERS = [
  ["section", "Section"],
  ["name", "Name"],
  ["age", "Newest first"],
  ["size", "Largest first"],
] as const;
export type JobOrder = (typeof JOB_ORDERS)[number][0];

/** What the visitor asked to see. */
export interface JobsQuery {
  readonly text: string;
  readonly section: string;
  readonly platform: string;
  readonly target: string;
  readonly status: "" | "good" | "failing";
  readonly order: JobOrder;
}

export interface JobEntry {
  readonly job: JobOverview;
  readonly reproduced: Reproducibility | undefined;
}

export interface JobsChoices {
  readonly sections: readonly string[];
  readonly platforms: readonly string[];
  readonly targets: readonly string[];
}

interface JobsProps {
  readonly page: PageContext;
  readonly entries: readonly JobEntry[];
  /** How many there are without the filter. */
  readonly total: number;
  readonly query: JobsQuery;
  readonly choices: JobsChoices;
  /** `/` leaves out what wasn't built for so many days. */
  readonly activeDays: number | undefined;
}

export function JobsPage({ page, entries, total, query, choices, activeDays }: JobsProps) {
  return (
    <Page page={page} title="Builds">
      <div class="page-head">
        <div>
          <h1>Builds</h1>
          <p class="muted">
            {entries.length === total ? total : `${entries.length} of ${total}`}{" "}
            {total === 1 ? "job" : "jobs"}
            {activeDays === undefined ? "" : `, built within ${activeDays} days`}
          </p>
        </div>
        {total > 0 && <SearchField />}
      </div>
      <div class="stack">
        {total > 0 && <Filter page={page} query={query} choices={choices} />}
        {total === 0 && activeDays === undefined ? (
          <FirstBuilds page={page} />
        ) : total === 0 ? (
          <p class="card muted">All jobs rest: none was built within {activeDays} days.</p>
        ) : entries.length === 0 ? (
          <p class="card muted">No job is like that.</p>
        ) : (
          <JobTable page={page} entries={entries} isGrouped={query.order === "section"} />
        )}
        <p class="ways">
          {activeDays === undefined ? (
            <a href="/">Active jobs only</a>
          ) : (
            <a href="/all-builds">All jobs, also those that rest</a>
          )}
          {total > 0 && (
            <>
              <a href="/failed-builds">Latest failed builds</a>
              <a href="/compare">Compare two builds</a>
            </>
          )}
        </p>
        <About />
      </div>
    </Page>
  );
}

const FIRST_BUILDS: readonly (readonly [title: string, command: string])[] = [
  ["Built here, an opam package every day", "robur job orb hello mirage-unikernel-hello --start"],
  ["Somebody else's", "robur pull dns-primary-git --from https://builds.robur.coop --store"],
  ["One of your own", "robur push hello hello.hvt --platform debian-12"],
  ["All that a builder-web has", "robur import builder-web /var/lib/builder-web"],
];

/** Where builds come from; strangers can do nothing about it. */
function FirstBuilds({ page }: { page: PageContext }) {
  if (page.user === undefined) return <p class="card muted">Nothing was built yet.</p>;
  return (
    <section class="card" aria-labelledby="first-builds">
      <h2 id="first-builds">Nothing was built yet</h2>
      {FIRST_BUILDS.map(([title, command]) => (
        <div key={title} class="step">
          <h3>{title}</h3>
          <Command text={command} />
        </div>
      ))}
      <p class="after">
        Jobs are defined on <a href="/queue">the queue's page</a> as well.
      </p>
    </section>
  );
}

function Filter({ page, query, choices }: Pick<JobsProps, "page" | "query" | "choices">) {
  return (
    <form class="filter" method="get" action={page.path} aria-label="Filter">
      <Field name="q" word="Name" value={query.text} />
      <Choice name="section" word="Section" value={query.section} options={choices.sections.map(same)} />
      <Choice name="platform" word="Platform" value={query.platform} options={choices.platforms.map(same)} />
      <Choice name="target" word="Target" value={query.target} options={choices.targets.map(same)} />
      <Choice
        name="status"
        word="State"
        value={query.status}
        options={[
          ["good", "built"],
          ["failing", "failing"],
        ]}
      />
      <Choice name="order" word="Order" value={query.order} options={JOB_ORDERS} all={undefined} />
      <button class="button small" type="submit">
        Show
      </button>
    </form>
  );
}

const same = (text: string): readonly [string, string] => [text, text];

function Field({ name, word, value }: { name: string; word: string; value: string }) {
  return (
    <label>
      <span>{word}</span>
      <input type="search" name={name} value={value} spellcheck={false} autocapitalize="none" />
    </label>
  );
}

interface ChoiceProps {
  readonly name: string;
  readonly word: string;
  readonly value: string;
  readonly options: readonly (readonly [value: string, word: string])[];
  /** What choosing nothing is called; undefined: something is always chosen. */
  readonly all?: string | undefined;
}

export function Choice({ name, word, value, options, all = "all" }: ChoiceProps) {
  return (
    <label>
      <span>{word}</span>
      <select name={name}>
        {name !== "order" && <option value="">{all}</option>}
        {options.map(([option, text]) => (
          <option key={option} value={option} selected={option === value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

interface TableProps {
  readonly page: PageContext;
  readonly entries: readonly JobEntry[];
  readonly isGrouped: boolean;
}

/** One table, so that columns stand below each other over all sections. */
function JobTable({ page, entries, isGrouped }: TableProps) {
  const byJob = new Map(entries.map((entry) => [entry.job, entry]));
  const rows = (some: readonly JobEntry[]) =>
    some.map((entry) => <Row key={entry.job.name} page={page} {...entry} />);
  return (
    <div class="card table-card">
      <table class="table jobs">
        <caption class="hidden-text">Jobs</caption>
        <thead>
          <tr>
            <th scope="col">Job</th>
            <th scope="col">Last runs</th>
            <th scope="col">Last built</th>
            <th scope="col" class="number">
              Size
            </th>
            <th scope="col">Reproduced</th>
          </tr>
        </thead>
        {isGrouped ? (
          bySection(entries.map(({ job }) => job)).map(([section, jobs]) => (
            <tbody key={section}>
              <tr class="group">
                <th scope="rowgroup" colSpan={5}>
                  <h2>{section}</h2>
                </th>
              </tr>
              {rows(jobs.map((job) => byJob.get(job)!))}
            </tbody>
          ))
        ) : (
          <tbody>{rows(entries)}</tbody>
        )}
      </table>
    </div>
  );
}

function Row({ page, job, reproduced }: JobEntry & { page: PageContext }) {
  const { newest } = job;
  const before = previousSize(job);
  return (
    <tr>
      <td class="name">
        <a href={jobPath(job.name)}>{job.name}</a>{" "}
        {newest?.solo5 !== undefined && <span class="tag">{newest.solo5.abi.target}</span>}
        {job.synopsis !== undefined && <span class="muted small block synopsis">{job.synopsis}</span>}
      </td>
      <td class="runs">
        {job.recent.map(({ platform, builds }) => (
          <div key={platform} class="platform">
            <a class="small" href={`${jobPath(job.name)}?platform=${encodeURIComponent(platform)}`}>
              {platform}
            </a>
            <Strip builds={builds} page={page} />
            {streakText(builds, page) !== undefined && (
              <span class="small trouble">{streakText(builds, page)}</span>
            )}
          </div>
        ))}
      </td>
      <td data-label="last built">
        {newest === undefined ? (
          <span class="muted">never</span>
        ) : (
          <a class="quiet" href={buildPath(newest)}>
            <Ago at={newest.startedAt} page={page} />
          </a>
        )}
      </td>
      <td class={newest?.main === undefined ? "number none" : "number"} data-label="size">
        {newest?.main === undefined ? (
          <span class="muted">–</span>
        ) : (
          <>
            <a
              class="quiet"
              href={filePath(newest, newest.main.path)}
              title={`Download ${baseName(newest.main.path)}`}
            >
              {formatSize(newest.main.size)}
            </a>
            {before !== undefined && (
              <span class="block small">
                <SizeDelta from={before} to={newest.main.size} />
              </span>
            )}
          </>
        )}
      </td>
      <td class={reproduced === undefined ? "none" : ""}>
        <ReproducedBadge found={reproduced} />
      </td>
    </tr>
  );
}

/** The size of the output before the newest one, on the same platform; undefined where it isn't among the last runs. */
function previousSize({ newest, recent }: JobOverview): number | undefined {
  if (newest?.main === undefined) return undefined;
  const { platform, main } = newest;
  const runs = recent.find((entry) => entry.platform === platform)?.builds ?? [];
  const other = (build: BuildSummary) => isGood(build) && build.main?.sha256 !== main.sha256;
  return runs.find(other)?.main?.size;
}

function About() {
  return (
    <details class="card about">
      <summary>
        <Icon name="book" size={16} /> What this is
      </summary>
      <p>
        Each job is built again and again, with all of its inputs recorded: the opam packages with their
        sources, the system's packages, and the environment. Equal inputs are to give an equal binary, bit for
        bit; where another build has confirmed that, it says so.
      </p>
      <p>
        The newest binary of a job is always at <code>/job/NAME/build/latest/main-binary</code>; every page
        answers programs in JSON when they send <code>Accept: application/json</code>.
      </p>
    </details>
  );
}
