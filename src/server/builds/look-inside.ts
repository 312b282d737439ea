/** Adds to a comparison what the binaries say of themselves. */
import type { Build } from "../../store/api.ts";
import type { Comparison } from "../../store/comparison/comparison.ts";
import type { ServerContext } from "../context.ts";
import { visualisationsOf } from "../routes/visualisations.tsx";

export interface LookedInside {
  readonly comparison: Comparison;
  /** Why there is nothing to see: a sentence. */
  readonly complaint: string | undefined;
}

/** Nothing is looked into where the outputs are the same. It takes up to seconds, in a thread of its own. */
export async function lookInside(
  context: ServerContext,
  comparison: Comparison,
  left: Build,
  right: Build,
): Promise<LookedInside> {
  if (comparison.isSameOutput !== false) return { comparison, complaint: undefined };
  const outcome = await visualisationsOf(context).comparison(left, right);
  if (!outcome.ok) return { comparison, complaint: outcome.message };
  const { comparison: elf, inputs } = outcome;
  const elfFiles = { left: inputs.left.path, right: inputs.right.path };
  return { comparison: { ...comparison, elf, elfFiles }, complaint: undefined };
}
