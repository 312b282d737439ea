/**
 * The input id of a script's build. builder-web takes it from three files that orb writes; a script has none, but what
 * it is made of is known: itself, the root file system's packages, and what it fetched. The last is recorded nowhere,
 * so where a job may fetch anything, only builds that were queued together count as having had the same. Pure.
 */
import type { Sha256 } from "../../lib/sha256.ts";
import { sha256Of } from "../../lib/sha256-of.ts";
import type { Assignment, RunId } from "../api.ts";

/** Changes when what is hashed does. */
const VERSION = "robur script inputs 1";

/** Undefined where nobody can tell whether another build had the same inputs. */
export function scriptInputId(
  { job, platform, script, network }: Pick<Assignment, "job" | "platform" | "script" | "network">,
  packages: Sha256 | undefined,
  batch: RunId | undefined,
): Sha256 | undefined {
  const isWhole = network.kind === "none" && packages !== undefined;
  if (!isWhole && batch === undefined) return undefined;
  const inputs = [VERSION, platform, sha256Of(script), packages ?? ""];
  // Run numbers are one database's own: the job and the batch together are what no other build has.
  return sha256Of(JSON.stringify(isWhole ? inputs : [...inputs, job, batch]));
}
