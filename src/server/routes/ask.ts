/** What handlers begin with: who asks, and for which unikernel. */
import type { Actor, Outcome } from "../../orchestrator/api.ts";
import { type PolicyPath, type UnikernelName, parseName, parsePath } from "../../orchestrator/names.ts";
import { actorOf } from "../access/principal.ts";
import { visitOf } from "../access/visit.ts";
import { refused } from "../http/error-response.ts";
import { HttpError, notFound } from "../http/http-error.ts";

/** In whose name the orchestrator is asked. */
export function actorFor(request: Request): Actor {
  return actorOf(visitOf(request).principal);
}

/** The name in an address. Throws HttpError 404: what can't be a name is no unikernel's. */
export function nameIn(text: string): UnikernelName {
  const name = parseName(text);
  if (name === undefined) throw notFound(`unikernel ${text}`);
  return name;
}

/** The name that a new unikernel is to have. Throws HttpError 422. */
export function newName(text: string): UnikernelName {
  const name = parseName(text);
  if (name !== undefined) return name;
  throw new HttpError(422, "invalid-name", `${JSON.stringify(text)} can't be a unikernel's name`, {
    why: "a name has 1 to 63 letters, digits, dots and dashes and doesn't begin with a dash; colons join it with a path",
    hint: "website, or family:website",
  });
}

/** The path in an address. Throws HttpError 422. */
export function pathIn(text: string): PolicyPath {
  const path = parsePath(text);
  if (path === undefined) throw new HttpError(422, "invalid-path", `${JSON.stringify(text)} is not a path`);
  return path;
}

/** What was asked for, or the refusal as an error. */
export function granted<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value;
  throw refused(outcome.refusal);
}
