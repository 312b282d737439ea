/** Whether a unikernel may run: what the machine has, what its policies allow, and what others were promised. */
import type { Database } from "bun:sqlite";
import type { Policy, PolicyPath, PolicyView, Refusal, UnikernelConfig, UnikernelName } from "./api.ts";
import { mayHaveProcess } from "./lifecycle.ts";
import { pathOf } from "./names.ts";
import {
  type PolicyRules,
  type Usage,
  bindingPolicies,
  checkNewPolicy,
  checkUnikernel,
  checkVolume,
  usedWithin,
} from "./policies.ts";
import { forgetPolicy, readPolicies, recordPolicy } from "./policy-records.ts";
import { type Host, type Share, checkRoom, leastLoaded } from "./resources.ts";
import type { Unit } from "./unit.ts";

/** Who wants to run: a unikernel that isn't counted among the others. */
export interface Candidate {
  readonly name: UnikernelName;
  readonly config: UnikernelConfig;
  readonly target: "hvt" | "spt";
}

export interface AdmissionOptions {
  readonly db: Database;
  readonly host: Host;
  readonly rules: PolicyRules;
  /** Everything that counts: each unikernel that is to run, whether it does just now or not. */
  readonly units: () => Iterable<Unit>;
  readonly targetOf: (unit: Unit) => "hvt" | "spt";
  /** MiB of volumes, by path. */
  readonly volumes: () => ReadonlyMap<PolicyPath, number>;
}

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #policies: Map<PolicyPath, Policy>;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#policies = readPolicies(options.db);
  }

  /** Whether it may run beside all others but `except`, the one that it replaces or is. Undefined: yes. */
  check(candidate: Candidate, except: Unit | undefined): Refusal | undefined {
    const others = [...this.#options.units()].filter((unit) => unit !== except && isPromised(unit));
    const { name, config, target } = candidate;
    const { memoryMb, cpus } = config;
    return (
      checkRoom(
        this.#options.host,
        { memoryMb, cpus, target },
        others.map((unit) => this.#share(unit)),
      ) ??
      checkUnikernel(this.#policies, usageOf(name, config), others.map(usageOfUnit), this.#options.rules) ??
      this.#checkVolumes(candidate)
    );
  }

  /** Volumes that came by another way than through robur, such as adopted ones, may be more than is allowed. */
  #checkVolumes({ name, config }: Candidate): Refusal | undefined {
    if (config.blocks.length === 0) return undefined;
    return checkVolume(this.#policies, pathOf(name), 0, this.#options.volumes(), this.#options.rules);
  }

  /** The processors for a start of one that was given none: one of those that its policies allow. */
  place(unit: Unit): readonly number[] | null {
    const { name, config } = unit.record;
    if (config.cpus !== null) return config.cpus;
    const { host, rules } = this.#options;
    const binding = bindingPolicies(this.#policies, pathOf(name), rules);
    const allowed = host.cpus.filter((cpu) => binding.every(([, policy]) => policy.cpus.includes(cpu)));
    const others = [...this.#options.units()].filter((other) => other !== unit && isPromised(other));
    const cpu = leastLoaded(
      allowed.length > 0 ? allowed : host.cpus,
      others.map((other) => this.#share(other)),
    );
    return cpu === undefined ? null : [cpu];
  }

  #share(unit: Unit): Share {
    const { run, config } = unit.record;
    const { memoryMb, cpus } = run === null ? config : run.config;
    return { memoryMb, cpus: run?.cpus ?? cpus, target: this.#options.targetOf(unit) };
  }

  policies(): PolicyView[] {
    return [...this.#policies].map(([path, policy]) => ({ path, policy, used: this.#used(path) }));
  }

  #used(path: PolicyPath): PolicyView["used"] {
    const running = [...this.#options.units()].filter(isPromised).map(usageOfUnit);
    return usedWithin(path, running, this.#options.volumes());
  }

  get(path: PolicyPath): PolicyView | undefined {
    const policy = this.#policies.get(path);
    return policy === undefined ? undefined : { path, policy, used: this.#used(path) };
  }

  /** Sets a policy. Undefined: done. Throws DatabaseError. */
  set(path: PolicyPath, policy: Policy): Refusal | undefined {
    const running = [...this.#options.units()].filter(isPromised).map(usageOfUnit);
    const refusal = checkNewPolicy(this.#policies, path, policy, running, this.#options.volumes());
    if (refusal !== undefined) return refusal;
    recordPolicy(this.#options.db, path, policy);
    this.#policies.set(path, policy);
    return undefined;
  }

  /** Throws DatabaseError. */
  remove(path: PolicyPath): void {
    forgetPolicy(this.#options.db, path);
    this.#policies.delete(path);
  }
}

/** What is to run keeps its share while it is down for a moment; what is being ended keeps it until it has. */
function isPromised({ record: { lifecycle, run } }: Unit): boolean {
  const { phase, desired } = lifecycle;
  return (
    (run !== null && mayHaveProcess(lifecycle)) ||
    (desired === "running" && phase.kind !== "failed" && phase.kind !== "created")
  );
}

function usageOf(name: UnikernelName, { memoryMb, cpus, networks }: UnikernelConfig): Usage {
  return {
    name,
    memoryMb,
    cpus,
    bridges: networks.map(({ network, device }) => network ?? device.toLowerCase()),
  };
}

function usageOfUnit({ record: { name, config, run } }: Unit): Usage {
  return usageOf(name, run?.config ?? config);
}
