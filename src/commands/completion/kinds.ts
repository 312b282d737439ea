/** What stands in a place of a command line: names that the server knows, files, or certain words. */

export type Kind =
  | { readonly kind: "unikernels" | "images" | "volumes" | "networks" | "policies" }
  | { readonly kind: "file" | "directory" }
  | { readonly kind: "words"; readonly words: readonly string[] }
  /** Whatever the user has in mind. */
  | { readonly kind: "anything" };

/** The names that robur can be asked for. */
export const NAME_KINDS = ["unikernels", "images", "volumes", "networks", "policies"] as const;
export type NameKind = (typeof NAME_KINDS)[number];

const ANYTHING: Kind = { kind: "anything" };
const FILE: Kind = { kind: "file" };
const DIRECTORY: Kind = { kind: "directory" };
const UNIKERNEL: Kind = { kind: "unikernels" };
const VOLUME: Kind = { kind: "volumes" };
const NETWORK: Kind = { kind: "networks" };

/** By command; `*` is for a command and all below it. Positional words by their name in the parser. */
const BY_COMMAND: Readonly<Record<string, Readonly<Record<string, Kind>>>> = {
  // It reads its arguments itself: everything behind the image is the unikernel's.
  run: { "": FILE },
  create: { image: FILE, name: ANYTHING },
  "volume create": { name: ANYTHING },
  "volume *": { name: VOLUME, directory: DIRECTORY, copy: ANYTHING },
  "network create": { name: ANYTHING },
  "network *": { name: NETWORK, network: NETWORK },
  "policy set": { path: { kind: "policies" } },
  "policy rm": { path: { kind: "policies" } },
  "user *": { name: ANYTHING },
  "token *": { name: ANYTHING },
  "remote *": { name: ANYTHING },
  "job *": { name: ANYTHING },
  completion: { shell: { kind: "words", words: ["bash", "zsh", "fish"] } },
  "backup schedule": { when: { kind: "words", words: ["@daily", "@hourly", "@weekly", "off"] } },
};

const BY_WORD: Readonly<Record<string, Kind>> = {
  file: FILE,
  directory: DIRECTORY,
  name: UNIKERNEL,
  unikernel: UNIKERNEL,
};

/** What the positional words of a command are. */
export function kindsOfCommand(path: readonly string[], words: readonly string[]): Kind[] {
  const exact = BY_COMMAND[path.join(" ")] ?? {};
  const general = BY_COMMAND[`${path[0] ?? ""} *`] ?? {};
  if (words.length === 0 && exact[""] !== undefined) return [exact[""]];
  return words.map((word) => exact[word] ?? general[word] ?? BY_WORD[word] ?? ANYTHING);
}

const BY_FLAG: Readonly<Record<string, Kind>> = {
  "data-dir": DIRECTORY,
  directory: DIRECTORY,
  dumpcore: DIRECTORY,
  db: FILE,
  socket: FILE,
  executable: FILE,
  file: FILE,
  image: FILE,
  from: FILE,
  output: FILE,
  record: FILE,
  restart: { kind: "words", words: ["no", "on-failure", "always"] },
};

/** What stands behind a flag that takes a value. */
export function kindOfFlag(name: string, choices: readonly string[] | undefined): Kind {
  if (choices !== undefined && choices.length > 0) return { kind: "words", words: choices };
  return BY_FLAG[name] ?? ANYTHING;
}
