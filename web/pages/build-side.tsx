/** What stands beside a build: who got the same, what came before and after, and what administrators do. */
import type { Build, BuildSummary, Neighbours, Reproductions } from "../../src/store/api.ts";
import { buildPath, comparePath } from "../../src/server/builds/paths.ts";
import { SizeDelta } from "../components/builds.tsx";
import type { RebuildCounts, Reproduction } from "../../src/trust/reproductions.ts";
import { Ago, Minute, type PageContext } from "../components/layout.tsx";
import { Rebuilds } from "./build-papers.tsx";

interface SideProps {
  readonly page: PageContext;
  readonly build: Build;
  readonly neighbours: Neighbours;
  readonly reproductions: Reproductions;
}

export function Reproduced(
  props: SideProps & {
    readonly rebuilds: readonly Reproduction[];
    readonly counts: RebuildCounts;
    readonly origin: string;
  },
) {
  const { page, build, reproductions, counts } = props;
  const { sameInputSameOutput, otherInputSameOutput, sameInputOtherOutput } = reproductions;
  const builds = sameInputSameOutput.length + otherInputSameOutput.length;
  const who = [
    ...(builds === 0 ? [] : [`${builds} ${builds === 1 ? "build" : "builds"}`]),
    ...(counts.good === 0 ? [] : [`${counts.good} ${counts.good === 1 ? "rebuild" : "rebuilds"}`]),
  ];
  const isOther = sameInputOtherOutput.length > 0 || counts.isBad;
  return (
    <section class="card" aria-labelledby="reproduced">
      <h2 id="reproduced">
        {isOther
          ? "Not reproducible"
          : who.length > 0
            ? `Reproduced by ${who.join(" and ")}`
            : "Not reproduced yet"}
      </h2>
      {sameInputOtherOutput.length > 0 && (
        <div class="notice bad">
          <p>The same inputs gave another output:</p>
          <BuildLinks page={page} builds={sameInputOtherOutput} of={build} isCompared />
        </div>
      )}
      {build.inputId === undefined && (
        <p class="muted small">
          Its inputs were not recorded whole, so nobody can tell whether another build had the same ones.
        </p>
      )}
      {sameInputSameOutput.length > 0 && (
        <>
          <h3 class="small muted">Same inputs, same output</h3>
          <BuildLinks page={page} builds={sameInputSameOutput} of={build} />
        </>
      )}
      {otherInputSameOutput.length > 0 && (
        <>
          <h3 class="small muted">Other inputs, same output</h3>
          <BuildLinks page={page} builds={otherInputSameOutput} of={build} isCompared />
        </>
      )}
      <Rebuilds {...props} />
    </section>
  );
}

interface LinksProps {
  readonly page: PageContext;
  readonly builds: readonly BuildSummary[];
  readonly of: BuildSummary;
  readonly isCompared?: boolean;
}

function BuildLinks({ page, builds, of, isCompared = false }: LinksProps) {
  return (
    <ul class="plain">
      {builds.slice(0, 10).map((other) => (
        <li key={other.id} class="break">
          <a href={buildPath(other)}>
            {other.job === of.job ? "" : `${other.job}, `}
            <Minute at={other.startedAt} />
          </a>{" "}
          {other.platform !== of.platform && <span class="tag">{other.platform}</span>}{" "}
          <Ago at={other.startedAt} page={page} />
          {isCompared && (
            <>
              {" "}
              <a class="small" href={compareInOrder(of, other)}>
                compare
              </a>
            </>
          )}
        </li>
      ))}
      {builds.length > 10 && <li class="muted">and {builds.length - 10} more</li>}
    </ul>
  );
}

/** The older one stands left. */
function compareInOrder(a: BuildSummary, b: BuildSummary): string {
  return a.startedAt <= b.startedAt ? comparePath(a.id, b.id) : comparePath(b.id, a.id);
}

export function Others({ build, neighbours }: SideProps) {
  const { previous, next, latest } = neighbours;
  const rows: readonly (readonly [string, BuildSummary | undefined])[] = [
    ["Newest", latest?.id === build.id ? undefined : latest],
    ["Next other output", next],
    ["Previous other output", previous],
  ];
  const there = rows.filter((row): row is [string, BuildSummary] => row[1] !== undefined);
  if (there.length === 0) return null;
  return (
    <section class="card" aria-labelledby="others">
      <h2 id="others">Others on {build.platform}</h2>
      <dl class="facts">
        {there.map(([word, other]) => (
          <>
            <dt>{word}</dt>
            <dd>
              <a href={buildPath(other)}>
                <Minute at={other.startedAt} />
              </a>{" "}
              {other.main !== undefined && build.main !== undefined && (
                <span class="small">
                  <SizeDelta from={build.main.size} to={other.main.size} />
                </span>
              )}{" "}
              <a class="small" href={compareInOrder(build, other)}>
                compare
              </a>
            </dd>
          </>
        ))}
      </dl>
    </section>
  );
}

export function Administer({ build }: { build: Build }) {
  const path = buildPath(build);
  return (
    <section class="card" aria-labelledby="administer">
      <h2 id="administer">Keep or remove</h2>
      <div class="actions">
        <form method="post" action={`${path}/pin`}>
          <input type="hidden" name="pinned" value={build.isPinned ? "no" : "yes"} />
          <button class="button small" type="submit">
            {build.isPinned ? "No longer keep" : "Keep for good"}
          </button>
        </form>
      </div>
      <details class="after">
        <summary>Remove this build</summary>
        <form class="after" method="post" action={`${path}/remove`}>
          <p class="small">
            Its files go as well, where no other build has them. Its address leads nowhere then.
          </p>
          <p class="after">
            <button class="button small danger" type="submit">
              Remove for good
            </button>
          </p>
        </form>
      </details>
    </section>
  );
}
