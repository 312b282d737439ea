/**
 * A root file system for each platform, made once by mmdebstrap and then only read:
 *
 *   DATA_DIR/platforms/NAME/current.json     which of the trees is used, and what it consists of
 *   DATA_DIR/platforms/NAME/root-XXXXXXXX/   a tree, whole
 *   DATA_DIR/platforms/NAME/new-XXXXXXXX/    one that is being made, or was when its maker died
 *   DATA_DIR/platforms/NAME/old-XXXXXXXX/    one that is being removed
 *
 * A tree is made beside the others and takes their place by the renaming of current.json. Jobs that run keep theirs:
 * what no sandbox uses any more is removed by the next sweep.
 */
import { existsSync, lchownSync, lstatSync, mkdirSync, readFileSync, readdirSync } from "node:fs";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Sha256 } from "../../lib/sha256.ts";
import { sha256Of } from "../../lib/sha256-of.ts";
import { tryLock, waitForLock } from "./lock.ts";
import { type Identities, identities } from "./identities.ts";
import { treesLock } from "./layout.ts";
import { definitionOf, platformDirectory, type PlatformDefinition } from "./platforms.ts";
import { call, needProgram } from "./programs.ts";
import { SandboxError } from "./sandbox-error.ts";

export interface RootFileSystem {
  readonly platform: string;
  /** The tree's absolute path. */
  readonly path: string;
  readonly suite: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** Over `packages`. */
  readonly packagesSha256: Sha256;
  /** NAME=VERSION lines with architectures, sorted. */
  readonly packages: string;
}

export interface MakeOptions {
  /** Told what mmdebstrap says, a line at a time. */
  readonly onLine?: ((line: string) => void) | undefined;
  readonly now: number;
}

/** The tree in use; undefined when none was made yet. */
export function currentRoot(dataDirectory: string, platform: string): RootFileSystem | undefined {
  const directory = platformDirectory(dataDirectory, platform);
  let record: Omit<RootFileSystem, "path" | "platform"> & { readonly root: string };
  try {
    record = JSON.parse(readFileSync(join(directory, "current.json"), "utf8"));
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return undefined;
    throw new SandboxError("no-root-file-system", `${directory}/current.json can't be read`, {
      why: error instanceof Error ? error.message : String(error),
      hint: `robur sandbox refresh ${platform}`,
    });
  }
  const path = join(directory, record.root);
  if (!existsSync(path)) return undefined;
  const { suite, createdAt, packagesSha256, packages } = record;
  return { platform, path, suite, createdAt, packagesSha256, packages };
}

/** The tree in use, made now if there is none. Throws SandboxError. */
export async function needRoot(
  dataDirectory: string,
  platform: string,
  options: MakeOptions,
): Promise<RootFileSystem> {
  return currentRoot(dataDirectory, platform) ?? (await makeRoot(dataDirectory, platform, options, true));
}

/**
 * Makes a new tree and puts it in the place of the old one. With `unlessMade` a tree that somebody else made in the
 * meantime is answered. Throws SandboxError unknown-platform, no-sandbox, no-root-file-system or disk-full.
 */
export async function makeRoot(
  dataDirectory: string,
  platform: string,
  { onLine, now }: MakeOptions,
  unlessMade = false,
): Promise<RootFileSystem> {
  const definition = definitionOf(dataDirectory, platform);
  const who = identities();
  const directory = platformDirectory(dataDirectory, platform);
  mkdirSync(directory, { recursive: true });
  const wait = () => onLine?.(`another process is making ${platform}: waiting for it`);
  using _lock = await waitForLock(join(directory, "lock"), "exclusive", wait);
  if (unlessMade) {
    const made = currentRoot(dataDirectory, platform);
    if (made !== undefined) return made;
  }
  await removeUnfinished(directory, who);
  const id = crypto.randomUUID().slice(0, 8);
  const unfinished = join(directory, `new-${id}`);
  try {
    await bootstrap(definition, unfinished, who, onLine);
    if (who.isRoot) shiftOwners(unfinished, who.base);
    const packages = await packageList(unfinished, who);
    const root = `root-${id}`;
    const record = {
      ...{ root, suite: definition.suite, createdAt: now },
      ...{ packagesSha256: sha256Of(packages), packages },
    };
    writeFileSync(join(directory, "current.new"), JSON.stringify(record));
    // Between the two names it would be a tree that nobody uses.
    using _trees = await waitForLock(treesLock(dataDirectory), "shared");
    renameSync(unfinished, join(directory, root));
    renameSync(join(directory, "current.new"), join(directory, "current.json"));
    return currentRoot(dataDirectory, platform)!;
  } catch (error) {
    await removeTree(unfinished, who);
    throw error;
  }
}

async function bootstrap(
  definition: PlatformDefinition,
  target: string,
  { isRoot, asJobs }: Identities,
  onLine: MakeOptions["onLine"],
): Promise<void> {
  const bootstrap = bootstrapArguments(definition, target, isRoot, hostSources());
  const { status, stderr } = await call([...asJobs, ...withUs(), needProgram("mmdebstrap"), ...bootstrap], {
    onLine,
  });
  if (status === 0) return;
  const errors = stderr.split("\n").filter((line) => /^(E|W|Err|error):/i.test(line));
  const why = (errors.length > 0 ? errors : stderr.trim().split("\n")).slice(-4).join("\n");
  if (/No space left on device/.test(stderr)) {
    throw new SandboxError("disk-full", `the disk is full: ${target} was not made`, { why });
  }
  throw new SandboxError("no-root-file-system", `mmdebstrap could not make ${definition.suite}`, {
    why,
    ...bootstrapHint(stderr),
  });
}

