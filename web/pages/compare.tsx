/** Two builds side by side: what is different of what came out, and of what went in. */
import { formatDuration } from "../../src/lib/duration.ts";
import type { Build, BuildSummary, JobName } from "../../src/store/api.ts";
import { BINARY_ANCHOR } from "../../src/store/comparison/elf-sections.ts";
import type { Section } from "../../src/store/comparison/sections.ts";
import { buildPath, comparePath, jobPath } from "../../src/server/builds/paths.ts";
import { Hash, ResultBadge, SizeDelta } from "../components/builds.tsx";
import { DifferenceSections } from "../components/differences.tsx";
import { formatSize, minute } from "../components/format.ts";
import { Icon } from "../components/icons.tsx";
import { Ago, Minute, Page, type PageContext } from "../components/layout.tsx";

/** What binaries say of themselves takes a while, so it is fetched when the rest of the page is there. */
export type Inside =
  | { readonly state: "offered" }
  /** `complaint`: why there is nothing to see. */
  | { readonly state: "shown"; readonly complaint: string | undefined };

interface CompareProps {
  readonly page: PageContext;
  readonly left: Build;
  readonly right: Build;
  readonly sections: readonly Section[];
  /** Undefined where there is nothing to look into. */
  readonly inside: Inside | undefined;
  /** Builds of the right one's job to choose from, newest first. */
  readonly others: readonly BuildSummary[];
}

export function ComparePage({ page, left, right, sections, inside, others }: CompareProps) {
  const isInside = ({ anchor }: Section) => anchor.startsWith(BINARY_ANCHOR);
  const told = sections.filter(({ count }) => count > 0);
  return (
    <Page page={page} title="Comparing builds">
      <div class="page-head">
        <div>
          <p class="crumb">
            <a href="/all-builds">Builds</a> · <a href={jobPath(right.job)}>{right.job}</a>
          </p>
          <h1>Comparing builds</h1>
        </div>
        <a class="button" href={comparePath(right.id, left.id)}>
          <Icon name="again" size={16} />
          Swap the sides
        </a>
      </div>
      <div class="stack">
        <div class="sides">
          <Side page={page} build={left} word="Left" />
          <Side page={page} build={right} word="Right" other={left} />
        </div>
        <section class="card" aria-labelledby="summary">
          <h2 id="summary">Summary</h2>
          <Verdict left={left} right={right} isSame={told.length === 0} />
          {told.length > 0 && (
            <ul class="plain">
              {told.map(({ anchor, title, count }) => (
                <li key={anchor}>
                  <a href={`#${anchor}`}>{title}</a> <span class="tag">{count}</span>
                </li>
              ))}
            </ul>
          )}
        </section>
        <DifferenceSections sections={sections.filter((section) => !isInside(section))} />
        {inside !== undefined && (
          <InsideBinaries
            path={comparePath(left.id, right.id)}
            inside={inside}
            sections={sections.filter(isInside)}
          />
        )}
        <Choose left={left} right={right} others={others} />
      </div>
    </Page>
  );
}

interface InsideProps {
  readonly path: string;
  readonly inside: Inside;
  readonly sections: readonly Section[];
}

function InsideBinaries({ path, inside, sections }: InsideProps) {
  const address = `${path}?binary`;
  if (inside.state === "offered") {
    return (
      <div id="inside" data-island="fill" data-source={address}>
        <section class="card" aria-labelledby="inside-title">
          <h2 id="inside-title">Inside the binaries</h2>
          <p>
            <a href={`${address}#inside`}>Sections, libraries, functions and texts that differ</a>
          </p>
        </section>
      </div>
    );
  }
  return (
    <div id="inside" class="stack">
      <DifferenceSections sections={sections} />
      {sections.length === 0 && (
        <section class="card" aria-labelledby="inside-title">
          <h2 id="inside-title">Inside the binaries</h2>
          <p class="muted">
            {inside.complaint === undefined
              ? "Headers and padding differ, and nothing else."
              : `There is nothing to see: ${inside.complaint}.`}
          </p>
        </section>
      )}
    </div>
  );
}

function Verdict({ left, right, isSame }: { left: Build; right: Build; isSame: boolean }) {
  const sameOutput = left.main !== undefined && left.main.sha256 === right.main?.sha256;
  const sameInput = left.inputId !== undefined && left.inputId === right.inputId;
  if (left.main === undefined || right.main === undefined) {
    return <p>One of the two has no main binary; the inputs below may tell why.</p>;
  }
  if (sameOutput) {
    return (
      <p>
        <b>The main binaries are equal, bit for bit</b>
        {sameInput ? ", as are the inputs." : isSame ? "." : ", though not everything that went in is."}
      </p>
    );
  }
  return sameInput ? (
    <p class="trouble">The inputs are equal and the main binaries are not: this is not reproducible.</p>
  ) : (
    <p>The main binaries differ.</p>
  );
}

