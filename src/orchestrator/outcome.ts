/** Expected outcomes as values. */
import type { Actor, Outcome, Refusal } from "./api.ts";
import type { UnikernelName } from "./names.ts";

export function ok<T>(value: T): Outcome<T> {
  return { ok: true, value };
}

export function refuse(refusal: Refusal): Outcome<never> {
  return { ok: false, refusal };
}

export function notFound(name: UnikernelName): Outcome<never> {
  return refuse({ code: "not-found", message: `there is no unikernel ${name}`, hint: "robur ps -a" });
}

export function conflict(message: string, hint?: string): Outcome<never> {
  return refuse({ code: "conflict", message, ...(hint === undefined ? {} : { hint }) });
}

/** A name that the actor may give to nothing. */
export function outside(actor: Actor, name: UnikernelName): Outcome<never> {
  return refuse({
    code: "not-permitted",
    message: `${name} is outside of ${actor.path}`,
    hint: `a name such as ${actor.path}:${name.slice(name.lastIndexOf(":") + 1)}`,
  });
}