/** What it starts ends with this process; else it would go on for minutes beside the one that is started next. */
const withUs = () => [
  ...[needProgram("setpriv"), "--pdeathsig", "KILL", "--"],
  ...[needProgram("unshare"), "--pid", "--fork", "--kill-child", "--mount-proc", "--"],
];

/** What to do about what mmdebstrap complains of. */
function bootstrapHint(stderr: string): { hint?: string } {
  if (/Temporary failure resolving|Could not connect|Network is unreachable|Could not resolve/.test(stderr)) {
    return { hint: "connect this machine to the network, or name a mirror in definition.json" };
  }
  if (/NO_PUBKEY|no signed-by|keyring|is not signed/i.test(stderr)) {
    const isUbuntu = /ubuntu/i.test(stderr);
    return {
      hint: isUbuntu
        ? "sudo apt-get install ubuntu-keyring, which Debian has since 13; on 12 take that package from Debian 13"
        : "sudo apt-get install debian-archive-keyring",
    };
  }
  return {};
}

/** mmdebstrap's arguments. */
export function bootstrapArguments(
  { suite, components, packages, mirror }: PlatformDefinition,
  target: string,
  isRoot: boolean,
  host: HostSources | undefined,
): string[] {
  const own = mirror ?? (host?.suite === suite ? host.file : undefined);
  return [
    "--variant=minbase",
    // Its own mode for users would have a root that can't reach this user's directories.
    "--mode=root",
    // No user namespace may mount that without a network of its own.
    ...(isRoot ? [] : ["--skip=chroot/mount/sys"]),
    "--format=directory",
    `--components=${components.join(",")}`,
    `--include=${packages.join(",")}`,
    // Package managers in a sandbox can't become another user, and builds want no interactive questions.
    `--aptopt=APT::Sandbox::User "root"`,
    `--aptopt=APT::Install-Recommends "false"`,
    "--",
    suite,
    target,
    ...(own === undefined ? [] : [own]),
  ];
}

export interface HostSources {
  readonly suite: string;
  readonly file: string;
}

/** Where this machine gets its packages from. */
function hostSources(): HostSources | undefined {
  const release = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  const suite = /^VERSION_CODENAME="?([a-z]+)"?$/m.exec(release)?.[1];
  const files = ["debian.sources", "ubuntu.sources"].map((name) => `/etc/apt/sources.list.d/${name}`);
  const file = [...files, "/etc/apt/sources.list"].find((path) => existsSync(path));
  return suite === undefined || file === undefined ? undefined : { suite, file };
}

/** Gives a tree to the users of jobs. Set-user-ID bits and file capabilities go: nobody gains rights in a sandbox. */
function shiftOwners(path: string, base: number): void {
  const found = lstatSync(path);
  if (found.uid < base) lchownSync(path, found.uid + base, found.gid + base);
  if (!found.isDirectory()) return;
  for (const name of readdirSync(path)) shiftOwners(join(path, name), base);
}

/** What is installed in a tree, sorted by bytes. */
async function packageList(root: string, { under }: Identities): Promise<string> {
  const status = join(root, "var/lib/dpkg/status");
  const { stdout, status: ended, stderr } = await call([...under, "cat", status]);
  if (ended !== 0) throw new SandboxError("failed", `${status} can't be read`, { why: stderr.trim() });
  return installedPackages(stdout);
}

/** NAME:ARCHITECTURE=VERSION of each installed package in a dpkg status file, a line each, sorted. */
export function installedPackages(status: string): string {
  const lines = status.split("\n\n").flatMap((paragraph) => {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(paragraph)?.[1];
    if (field("Status") !== "install ok installed") return [];
    return [`${field("Package")}:${field("Architecture")}=${field("Version")}\n`];
  });
  return lines.toSorted().join("");
}

/** Trees that their makers didn't finish. */
async function removeUnfinished(directory: string, who: Identities): Promise<void> {
  for (const name of readdirSync(directory)) {
    if (name.startsWith("new-")) await removeTree(join(directory, name), who);
  }
}

/**
 * Takes the names from the trees of all platforms but those in use: the current ones and `used`, which are absolute
 * paths. Answers what is to be removed, with what nobody makes any more.
 */
export function putAsideRoots(dataDirectory: string, used: ReadonlySet<string>): string[] {
  const all = join(dataDirectory, "platforms");
  if (!existsSync(all)) return [];
  return readdirSync(all).flatMap((platform) => {
    const directory = join(all, platform);
    const current = currentRoot(dataDirectory, platform)?.path;
    using making = tryLock(join(directory, "lock"));
    return readdirSync(directory).flatMap((name) => {
      const path = join(directory, name);
      if (name.startsWith("old-") || (name.startsWith("new-") && making !== undefined)) return [path];
      if (!name.startsWith("root-") || path === current || used.has(path)) return [];
      const aside = join(directory, name.replace(/^root-/, "old-"));
      renameSync(path, aside);
      return [aside];
    });
  });
}

/** Removes a platform's trees. Throws SandboxError unknown-platform when there are none. */
export async function removePlatform(dataDirectory: string, platform: string): Promise<void> {
  const directory = platformDirectory(dataDirectory, platform);
  if (currentRoot(dataDirectory, platform) === undefined) {
    throw new SandboxError("unknown-platform", `there is no root file system of ${platform}`);
  }
  using _lock = await waitForLock(join(directory, "lock"), "exclusive");
  rmSync(join(directory, "current.json"), { force: true });
}

/**
 * A tree that may belong to users that this one is not. Links in it are not followed. By a program: a job can nest
 * directories so deeply that the runtime's own removal takes hours, during which nothing else happens.
 */
export async function removeTree(path: string, { under }: Pick<Identities, "under">): Promise<void> {
  if (existsSync(path)) await call([...under, "rm", "-rf", "--", path]);
}
