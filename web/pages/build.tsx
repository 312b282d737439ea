/** One build: what came of it, how to run it, who got the same, and how it went. */
import { formatDuration } from "../../src/lib/duration.ts";
import type { Artifact, Build, BuildSummary, Neighbours, Reproductions } from "../../src/store/api.ts";
import { visible } from "../../src/lib/errors.ts";
import { buildPath, comparePath, filePath, jobPath } from "../../src/server/builds/paths.ts";
import type { CommandGroup } from "../../src/server/builds/run-commands.ts";
import type { Section } from "../../src/store/comparison/sections.ts";
import type { StatementView } from "../../src/trust/listing.ts";
import type { RebuildCounts, Reproduction } from "../../src/trust/reproductions.ts";
import { LineList } from "../components/differences.tsx";
import {
  Command,
  Hash,
  ReproducedBadge,
  ResultBadge,
  baseName,
  failureWords,
  reproducibilityOf,
  resultWords,
} from "../components/builds.tsx";
import { formatSize, minute, moment } from "../components/format.ts";
import { Icon } from "../components/icons.tsx";
import { Ago, Minute, Page, type PageContext } from "../components/layout.tsx";
import { Findings, Vouchers } from "./build-papers.tsx";
import { Administer, Others, Reproduced } from "./build-side.tsx";
import { Act } from "./run-parts.tsx";
import { ConsoleTail, type TailLine } from "./console-text.tsx";

export interface BuildPageProps {
  readonly page: PageContext;
  readonly build: Build;
  readonly neighbours: Neighbours;
  readonly reproductions: Reproductions;
  /** The newest first. */
  readonly rebuilds: readonly Reproduction[];
  readonly counts: RebuildCounts;
  readonly statements: readonly StatementView[];
  /** Of this server, as whoever looks reaches it. */
  readonly origin: string;
  /** The public key that this server signs with. */
  readonly ownKey: string;
  readonly tail: readonly TailLine[];
  /** Undefined where it is too large to be shown here. */
  readonly script: string | undefined;
  readonly commands: readonly CommandGroup[];
  /** For a failed build: the newest good one before it. */
  readonly lastGood: BuildSummary | undefined;
  readonly mayAdminister: boolean;
  /** A shell can be had in what it left. */
  readonly hasSandbox: boolean;
  /** The job is defined here, and the visitor may start it. */
  readonly mayStart: boolean;
  /** What changed since the previous other output, or the last good build; undefined where there is none. */
  readonly changes: { readonly since: BuildSummary; readonly sections: readonly Section[] } | undefined;
}

export function BuildPage(props: BuildPageProps) {
  const { page, build, reproductions, mayAdminister } = props;
  return (
    <Page page={page} title={`${build.job}, ${minute(build.startedAt)}`}>
      <div class="page-head">
        <div>
          <p class="crumb break">
            <a href="/all-builds">Builds</a> · <a href={jobPath(build.job)}>{build.job}</a> ·{" "}
            <a href={`${jobPath(build.job)}?platform=${encodeURIComponent(build.platform)}`}>
              {build.platform}
            </a>
          </p>
          <h1 class="break">
            {build.job}{" "}
            <span class="muted">
              of <Minute at={build.startedAt} />
            </span>
          </h1>
          <p class="badges">
            <ResultBadge build={build} />
            {build.main !== undefined && (
              <ReproducedBadge found={reproducibilityOf(build, reproductions, props.counts)} />
            )}
            {build.isPinned && (
              <span class="state">
                <Icon name="pin" size={14} />
                kept
              </span>
            )}
          </p>
        </div>
        {build.main !== undefined && (
          <a class="button main" href={filePath(build, build.main.path)}>
            <Icon name="download" />
            {visible(baseName(build.main.path))} <span class="small">({formatSize(build.main.size)})</span>
          </a>
        )}
      </div>
      <div class="stack">
        {build.main === undefined && (
          <>
            <Failure {...props} />
            <Log {...props} />
          </>
        )}
        <div class="columns">
          <div class="stack">
            {props.commands.length > 0 && <RunIt {...props} />}
            {build.main === undefined && <Changes {...props} />}
            <Artifacts build={build} />
            <Findings {...props} />
            {build.main !== undefined && <Changes {...props} />}
          </div>
          <div class="stack">
            <Facts {...props} />
            {build.main !== undefined && <Reproduced {...props} />}
            {build.artifacts.length > 0 && <Vouchers {...props} />}
            <Others {...props} />
            {mayAdminister && <Administer build={build} />}
          </div>
        </div>
        <Pictures build={build} />
        {build.main !== undefined && <Log {...props} />}
      </div>
    </Page>
  );
}

