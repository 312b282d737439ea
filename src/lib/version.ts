/** What was built. `scripts/build.ts` replaces both names when it compiles; a run from source has neither. */
declare const ROBUR_VERSION: string;
declare const ROBUR_COMMIT: string;

export const VERSION = typeof ROBUR_VERSION === "string" ? ROBUR_VERSION : "0.1.0";
/** The commit's full hash, with `-dirty` when the tree had changes; `source` when not compiled. */
export const COMMIT = typeof ROBUR_COMMIT === "string" ? ROBUR_COMMIT : "source";
