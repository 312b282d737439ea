/** What the pages of runs have in common. */
import type { Run } from "../../src/builds/api.ts";
import { Icon, type IconName } from "../components/icons.tsx";

/** What the visitor may do with runs and jobs. */
export interface MayDo {
  readonly operate: boolean;
  readonly administer: boolean;
}

interface ActProps {
  readonly path: string;
  readonly word: string;
  /** For who doesn't see which row the button is in. */
  readonly label: string;
  /** The page to come back to. */
  readonly back: string;
  readonly fields?: Readonly<Record<string, string>>;
  readonly isDangerous?: boolean;
}

/** A button that does something, and comes back. */
export function Act({ path, word, label, back, fields = {}, isDangerous = false }: ActProps) {
  return (
    <form method="post" action={path}>
      <input type="hidden" name="back" value={back} />
      {Object.entries(fields).map(([name, value]) => (
        <input key={name} type="hidden" name={name} value={value} />
      ))}
      <button class={isDangerous ? "button small danger" : "button small"} type="submit" aria-label={label}>
        {word}
      </button>
    </form>
  );
}

/** How a run stands, as a word with a shape. */
export function RunBadge({ run }: { run: Run }) {
  const [word, tone, icon] = lookOf(run);
  return (
    <span class={`state ${tone}`.trim()}>
      <Icon name={icon} size={14} />
      {word}
    </span>
  );
}

function lookOf({ state, outcome, abortedBy }: Run): readonly [string, string, IconName] {
  switch (state) {
    case "queued":
      return ["waits", "", "clock"];
    case "running":
      return [abortedBy === null ? "running" : "is told to end", "busy", "play"];
    case "aborted":
      return ["aborted", "warn", "stop"];
    case "finished":
      return outcome === "exited 0" ? ["exited 0", "good", "check"] : [outcome ?? "ended", "bad", "alert"];
  }
}
