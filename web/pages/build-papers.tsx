/** A build's papers: what came of building it again, and who has signed what about it. */
import { shellWord } from "../../src/lib/shell-word.ts";
import { buildPath } from "../../src/server/builds/paths.ts";
import type { Build } from "../../src/store/api.ts";
import type { StatementView } from "../../src/trust/listing.ts";
import { type Reproduction, type Verdict, summaryOf } from "../../src/trust/reproductions.ts";
import { Command, baseName } from "../components/builds.tsx";
import { Icon } from "../components/icons.tsx";
import { Ago, type PageContext } from "../components/layout.tsx";

interface RebuildsProps {
  readonly page: PageContext;
  readonly build: Build;
  readonly rebuilds: readonly Reproduction[];
  readonly origin: string;
}

const LOOK = {
  GOOD: ["good", "again"],
  BAD: ["bad", "alert"],
  FAIL: ["warn", "alert"],
  UNKNOWN: ["", "dash"],
} as const;
const WORDS: Readonly<Record<Verdict, string>> = {
  GOOD: "the same",
  BAD: "differs",
  FAIL: "could not be built",
  UNKNOWN: "nothing to compare",
};

/** Each time that somebody had it built again, and the command to do so. */
export function Rebuilds({ page, build, rebuilds, origin }: RebuildsProps) {
  return (
    <>
      {rebuilds.length > 0 && (
        <>
          <h3 class="small muted">Built again</h3>
          <ul class="plain rebuilds">
            {rebuilds.map((one) => (
              <Rebuild key={one.finishedAt} page={page} one={one} />
            ))}
          </ul>
        </>
      )}
      <details class="after">
        <summary>Build it again yourself</summary>
        <p class="small muted">From the recorded inputs, in a sandbox, compared bit by bit:</p>
        <Command text={`robur reproduce ${shellWord(`${origin}${buildPath(build)}`)}`} />
      </details>
    </>
  );
}

function Rebuild({ page, one }: { page: PageContext; one: Reproduction }) {
  const { verdict, finishedAt } = one;
  const [look, icon] = LOOK[verdict];
  const summary = summaryOf(one);
  return (
    <li>
      <span class={`state ${look}`.trim()} title={verdict}>
        <Icon name={icon} size={14} />
        {WORDS[verdict]}
      </span>{" "}
      <Ago at={finishedAt} page={page} />
      {summary !== undefined && <p class="small break">{summary}</p>}
    </li>
  );
}

/** What was found when it was built again the last time, unless all was well. */
export function Findings({ page, rebuilds: [newest] }: Pick<RebuildsProps, "page" | "rebuilds">) {
  const text = newest === undefined ? undefined : textOf(newest.report);
  if (newest === undefined || text === undefined || newest.verdict === "GOOD") return null;
  return (
    <section class="card" aria-labelledby="findings">
      <div class="card-head">
        <h2 id="findings">
          {newest.verdict === "BAD" ? "What differs when it is built again" : "Building it again"}
        </h2>
        <span class="small">
          <Ago at={newest.finishedAt} page={page} />
        </span>
      </div>
      <pre class="command findings" tabindex={0}>
        {text.trim()}
      </pre>
    </section>
  );
}

/** What the command printed. */
function textOf(report: unknown): string | undefined {
  const fields = typeof report === "object" && report !== null ? (report as Record<string, unknown>) : {};
  return typeof fields["text"] === "string" ? fields["text"] : undefined;
}

interface VouchersProps {
  readonly page: PageContext;
  readonly build: Build;
  readonly statements: readonly StatementView[];
  readonly origin: string;
  /** The public one that this server signs with. */
  readonly ownKey: string;
}

/** Signed statements, and how to check them without this server. */
export function Vouchers({ page, build, statements, origin, ownKey }: VouchersProps) {
  const name = baseName(build.main?.path ?? build.artifacts[0]!.path);
  // It is no option, whatever it begins with.
  const file = name.startsWith("-") ? `./${name}` : name;
  const statementsFile = shellWord(`${file}.jsonl`);
  return (
    <section class="card" aria-labelledby="vouchers">
      <div class="card-head">
        <h2 id="vouchers">Signed statements</h2>
        {statements.length > 0 && (
          <a class="small" href={`${buildPath(build)}/attestations`}>
            all as JSON
          </a>
        )}
      </div>
      {statements.length === 0 ? (
        <p class="muted small">
          Nobody has signed where this came from: it was not built by a worker of this server.
        </p>
      ) : (
        <>
          <ul class="plain">
            {groupsOf(statements).map(({ newest, count }) => (
              <li key={newest.createdAt}>
                {newest.kind === "provenance" ? "Built" : "Built again, the same,"}{" "}
                {count > 1 && `${count} times `}by <Signers of={newest} />
                {newest.source !== undefined && <span class="muted"> (from {newest.source})</span>}{" "}
                <Ago at={newest.createdAt} page={page} />
              </li>
            ))}
          </ul>
          <details class="after">
            <summary>Check them yourself</summary>
            <p class="small muted">
              No server is needed for that. The key is this server's: ask its owner whether it is.
            </p>
            <Command
              text={[
                `curl -sSo ${statementsFile} ${shellWord(`${origin}${buildPath(build)}/attestations`)}`,
                `robur verify ${shellWord(file)} --statements ${statementsFile} --by ${ownKey}`,
              ].join("\n")}
            />
          </details>
        </>
      )}
    </section>
  );
}

function Signers({ of: { signers } }: { of: StatementView }) {
  if (signers.length === 0) return <span class="muted">somebody unknown</span>;
  return <b>{signers.map(({ name }) => name).join(", ")}</b>;
}

/** What the same keys say again and again is one line. */
function groupsOf(statements: readonly StatementView[]) {
  const groups = Map.groupBy(statements, ({ kind, signers, source }) =>
    JSON.stringify([kind, signers.map(({ id }) => id), source]),
  );
  return [...groups.values()].map((all) => ({ newest: all[0]!, count: all.length }));
}