function Side({
  page,
  build,
  word,
  other,
}: {
  page: PageContext;
  build: Build;
  word: string;
  other?: Build;
}) {
  const { job, platform, startedAt, finishedAt, main } = build;
  return (
    <section class="card" aria-label={word}>
      <p class="badges">
        <span class="muted small">{word}</span>
        <ResultBadge build={build} />
      </p>
      <h2 class="break">
        <a href={buildPath(build)}>
          {job}, <Minute at={startedAt} />
        </a>
      </h2>
      <dl class="facts">
        <dt>Platform</dt>
        <dd>{platform}</dd>
        <dt>Built</dt>
        <dd>
          <Ago at={startedAt} page={page} />, in {formatDuration(finishedAt - startedAt)}
        </dd>
        {main !== undefined && (
          <>
            <dt>Binary</dt>
            <dd>
              {formatSize(main.size)}{" "}
              {other?.main !== undefined && <SizeDelta from={other.main.size} to={main.size} />}{" "}
              <Hash value={main.sha256} />
            </dd>
          </>
        )}
      </dl>
    </section>
  );
}

function Choose({ left, right, others }: { left: Build; right: Build; others: readonly BuildSummary[] }) {
  return (
    <section class="card" aria-labelledby="choose">
      <h2 id="choose">Compare others</h2>
      <ChooseForm left={left} right={right} others={others} />
    </section>
  );
}

interface FormProps {
  readonly left: BuildSummary | undefined;
  readonly right: BuildSummary | undefined;
  readonly others: readonly BuildSummary[];
}

function ChooseForm({ left, right, others }: FormProps) {
  const list = (chosen: BuildSummary | undefined) =>
    chosen === undefined || others.some(({ id }) => id === chosen.id) ? others : [chosen, ...others];
  const select = (name: "left" | "right", word: string, chosen: BuildSummary | undefined) => (
    <div class="field">
      <label for={name}>{word}</label>
      <select id={name} name={name}>
        {list(chosen).map((build) => (
          <option key={build.id} value={build.id} selected={build.id === chosen?.id}>
            {`${minute(build.startedAt)} ${build.job} on ${build.platform}, ${
              build.main === undefined ? "failed" : formatSize(build.main.size)
            }`}
          </option>
        ))}
      </select>
    </div>
  );
  return (
    <form method="get" action="/compare">
      <div class="pair">
        {select("left", "Left, the older one", left)}
        {select("right", "Right, the newer one", right)}
      </div>
      <div class="submit">
        <button class="button" type="submit">
          Compare
        </button>
      </div>
    </form>
  );
}

/** What the newest build is most likely compared with: the other output before it on its platform. */
function beforeNewest([newest, ...older]: readonly BuildSummary[]): BuildSummary | undefined {
  const isOther = ({ platform, main }: BuildSummary) =>
    platform === newest?.platform && main !== undefined && main.sha256 !== newest.main?.sha256;
  return older.find(isOther) ?? older[0];
}

interface ChooseProps {
  readonly page: PageContext;
  readonly jobs: readonly JobName[];
  readonly job: JobName | undefined;
  /** Of the job, newest first. */
  readonly builds: readonly BuildSummary[];
}

/** First the job, then two of its builds. */
export function ChoosePage({ page, jobs, job, builds }: ChooseProps) {
  return (
    <Page page={page} title="Compare builds">
      <div class="page-head">
        <div>
          <p class="crumb">
            <a href="/all-builds">Builds</a>
          </p>
          <h1>Compare builds</h1>
        </div>
      </div>
      <div class="stack narrow">
        {jobs.length === 0 && <p class="card muted">Nothing was built yet.</p>}
        <form class="card" method="get" action="/compare" hidden={jobs.length === 0}>
          <div class="field">
            <label for="job">Job</label>
            <select id="job" name="job">
              {jobs.map((name) => (
                <option key={name} value={name} selected={name === job}>
                  {name}
                </option>
              ))}
            </select>
          </div>
          <div class="submit">
            <button class="button" type="submit">
              Show its builds
            </button>
          </div>
        </form>
        {job !== undefined && (
          <section class="card" aria-label={`Builds of ${job}`}>
            {builds.length < 2 ? (
              <p class="muted">{job} has no two builds.</p>
            ) : (
              <ChooseForm left={beforeNewest(builds)} right={builds[0]} others={builds} />
            )}
          </section>
        )}
      </div>
    </Page>
  );
}
