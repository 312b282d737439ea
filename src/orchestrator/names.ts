/**
 * Names of unikernels and paths of policies, as albatross has them: labels of 1 to 63 characters from
 * `[A-Za-z0-9.-]`, not starting with `-`, compared in lower case and joined by colons. What is in front of the last
 * colon is the path, the root's path is empty. Inside of robur `hello` is written without the leading colon that
 * albatross's protocol and the rule for MAC addresses have (`:hello`).
 */

declare const brand: unique symbol;

/** `hello`, or `family:web:hello`: a path's labels and the unikernel's own, in lower case. */
export type UnikernelName = string & { readonly [brand]: "UnikernelName" };
/** `family:web`; the empty string is the root, which encloses all. */
export type PolicyPath = string & { readonly [brand]: "PolicyPath" };

export const ROOT_PATH = "" as PolicyPath;

const LABEL = /^[a-z0-9.][a-z0-9.-]{0,62}$/;

/** The name that `text` means, with or without a leading colon; undefined for anything that isn't one. */
export function parseName(text: string): UnikernelName | undefined {
  const labels = parseLabels(text.startsWith(":") ? text.slice(1) : text);
  return labels === undefined ? undefined : (labels.join(":") as UnikernelName);
}

/** The path that `text` means, a final or leading colon being allowed; undefined for anything that isn't one. */
export function parsePath(text: string): PolicyPath | undefined {
  const leading = text.startsWith(":") ? text.slice(1) : text;
  const inner = leading.endsWith(":") ? leading.slice(0, -1) : leading;
  if (inner === "") return ROOT_PATH;
  return parseLabels(inner)?.join(":") as PolicyPath | undefined;
}

function parseLabels(text: string): string[] | undefined {
  const labels = text.toLowerCase().split(":");
  return labels.every((label) => LABEL.test(label)) ? labels : undefined;
}

/** The path that a unikernel is in. */
export function pathOf(name: UnikernelName): PolicyPath {
  return name.slice(0, Math.max(name.lastIndexOf(":"), 0)) as PolicyPath;
}

/** The last label: what a guest is told by `--name`. */
export function labelOf(name: UnikernelName): string {
  return name.slice(name.lastIndexOf(":") + 1);
}

/** Whether a path is `path` or below it. */
export function isWithin(inner: PolicyPath, path: PolicyPath): boolean {
  return path === ROOT_PATH || inner === path || inner.startsWith(`${path}:`);
}

/** Whether a unikernel is in `path` or below it. One called as the path is, beside it, is not. */
export function isNameWithin(name: UnikernelName, path: PolicyPath): boolean {
  return isWithin(pathOf(name), path);
}

/** The paths above `path`, nearest first, the root last; the root has none. */
export function ancestorsOf(path: PolicyPath): PolicyPath[] {
  const ancestors: PolicyPath[] = [];
  for (let at = path.lastIndexOf(":"); at > 0; at = path.lastIndexOf(":", at - 1)) {
    ancestors.push(path.slice(0, at) as PolicyPath);
  }
  return path === ROOT_PATH ? [] : [...ancestors, ROOT_PATH];
}

/** As albatross writes a name: `:hello`, `family:web:hello`. MAC addresses are made from this form. */
export function writtenName(name: UnikernelName): string {
  return name.includes(":") ? name : `:${name}`;
}

/** As albatross writes a path: `:`, `family:web:`. */
export function writtenPath(path: PolicyPath): string {
  return `${path}:`;
}
