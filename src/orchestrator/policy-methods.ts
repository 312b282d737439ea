/** Policies as the server changes them. */
import type { Admission } from "./admission.ts";
import type { Actor, Orchestrator, Outcome, Policy, PolicyPath } from "./api.ts";
import { ROOT_PATH, isWithin } from "./names.ts";
import { ok, refuse } from "./outcome.ts";
import type { Supervisor } from "./supervisor.ts";

/** What `Orchestrator.policies` does. */
export function policyMethods(admission: Admission, supervisor: Supervisor): Orchestrator["policies"] {
  return {
    list: (actor) => admission.policies().filter(({ path }) => isWithin(path, actor.path)),
    set(actor, path, policy) {
      if (!isBelow(path, actor)) return notPermitted(path);
      const wrong = checkPolicy(policy);
      if (wrong !== undefined) return refuse({ code: "bad-config", message: wrong });
      const refusal = admission.set(path, policy);
      if (refusal !== undefined) return refuse(refusal);
      supervisor.announce("policy-set", `the policy of ${say(path)} was set`, actor.who, path);
      return ok(admission.get(path)!);
    },
    remove(actor, path) {
      if (!isBelow(path, actor)) return notPermitted(path);
      const view = admission.get(path);
      if (view === undefined) return refuse({ code: "not-found", message: `${say(path)} has no policy` });
      admission.remove(path);
      supervisor.announce("policy-removed", `the policy of ${say(path)} was removed`, actor.who, path);
      return ok(view);
    },
  };
}

function say(path: PolicyPath): string {
  return path === ROOT_PATH ? "the root" : path;
}

/** Somebody who is bound to a path doesn't change what binds it. */
function isBelow(path: PolicyPath, actor: Actor): boolean {
  return actor.path === ROOT_PATH || (isWithin(path, actor.path) && path !== actor.path);
}

function notPermitted(path: PolicyPath): Outcome<never> {
  return refuse({ code: "not-permitted", message: `the policy of ${say(path)} is not yours to change` });
}

/** What is wrong with it. All zero is right: it allows nothing. */
function checkPolicy({ unikernels, memoryMb, cpus, blockMb }: Policy): string | undefined {
  const numbers = [unikernels, memoryMb, ...cpus, ...(blockMb === null ? [] : [blockMb])];
  const wrong = numbers.find((number) => !Number.isSafeInteger(number) || number < 0);
  return wrong === undefined ? undefined : `${wrong} is not a whole number from 0 to 2^53-1`;
}