function Failure({ page, build, lastGood, hasSandbox, mayStart }: BuildPageProps) {
  return (
    <div class="notice bad">
      <p>
        <b>This build has no main binary:</b> {failureWords(build)}.
      </p>
      {lastGood !== undefined && (
        <p>
          The last good one on {build.platform} is{" "}
          <a href={buildPath(lastGood)}>of {moment(lastGood.startedAt)}</a>,{" "}
          <Ago at={lastGood.startedAt} page={page} />.{" "}
          <a href={comparePath(lastGood.id, build.id)}>Compare the inputs</a>.
        </p>
      )}
      {hasSandbox && (
        <p>
          Its sandbox is still there: <a href={`${buildPath(build)}/shell`}>open a shell in it</a>, or{" "}
          <code>robur build shell {build.id.slice(0, 8)}</code>.
        </p>
      )}
      {mayStart && (
        <Act
          path={`/jobs/${encodeURIComponent(build.job)}/start`}
          word="Build it again"
          label={`Build it again: ${build.job}`}
          back=""
        />
      )}
    </div>
  );
}

function RunIt({ commands, build }: BuildPageProps) {
  const devices = build.solo5?.manifest.devices ?? [];
  const [first, second, ...others] = commands;
  return (
    <section class="card" aria-labelledby="run">
      <h2 id="run">{build.solo5 === undefined ? "Get it" : "Get it running"}</h2>
      {build.solo5 !== undefined && (
        <p class="small muted">
          A unikernel for {build.solo5.abi.target} (ABI {build.solo5.abi.version})
          {devices.length === 0 ? " that wants no devices." : " that wants "}
          {devices.map(({ name, type }, i) => (
            <span key={name}>
              {i > 0 && ", "}
              {type === "NET_BASIC" ? "the network " : "the block device "}
              <code>{name}</code>
            </span>
          ))}
          {devices.length === 0 ? "" : "."}
        </p>
      )}
      {[first, second].map(
        (group) =>
          group !== undefined && (
            <div key={group.title} class="step">
              <h3>{group.title}</h3>
              <Command text={group.text} />
            </div>
          ),
      )}
      {others.length > 0 && (
        <details class="step">
          <summary>By other programs</summary>
          {others.map((group) => (
            <div key={group.title} class="step">
              <h3>{group.title}</h3>
              <Command text={group.text} />
            </div>
          ))}
        </details>
      )}
    </section>
  );
}

/** Lines of a section that are shown here; all of them are on the comparison's page. */
const CHANGES = 6;

function Changes({ build, changes }: BuildPageProps) {
  if (changes === undefined) return null;
  const { since, sections } = changes;
  const all = comparePath(since.id, build.id);
  const isFailed = build.main === undefined;
  return (
    <section class="card" aria-labelledby="changes">
      <div class="card-head">
        <h2 id="changes">{isFailed ? "What changed in its inputs" : "What changed"}</h2>
        <span class="small">
          since{" "}
          <a href={buildPath(since)}>
            <Minute at={since.startedAt} />
          </a>{" "}
          · <a href={all}>compare</a>
        </span>
      </div>
      {sections.length === 0 && (
        <p class="muted">
          {isFailed
            ? "Nothing that was recorded: the machine, the network or chance may be at fault."
            : "Nothing that was recorded, but the output."}
        </p>
      )}
      {sections.map(({ anchor, title, count, lines, blocks }) => {
        const loud = lines.filter(({ kind }) => kind !== "noise" && kind !== "note");
        return (
          <div key={anchor} class="step">
            <h3>
              {title} <span class="tag">{count}</span>
            </h3>
            <LineList lines={loud.slice(0, CHANGES)} />
            {blocks.slice(0, CHANGES).map((block) => (
              <p key={block.title} class="mono small">
                {block.title}
              </p>
            ))}
            {Math.max(loud.length, blocks.length) > CHANGES && (
              <p class="small">
                <a href={`${all}#${anchor}`}>and {Math.max(loud.length, blocks.length) - CHANGES} more</a>
              </p>
            )}
          </div>
        );
      })}
    </section>
  );
}

