/** Which unikernel is meant: by its name, or by the beginning of name or id if only one has it. */
import { UsageError } from "../../lib/errors.ts";
import type { UnikernelView } from "../../orchestrator/api.ts";
import { ClientError } from "./client-error.ts";
import { type Client, ask } from "./connect.ts";

/** The unikernels that the names mean, in their order. Throws ClientError not-found, UsageError for an ambiguous one. */
export async function resolveNames(client: Client, texts: readonly string[]): Promise<UnikernelView[]> {
  const all = await listUnikernels(client);
  return texts.map((text) => resolveName(text, all));
}

export async function listUnikernels(client: Client): Promise<readonly UnikernelView[]> {
  const { unikernels } = await ask(client, client.api.unikernels.get());
  return unikernels;
}

/** An id's beginning is looked at from here on: shorter ones are meant as names. */
const ID_LEAST = 4;

/** The one that `text` means. Pure. */
export function resolveName(text: string, all: readonly UnikernelView[]): UnikernelView {
  const wanted = text.toLowerCase().replace(/^:/, "");
  const exact = all.find(({ name, id }) => name === wanted || id === text);
  if (exact !== undefined) return exact;
  const isBeginning = ({ name, id }: UnikernelView) =>
    name.startsWith(wanted) || (wanted.length >= ID_LEAST && id.startsWith(wanted));
  const found = wanted === "" ? [] : all.filter(isBeginning);
  if (found.length === 1) return found[0]!;
  if (found.length > 1) {
    throw new UsageError(`${text} may mean ${found.map(({ name }) => name).join(", ")}`, {
      hint: "write more of it",
    });
  }
  const near = all.map(({ name }) => name).filter((name) => distance(name, wanted) <= 2);
  throw new ClientError(3, "not-found", `there is no unikernel ${text}`, {
    ...(near.length === 0 ? {} : { why: `there is ${near.join(", ")}` }),
    hint: "robur ps -a",
  });
}

/** Levenshtein's: how many letters are to be put in, taken out or changed. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row.at(-1)!;
}
