/** What the pages of builds have in common. */
import { resultText } from "../../src/protocols/builder/result-text.ts";
import type { BuildResult, BuildSummary, Reproductions } from "../../src/store/api.ts";
import type { RebuildCounts } from "../../src/trust/reproductions.ts";
import { buildPath } from "../../src/server/builds/paths.ts";
import { formatSize, moment, relative } from "./format.ts";
import { Icon } from "./icons.tsx";
import type { PageContext } from "./layout.tsx";

/** OCaml's numbers of the signals that end builds. */
const SIGNALS: Readonly<Record<number, string>> = {
  [-1]: "SIGABRT",
  [-4]: "SIGHUP",
  [-5]: "SIGILL",
  [-6]: "SIGINT",
  [-7]: "SIGKILL",
  [-8]: "SIGPIPE",
  [-10]: "SIGSEGV",
  [-11]: "SIGTERM",
  [-22]: "SIGBUS",
};

/** How a build ended, for people. */
export function resultWords(result: BuildResult): string {
  if (result.kind === "exited") return result.code === 0 ? "exited 0" : `exited ${result.code}`;
  if (result.kind === "message") return result.text === "timeout" ? "timed out" : `aborted: ${result.text}`;
  const name = SIGNALS[result.signal] ?? `signal ${result.signal}`;
  return `${result.kind === "stopped" ? "stopped" : "killed"} by ${name}`;
}

/** Why a build has no main binary. */
export function failureWords({ result, main }: BuildSummary): string | undefined {
  if (main !== undefined) return undefined;
  const isClean = result.kind === "exited" && result.code === 0;
  return isClean ? "exited 0, but not with exactly one file in bin/" : resultWords(result);
}

export function isGood(build: Pick<BuildSummary, "main">): boolean {
  return build.main !== undefined;
}

/** Good or failed, as a word with a shape. */
export function ResultBadge({ build }: { build: BuildSummary }) {
  const good = isGood(build);
  // Files came, but the script said that something went wrong.
  const odd = good && !(build.result.kind === "exited" && build.result.code === 0);
  return (
    <span class={`state ${odd ? "warn" : good ? "good" : "bad"}`} title={resultText(build.result)}>
      <Icon name={good && !odd ? "check" : "alert"} size={14} />
      <span class="one-line">{odd ? `built, ${resultWords(build.result)}` : good ? "built" : "failed"}</span>
    </span>
  );
}

/** The last runs, oldest first, each a link. */
export function Strip({ builds, page }: { builds: readonly BuildSummary[]; page: PageContext }) {
  const failed = builds.filter((build) => !isGood(build)).length;
  return (
    <ol class="strip" aria-label={`last ${builds.length} runs, ${failed} failed`}>
      {builds.toReversed().map((build) => {
        const text = `${isGood(build) ? "built" : "failed"} ${relative(build.startedAt, page.now)}, ${moment(build.startedAt)}`;
        return (
          <li key={build.id}>
            <a class={isGood(build) ? "run good" : "run bad"} href={buildPath(build)} title={text}>
              <span class="hidden-text">{text}</span>
            </a>
          </li>
        );
      })}
    </ol>
  );
}

/** `failed 3 times since 12 days`, where the newest runs failed. */
export function streakText(builds: readonly BuildSummary[], page: PageContext): string | undefined {
  const good = builds.findIndex(isGood);
  const streak = good < 0 ? builds : builds.slice(0, good);
  const first = streak.at(-1);
  if (first === undefined) return undefined;
  const times = streak.length === 1 ? "failed" : `failed ${streak.length} times`;
  return good < 0 && builds.length > 1
    ? `none of ${builds.length} was good`
    : `${times}, first ${relative(first.startedAt, page.now)}`;
}

/** A hash's beginning; the whole of it as a title, and to be copied. */
export function Hash({ value, what = "SHA-256" }: { value: string; what?: string }) {
  return (
    <span class="hash">
      <code title={value}>{value.slice(0, 12)}</code>
      <button
        class="copy"
        type="button"
        data-island="copy"
        data-text={value}
        hidden
        aria-label={`Copy the ${what}`}
      >
        copy
      </button>
    </span>
  );
}

/** A line to be pasted into a terminal. */
export function Command({ text }: { text: string }) {
  return (
    <div class="copyable">
      <pre class="command" tabindex={0}>
        {text}
      </pre>
      <button
        class="copy"
        type="button"
        data-island="copy"
        data-text={text}
        hidden
        aria-label="Copy the command"
      >
        copy
      </button>
    </div>
  );
}

/** `+1.2 KiB`, `−340 B`, `same size`. */
export function sizeDelta(from: number, to: number): string {
  const delta = to - from;
  if (delta === 0) return "same size";
  return `${delta > 0 ? "+" : "−"}${formatSize(Math.abs(delta))}`;
}

export function SizeDelta({ from, to }: { from: number; to: number }) {
  const delta = to - from;
  return (
    <span class={delta > 0 ? "delta more" : delta < 0 ? "delta less" : "delta"}>{sizeDelta(from, to)}</span>
  );
}

export type Reproducibility =
  | {
      readonly kind: "reproduced";
      readonly builds: number;
      readonly rebuilds: number;
      readonly platforms: number;
    }
  | { readonly kind: "unconfirmed" }
  | { readonly kind: "differs" };

/** What other builds, and rebuilds, say of this one. */
export function reproducibilityOf(
  build: BuildSummary,
  found: Reproductions,
  rebuilds: RebuildCounts,
): Reproducibility | undefined {
  if (build.main === undefined) return undefined;
  if (found.sameInputOtherOutput.length > 0 || rebuilds.isBad) return { kind: "differs" };
  const same = [...found.sameInputSameOutput, ...found.otherInputSameOutput];
  if (same.length + rebuilds.good === 0) return { kind: "unconfirmed" };
  return {
    kind: "reproduced",
    builds: same.length,
    rebuilds: rebuilds.good,
    platforms: new Set([build.platform, ...same.map(({ platform }) => platform)]).size,
  };
}

export function ReproducedBadge({ found }: { found: Reproducibility | undefined }) {
  if (found === undefined) return <span class="muted">–</span>;
  if (found.kind === "differs") {
    return (
      <span class="state bad" title="the same inputs gave another output, or what was built again did">
        <Icon name="alert" size={14} />
        not reproducible
      </span>
    );
  }
  if (found.kind === "unconfirmed") {
    return (
      <span class="state" title="nobody has built this a second time yet">
        <Icon name="dash" size={14} />
        unconfirmed
      </span>
    );
  }
  const { builds, rebuilds, platforms } = found;
  const where = platforms > 1 ? ` on ${platforms} platforms` : "";
  const again = rebuilds === 0 ? "" : ` and ${rebuilds} ${rebuilds === 1 ? "rebuild" : "rebuilds"}`;
  return (
    <span
      class="state good"
      title={`reproduced by ${builds} ${builds === 1 ? "build" : "builds"}${where}${again}`}
    >
      <Icon name="again" size={14} />
      reproduced ×{builds + rebuilds}
    </span>
  );
}

export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