function Artifacts({ build }: { build: Build }) {
  const total = build.artifacts.reduce((sum, { size }) => sum + size, 0);
  return (
    <section class="card table-card" aria-labelledby="files">
      <div class="card-head padded">
        <h2 id="files">Files</h2>
        {build.artifacts.length > 0 && (
          <span class="small">
            <a href={`${buildPath(build)}/all.tar.gz`}>All as tar.gz</a>{" "}
            <span class="muted">({formatSize(total)} unpacked)</span>
          </span>
        )}
      </div>
      {build.artifacts.length === 0 ? (
        <p class="padded muted">There are none.</p>
      ) : (
        <table class="table files">
          <caption class="hidden-text">Files of this build</caption>
          <thead>
            <tr>
              <th scope="col">Path</th>
              <th scope="col" class="number">
                Size
              </th>
              <th scope="col">SHA-256</th>
            </tr>
          </thead>
          <tbody>
            {build.artifacts.map((artifact) => (
              <File key={artifact.path} build={build} artifact={artifact} />
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function File({ build, artifact: { path, size, sha256, isKept } }: { build: Build; artifact: Artifact }) {
  return (
    <tr>
      <td class="name break">
        {isKept ? <a href={filePath(build, path)}>{visible(path)}</a> : <span>{visible(path)}</span>}
        {!isKept && <span class="small muted"> not kept</span>}
      </td>
      <td class="number" title={`${size} bytes`}>
        {formatSize(size)}
      </td>
      <td>
        <Hash value={sha256} />
      </td>
    </tr>
  );
}

/** Drawn when they are opened: that may take a moment. */
function Pictures({ build }: { build: Build }) {
  const has = (test: (path: string) => boolean) => build.artifacts.some(({ path }) => test(path));
  const pictures: readonly (readonly [title: string, path: string, isThere: boolean])[] = [
    ["What it is made of: opam packages", "vizdependencies", has((path) => path === "opam-switch")],
    ["Where the bytes go", "viztreemap", has((path) => path.endsWith(".debug"))],
  ];
  return (
    <>
      {pictures
        .filter(([, , isThere]) => isThere)
        .map(([title, path]) => (
          <details key={path} class="card picture">
            <summary>{title}</summary>
            <p class="small after">
              <a href={`${buildPath(build)}/${path}`}>On a page of its own</a>
            </p>
            <iframe loading="lazy" src={`${buildPath(build)}/${path}`} title={title} />
          </details>
        ))}
    </>
  );
}

function Facts({ page, build }: BuildPageProps) {
  const isKnown = page.user !== undefined;
  return (
    <section class="card" aria-label="Facts">
      <dl class="facts">
        <dt>Platform</dt>
        <dd>{build.platform}</dd>
        <dt>Result</dt>
        <dd>{resultWords(build.result)}</dd>
        <dt>Began</dt>
        <dd>{moment(build.startedAt)}</dd>
        <dt>Ended</dt>
        <dd>{moment(build.finishedAt)}</dd>
        <dt>Took</dt>
        <dd>{formatDuration(build.finishedAt - build.startedAt)}</dd>
        {build.inputId !== undefined && (
          <>
            <dt>Input id</dt>
            <dd>
              <Hash value={build.inputId} what="input id" />
            </dd>
          </>
        )}
        <dt>Build</dt>
        <dd>
          <Hash value={build.id} what="build's id" />
        </dd>
        {isKnown && build.worker !== undefined && (
          <>
            <dt>Worker</dt>
            <dd>{build.worker}</dd>
          </>
        )}
        {isKnown && (
          <>
            <dt>Uploaded</dt>
            <dd>
              by {build.uploadedBy}, <Ago at={build.receivedAt} page={page} />
            </dd>
          </>
        )}
      </dl>
      <p class="ways after small">
        {build.artifacts.every(({ isKept }) => isKept) && (
          <a href={`${buildPath(build)}/exec`}>Whole record</a>
        )}
        <a href={`${buildPath(build)}/all.tar?log`}>Everything as tar</a>
        <a href={`${buildPath(build)}/buildinfo`}>.buildinfo</a>
      </p>
    </section>
  );
}

function Log({ build, tail, script }: BuildPageProps) {
  const path = buildPath(build);
  return (
    <section class="card console-card" aria-labelledby="console">
      <div class="card-head">
        <h2 id="console">Console</h2>
        <span class="small ways">
          <a href={`${path}/log`}>Whole, with line numbers</a>
          <a href={`${path}/console`}>Plain text</a>
        </span>
      </div>
      <ConsoleTail lines={tail} label="End of the console" />
      <details class="script">
        <summary>Script</summary>
        {script === undefined ? (
          <p>
            It is long: <a href={`${path}/script`}>see it alone</a>.
          </p>
        ) : (
          <pre class="command" tabindex={0}>
            {script}
          </pre>
        )}
      </details>
    </section>
  );
}
