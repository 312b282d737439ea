/** What has to be done so that a server has what a declaration says. Pure: doing it is apply.ts's. */
import type {
  ImageView,
  Policy,
  PolicyView,
  UnikernelConfig,
  UnikernelView,
} from "../../orchestrator/api.ts";
import { completeConfig } from "../../orchestrator/config.ts";
import type { PolicyPath, UnikernelName } from "../../orchestrator/names.ts";
import { type Declaration, DeclarationError, type WantedUnikernel } from "./declaration.ts";

export type Step =
  | { readonly do: "set-policy"; readonly path: PolicyPath; readonly policy: Policy; readonly isNew: boolean }
  | { readonly do: "remove"; readonly name: UnikernelName }
  | {
      readonly do: "update";
      readonly name: UnikernelName;
      /** What changes: keys of the configuration, and `image`. */
      readonly changes: readonly string[];
      readonly config: UnikernelConfig;
      /** As written. */
      readonly image: string;
      readonly restart: boolean;
    }
  | {
      readonly do: "create";
      readonly name: UnikernelName;
      readonly config: UnikernelConfig;
      readonly image: string;
      readonly start: boolean;
    }
  | { readonly do: "start" | "stop"; readonly name: UnikernelName }
  | { readonly do: "remove-policy"; readonly path: PolicyPath };

export interface Actual {
  readonly unikernels: readonly UnikernelView[];
  readonly policies: readonly PolicyView[];
}

export interface PlanOptions {
  /** The images that the declaration names, by how it names them. */
  readonly images: ReadonlyMap<string, ImageView>;
  /** The names of the server's networks: a device that isn't spoken of gets the one of its name. */
  readonly networks: ReadonlySet<string>;
  /** What isn't in the declaration goes. */
  readonly prune: boolean;
}

/**
 * The steps, in the order in which they are to be done: what frees room comes before what takes it. Empty: everything
 * is as it should be. Throws DeclarationError for a configuration that doesn't fit its image.
 */
export function planApply(
  wanted: Declaration,
  actual: Actual,
  { images, networks, prune }: PlanOptions,
): Step[] {
  const units = new Map(actual.unikernels.map((unit) => [unit.name, unit]));
  const policies = new Map(actual.policies.map(({ path, policy }) => [path, policy]));
  const changes = wanted.unikernels.map((one) =>
    planUnikernel(one, units.get(one.name), images.get(one.image)!, networks),
  );
  const names = new Set(wanted.unikernels.map(({ name }) => name));
  const paths = new Set(wanted.policies.map(({ path }) => path));
  const gone = prune ? actual.unikernels.filter(({ name }) => !names.has(name)) : [];
  const goneRules = prune ? actual.policies.filter(({ path }) => !paths.has(path)) : [];
  const all = changes.flat();
  const those = (...kinds: Step["do"][]) => all.filter((step) => kinds.includes(step.do));
  return [
    ...wanted.policies
      .filter(({ path, policy }) => !Bun.deepEquals(normal(policies.get(path)), normal(policy)))
      .map(({ path, policy }): Step => ({ do: "set-policy", path, policy, isNew: !policies.has(path) })),
    ...gone.map(({ name }): Step => ({ do: "remove", name })),
    ...those("stop"),
    ...those("update"),
    ...those("create", "start"),
    ...goneRules.map(({ path }): Step => ({ do: "remove-policy", path })),
  ];
}

function planUnikernel(
  wanted: WantedUnikernel,
  actual: UnikernelView | undefined,
  image: ImageView,
  networks: ReadonlySet<string>,
): Step[] {
  const { name, isRunning } = wanted;
  const given = actual === undefined ? wanted.config : { ...chosenBefore(actual), ...wanted.config };
  const completed = completeConfig(name, given, image, (network) => networks.has(network));
  if (!completed.ok) {
    const { message, hint } = completed.refusal;
    throw new DeclarationError(`[unikernels.${name}]`, message, hint === undefined ? {} : { hint });
  }
  const config = completed.value;
  if (actual === undefined) return [{ do: "create", name, config, image: wanted.image, start: isRunning }];
  const keys = Object.keys(config) as (keyof UnikernelConfig)[];
  const changes: string[] = keys.filter((key) => !Bun.deepEquals(config[key], actual.config[key]));
  if (actual.image.sha256 !== image.sha256) changes.push("image");
  const isUp = actual.desired === "running";
  const steps: Step[] = [];
  if (isUp && !isRunning) steps.push({ do: "stop", name });
  if (changes.length > 0) {
    steps.push({ do: "update", name, changes, config, image: wanted.image, restart: isUp && isRunning });
  }
  if (!isUp && isRunning) steps.push({ do: "start", name });
  // One that was changed before, and goes on as it was: what is declared shall be what runs.
  if (changes.length === 0 && isUp && isRunning && actual.hasPendingChanges) {
    steps.push({ do: "update", name, changes: [], config, image: wanted.image, restart: true });
  }
  return steps;
}

/**
 * What the server found out or chose for one that is there, and nobody speaks of: a guest that turned out not to know
 * --name isn't told again, and stays on the network that it is on.
 */
function chosenBefore({ config }: UnikernelView): Partial<UnikernelConfig> {
  const { addName, networks } = config;
  const chosen = networks.map(({ device, network }) => ({ device, network, mac: null, address: null }));
  return { networks: chosen, ...(addName ? {} : { addName }) };
}

function normal(policy: Policy | undefined): unknown {
  if (policy === undefined) return undefined;
  return { ...policy, cpus: [...policy.cpus].sort((a, b) => a - b), bridges: [...policy.bridges].sort() };
}

/** A step as one line. */
export function formatStep(step: Step): string {
  switch (step.do) {
    case "set-policy":
      return `${step.isNew ? "make" : "change"} the policy of ${step.path === "" ? ":" : step.path}`;
    case "remove-policy":
      return `remove the policy of ${step.path === "" ? ":" : step.path}`;
    case "update": {
      const what = step.changes.length === 0 ? "" : ` (${step.changes.join(", ")})`;
      if (step.changes.length === 0) return `restart ${step.name}`;
      return `change ${step.name}${what}${step.restart ? " and restart it" : ""}`;
    }
    case "create":
      return `create ${step.name}${step.start ? " and start it" : ""} (${step.image})`;
    default:
      return `${step.do} ${step.name}`;
  }
}
