/**
 * What the unikernels of a path may use together. As in albatross, a policy holds for everything at or below its
 * path, a new one must fit below those above it and above those below it, and what runs must fit in it. albatross
 * itself checks only the policy of a unikernel's own path when it is created, so that siblings can together exceed
 * their parent; here `bindsChildren` makes all policies above count as well. Pure.
 */
import type { Policy, PolicyLimit, PolicyPath, Refusal, UnikernelName } from "./api.ts";
import { ROOT_PATH, ancestorsOf, isNameWithin, isWithin, pathOf } from "./names.ts";

/** What one unikernel takes, running or about to run. */
export interface Usage {
  readonly name: UnikernelName;
  readonly memoryMb: number;
  /** Null: any. */
  readonly cpus: readonly number[] | null;
  readonly bridges: readonly string[];
}

export interface PolicyRules {
  /** Every policy above a path binds it, not only its own. */
  readonly bindsChildren: boolean;
}

export type Policies = ReadonlyMap<PolicyPath, Policy>;

/** What holds unless somebody decides otherwise. */
export const USUAL_RULES: PolicyRules = { bindsChildren: true };

function isSubset<T>(inner: readonly T[], outer: readonly T[]): boolean {
  return inner.every((item) => outer.includes(item));
}

/** In which respect `inner` is more than `outer` allows; undefined when it fits. */
export function exceeds(inner: Policy, outer: Policy): PolicyLimit | undefined {
  if (inner.unikernels > outer.unikernels) return "unikernels";
  if (inner.memoryMb > outer.memoryMb) return "memory";
  if (!isSubset(inner.cpus, outer.cpus)) return "cpus";
  if (!isSubset(inner.bridges, outer.bridges)) return "bridges";
  if (inner.blockMb !== null && (outer.blockMb === null || inner.blockMb > outer.blockMb)) return "block";
  return undefined;
}

/** What is used at or below a path. */
export function usedWithin(
  path: PolicyPath,
  running: readonly Usage[],
  volumes: ReadonlyMap<PolicyPath, number>,
): { unikernels: number; memoryMb: number; blockMb: number } {
  const inside = running.filter(({ name }) => isNameWithin(name, path));
  let blockMb = 0;
  for (const [place, size] of volumes) if (isWithin(place, path)) blockMb += size;
  return {
    unikernels: inside.length,
    memoryMb: inside.reduce((sum, { memoryMb }) => sum + memoryMb, 0),
    blockMb,
  };
}

function say(path: PolicyPath): string {
  return path === ROOT_PATH ? "the root" : path;
}

function over(path: PolicyPath, limit: PolicyLimit, message: string): Refusal {
  return { code: "over-policy", path, limit, message };
}

/** Whether a policy may be set at a path. Undefined: yes. */
export function checkNewPolicy(
  policies: Policies,
  path: PolicyPath,
  policy: Policy,
  running: readonly Usage[],
  volumes: ReadonlyMap<PolicyPath, number>,
): Refusal | undefined {
  // The root's is what the machine has, and that may shrink: it doesn't bind those below it by itself.
  for (const above of ancestorsOf(path)) {
    const outer = above === ROOT_PATH ? undefined : policies.get(above);
    const limit = outer === undefined ? undefined : exceeds(policy, outer);
    if (limit !== undefined)
      return over(above, limit, `it allows more ${limit} than the policy of ${say(above)}`);
  }
  for (const [below, inner] of policies) {
    if (below === path || !isWithin(below, path)) continue;
    const limit = exceeds(inner, policy);
    if (limit !== undefined) return over(below, limit, `the policy of ${say(below)} allows more ${limit}`);
  }
  const used = usedWithin(path, running, volumes);
  const inside = running.filter(({ name }) => isNameWithin(name, path));
  if (used.unikernels > policy.unikernels) {
    return over(
      path,
      "unikernels",
      `${used.unikernels} unikernels run there, it would allow ${policy.unikernels}`,
    );
  }
  if (used.memoryMb > policy.memoryMb) {
    return over(
      path,
      "memory",
      `the unikernels there have ${used.memoryMb} MiB, it would allow ${policy.memoryMb}`,
    );
  }
  if (used.blockMb > (policy.blockMb ?? 0)) {
    return over(
      path,
      "block",
      `the volumes there have ${used.blockMb} MiB, it would allow ${policy.blockMb ?? 0}`,
    );
  }
  for (const { name, cpus, bridges } of inside) {
    if (cpus !== null && !isSubset(cpus, policy.cpus)) {
      return over(path, "cpus", `${name} runs on other processors`);
    }
    if (!isSubset(bridges, policy.bridges)) return over(path, "bridges", `${name} is on other networks`);
  }
  return undefined;
}

/** The policies that bind what is in a path, nearest first. */
export function bindingPolicies(
  policies: Policies,
  path: PolicyPath,
  rules: PolicyRules,
): [path: PolicyPath, policy: Policy][] {
  const places = rules.bindsChildren ? [path, ...ancestorsOf(path)] : [path];
  return places.flatMap((place): [PolicyPath, Policy][] => {
    const policy = policies.get(place);
    return policy === undefined ? [] : [[place, policy]];
  });
}

/** Whether a unikernel may run beside those that do (itself not among them). Undefined: yes. */
export function checkUnikernel(
  policies: Policies,
  wish: Usage,
  running: readonly Usage[],
  rules: PolicyRules,
): Refusal | undefined {
  for (const [path, policy] of bindingPolicies(policies, pathOf(wish.name), rules)) {
    const used = usedWithin(path, running, new Map());
    const where = say(path);
    if (used.unikernels + 1 > policy.unikernels) {
      return over(
        path,
        "unikernels",
        `the policy of ${where} allows ${policy.unikernels} unikernels, ${used.unikernels} run`,
      );
    }
    if (used.memoryMb + wish.memoryMb > policy.memoryMb) {
      const left = Math.max(0, policy.memoryMb - used.memoryMb);
      return over(
        path,
        "memory",
        `the policy of ${where} leaves ${left} MiB, ${wish.memoryMb} MiB are wanted`,
      );
    }
    if (wish.cpus !== null && !isSubset(wish.cpus, policy.cpus)) {
      return over(
        path,
        "cpus",
        `the policy of ${where} allows the processors ${policy.cpus.join(", ") || "none"}`,
      );
    }
    if (!isSubset(wish.bridges, policy.bridges)) {
      return over(
        path,
        "bridges",
        `the policy of ${where} allows the networks ${policy.bridges.join(", ") || "none"}`,
      );
    }
  }
  return undefined;
}

/**
 * Whether a volume of `sizeMb` may be made in a path beside those that are there; of 0, whether those are not too much
 * already. Undefined: yes.
 */
export function checkVolume(
  policies: Policies,
  path: PolicyPath,
  sizeMb: number,
  volumes: ReadonlyMap<PolicyPath, number>,
  rules: PolicyRules,
): Refusal | undefined {
  for (const [place, policy] of bindingPolicies(policies, path, rules)) {
    if (policy.blockMb === null) {
      return over(place, "block", `the policy of ${say(place)} allows no volumes`);
    }
    const left = policy.blockMb - usedWithin(place, [], volumes).blockMb;
    if (sizeMb > left) {
      return over(place, "block", `the policy of ${say(place)} leaves ${Math.max(0, left)} MiB for volumes`);
    }
  }
  return undefined;
}
