/** The two inputs that are lines of a name and a value: the environment of a build, and the system's packages. */

/** By name. */
export type KeyedLines = ReadonlyMap<string, string>;

/** `KEY=VALUE` lines; of a repeated key the last one counts, a line without `=` has an empty value. */
export function readEnvironment(text: string): KeyedLines {
  return readLines(text, (line) => line.indexOf("="));
}

/**
 * `name=version`, as dpkg lists them, or `name-version` as FreeBSD's pkg does: there versions have no dash, names do
 * (py311-foo-1.2), so the last one counts.
 */
export function readSystemPackages(text: string): KeyedLines {
  return readLines(text, (line) => {
    const sign = line.indexOf("=");
    return sign >= 0 ? sign : line.lastIndexOf("-");
  });
}

function readLines(text: string, cutAt: (line: string) => number): KeyedLines {
  const found = new Map<string, string>();
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const at = cutAt(line);
    if (at < 0) found.set(line, "");
    else found.set(line.slice(0, at), line.slice(at + 1));
  }
  return found;
}

/** Says where a build ran, and when: other in every build, and without a meaning. */
const NOISE = new Set([
  "HOME",
  "PATH",
  "PWD",
  "OLDPWD",
  "TMPDIR",
  "SOURCE_DATE_EPOCH",
  "OPAMROOT",
  "PREFIX",
  "SWITCH_PATH",
]);

/** Whether a difference in that variable is to be expected between any two builds: paths and times. */
export const isNoise = (variable: string) => NOISE.has(variable);

export interface NameAndValue {
  readonly name: string;
  readonly value: string;
}

export interface ChangedValue {
  readonly name: string;
  readonly left: string;
  readonly right: string;
}

export interface KeyedChanges {
  /** Only on the right. */
  readonly added: readonly NameAndValue[];
  /** Only on the left. */
  readonly removed: readonly NameAndValue[];
  readonly changed: readonly ChangedValue[];
}

/** Each list ascending by name. */
export function compareKeyed(left: KeyedLines, right: KeyedLines): KeyedChanges {
  const changed: ChangedValue[] = [];
  const removed: NameAndValue[] = [];
  const added: NameAndValue[] = [];
  for (const [name, value] of left) {
    const other = right.get(name);
    if (other === undefined) removed.push({ name, value });
    else if (other !== value) changed.push({ name, left: value, right: other });
  }
  for (const [name, value] of right) if (!left.has(name)) added.push({ name, value });
  return { added: byName(added), removed: byName(removed), changed: byName(changed) };
}

function byName<T extends { readonly name: string }>(list: T[]): T[] {
  return list.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}
