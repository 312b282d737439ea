/** The differences between two builds, section by section. What always differs is folded away. */
import { visible } from "../../src/lib/errors.ts";
import type { Section, SectionLine } from "../../src/store/comparison/sections.ts";

const SIGNS: Record<SectionLine["kind"], readonly [sign: string, word: string]> = {
  added: ["+", "added"],
  removed: ["−", "removed"],
  changed: ["~", "changed"],
  noise: ["·", "differs always"],
  note: ["", ""],
};

/** Sections with more lines than this are folded. */
const MANY = 60;
/** On a page; robur diff and JSON have all. */
const MOST = 5000;

export function DifferenceSections({ sections }: { sections: readonly Section[] }) {
  return (
    <>
      {sections.map((section) => (
        <section
          key={section.anchor}
          id={section.anchor}
          class="card"
          aria-labelledby={`${section.anchor}-title`}
        >
          <h2 id={`${section.anchor}-title`}>
            {section.title} {section.count > 0 && <span class="tag">{section.count}</span>}
          </h2>
          <Lines lines={section.lines} />
          {section.blocks.map(({ title, kind, text }, i) => (
            <details key={`${title} ${i}`} class="step" open={section.blocks.length < 6}>
              <summary>{visible(title)}</summary>
              {kind === "diff" ? (
                <Diff text={text} label={title} />
              ) : (
                <pre class="command" tabindex={0}>
                  {text}
                </pre>
              )}
            </details>
          ))}
        </section>
      ))}
    </>
  );
}

function Lines({ lines }: { lines: readonly SectionLine[] }) {
  const loud = lines.filter(({ kind }) => kind !== "noise");
  const noise = lines.filter(({ kind }) => kind === "noise");
  return (
    <>
      {loud.length > MANY ? (
        <details class="step">
          <summary>{loud.length} lines</summary>
          <LineList lines={loud} />
        </details>
      ) : (
        <LineList lines={loud} />
      )}
      {noise.length > 0 && (
        <details class="step">
          <summary class="muted">{noise.length} that differ between any two builds</summary>
          <LineList lines={noise} />
        </details>
      )}
    </>
  );
}

export function LineList({ lines }: { lines: readonly SectionLine[] }) {
  if (lines.length === 0) return null;
  return (
    <ul class="changes-list">
      {lines.slice(0, MOST).map(({ kind, text }, i) => {
        const [sign, word] = SIGNS[kind];
        return (
          <li key={i} class={`change ${kind}`}>
            {sign !== "" && (
              <span class="sign">
                <span aria-hidden="true">{sign}</span>
                <span class="hidden-text">{word}: </span>
              </span>
            )}
            <span class={kind === "note" ? "muted" : "mono"}>{visible(text)}</span>
          </li>
        );
      })}
      {lines.length > MOST && (
        <li class="change note muted">
          and {lines.length - MOST} more, which <code>robur diff</code> prints
        </li>
      )}
    </ul>
  );
}

/** A unified diff. */
function Diff({ text, label }: { text: string; label: string }) {
  return (
    <pre class="diff" tabindex={0} role="group" aria-label={label}>
      {text
        .replace(/\n$/, "")
        .split("\n")
        .map((line, i) => (
          <span key={i} class={lookOf(line)}>
            {line === "" ? " " : line}
          </span>
        ))}
    </pre>
  );
}

function lookOf(line: string): string {
  if (/^(?:---|\+\+\+|@@)/.test(line)) return "place";
  return line.startsWith("+") ? "plus" : line.startsWith("-") ? "minus" : "";
}
