/** What an import tells of itself while it runs, and what came of it. */

export type ImportEvent =
  /** How far it is; what hasn't a total goes on until it ends. */
  | {
      readonly kind: "progress";
      readonly done: number;
      readonly total: number | undefined;
      readonly what: string;
    }
  /** Something was taken otherwise than it was, or left out on purpose. */
  | { readonly kind: "note"; readonly text: string }
  /** Something is missing or broken: the import goes on, and ends as one with damage. */
  | { readonly kind: "damage"; readonly text: string };

export type Report = (event: ImportEvent) => void;

/** What an import did. */
export interface ImportSummary {
  /** New ones; those that were there already count below. */
  readonly builds: number;
  readonly alreadyThere: number;
  readonly jobs: number;
  readonly users: number;
  /** Bytes that were read and verified. */
  readonly bytes: number;
  /** How many pieces of damage were reported. */
  readonly damaged: number;
}

/** What every import is given. */
export interface ImportOptions {
  readonly report: Report;
  /** Ends it in good order: what is there stays, and the next time goes on from there. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Counts while an import runs. */
export class Tally {
  builds = 0;
  alreadyThere = 0;
  jobs = 0;
  users = 0;
  bytes = 0;
  damaged = 0;
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  note(text: string): void {
    this.#report({ kind: "note", text });
  }

  damage(text: string): void {
    this.damaged += 1;
    this.#report({ kind: "damage", text });
  }

  progress(done: number, total: number | undefined, what: string): void {
    this.#report({ kind: "progress", done, total, what });
  }

  summary(): ImportSummary {
    const { builds, alreadyThere, jobs, users, bytes, damaged } = this;
    return { builds, alreadyThere, jobs, users, bytes, damaged };
  }
}
