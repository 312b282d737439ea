/**
 * What a platform's root file system is made of. The built-in definitions are for those that mmdebstrap makes; a file
 * definition.json in DATA_DIR/platforms/NAME says otherwise, or defines another one.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { SandboxError } from "./sandbox-error.ts";

export interface PlatformDefinition {
  readonly suite: string;
  readonly components: readonly string[];
  /** Beside what the distribution marks as required. */
  readonly packages: readonly string[];
  /** A line of sources.list, a URL, or a file; undefined: the host's own sources for its own suite, else the default. */
  readonly mirror?: string;
  /** The image that docker or podman takes. With its registry: podman knows none by itself. */
  readonly image: string;
}

/**
 * What orb and opam need (apt, which Ubuntu could do without), what builds of C and OCaml take for granted, and what
 * another locale is made of, to find out whether a result depends on it.
 */
export const BUILD_PACKAGES = [
  "apt",
  ...["git", "make", "gcc", "g++", "libc6-dev", "ca-certificates", "unzip", "patch", "opam"],
  ...["rsync", "curl", "bzip2", "xz-utils", "zstd", "m4", "pkg-config", "locales"],
] as const;

const debian = (suite: string, image: string): PlatformDefinition => ({
  suite,
  components: ["main"],
  packages: BUILD_PACKAGES,
  image,
});
// Ubuntu keeps opam and bubblewrap in its second component.
const ubuntu = (suite: string, image: string): PlatformDefinition => ({
  ...debian(suite, image),
  components: ["main", "universe"],
});

const BUILT_IN: Readonly<Record<string, PlatformDefinition>> = {
  "debian-12": debian("bookworm", "docker.io/library/debian:12"),
  "debian-13": debian("trixie", "docker.io/library/debian:13"),
  "ubuntu-22.04": ubuntu("jammy", "docker.io/library/ubuntu:22.04"),
  "ubuntu-24.04": ubuntu("noble", "docker.io/library/ubuntu:24.04"),
};

/** The names that need no definition. */
export const BUILT_IN_PLATFORMS = Object.keys(BUILT_IN);

/** Where everything of a platform lies. */
export function platformDirectory(dataDirectory: string, name: string): string {
  return join(dataDirectory, "platforms", name);
}

/** Throws SandboxError unknown-platform. */
export function definitionOf(dataDirectory: string, name: string): PlatformDefinition {
  const builtIn = Object.hasOwn(BUILT_IN, name) ? BUILT_IN[name] : undefined;
  const path = join(platformDirectory(dataDirectory, name), "definition.json");
  const text = readIfThere(path);
  if (text !== undefined) return parseDefinition(text, path, builtIn);
  if (builtIn !== undefined) return builtIn;
  throw new SandboxError("unknown-platform", `nothing says what platform ${name} is made of`, {
    why: `built in are ${BUILT_IN_PLATFORMS.join(", ")}`,
    hint: `write {"suite": …, "packages": […]} to ${path}`,
  });
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return undefined;
    throw error;
  }
}

/** What mmdebstrap takes for a suite, component or package; never an option of its. */
const WORD = /^[A-Za-z0-9][A-Za-z0-9.+:~/_-]*$/;

const MEMBERS: ReadonlySet<string> = new Set(["suite", "components", "packages", "mirror", "image"]);

/**
 * A definition.json. Members that it leaves out are those of the built-in definition, if there is one.
 * Throws SandboxError unknown-platform.
 */
export function parseDefinition(
  text: string,
  path: string,
  base: PlatformDefinition | undefined,
): PlatformDefinition {
  const bad = (why: string) =>
    new SandboxError("unknown-platform", `${path} doesn't define a platform`, { why });
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw bad(error instanceof Error ? error.message : String(error));
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) throw bad("it is no object");
  const given = parsed as Record<string, unknown>;
  const unknown = Object.keys(given).find((key) => !MEMBERS.has(key));
  if (unknown !== undefined)
    throw bad(`it has a member ${JSON.stringify(unknown)}; known are ${[...MEMBERS].join(", ")}`);
  const word = (key: string, otherwise: string | undefined): string => {
    const value = given[key] ?? otherwise;
    if (typeof value !== "string" || !WORD.test(value)) throw bad(`${key} is to be a name`);
    return value;
  };
  const words = (key: string, otherwise: readonly string[]): readonly string[] => {
    const value = given[key] ?? otherwise;
    const isFine = Array.isArray(value) && value.every((item) => typeof item === "string" && WORD.test(item));
    if (!isFine) throw bad(`${key} is to be a list of names`);
    return value as string[];
  };
  const { mirror } = given;
  if (mirror !== undefined && (typeof mirror !== "string" || mirror.startsWith("-"))) {
    throw bad("mirror is to be a URL, a line of sources.list, or a file");
  }
  const suite = word("suite", base?.suite);
  return {
    suite,
    components: words("components", base?.components ?? ["main"]),
    packages: words("packages", base?.packages ?? BUILD_PACKAGES),
    ...(mirror === undefined ? {} : { mirror }),
    image: word("image", base?.image ?? suite),
  };
}
