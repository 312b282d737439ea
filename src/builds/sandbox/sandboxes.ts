/** Sandboxes made with bwrap. See layout.ts for what lies where, launch.ts for how one is put together. */
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { executablePath, selfCommand } from "../../lib/self.ts";
import { formatSize } from "../../lib/units.ts";
import { detachMount } from "../../linux/mounts.ts";
import { identify } from "../../linux/processes.ts";
import type { KeptShell, Sandbox, SandboxWish, Sandboxes } from "./api.ts";
import { outerArguments, scriptCommand } from "./arguments.ts";
import { roomOn, withBounds } from "./bounds.ts";
import { type Identities, identities } from "./identities.ts";
import { JOB_DIRECTORY, JOB_ENVIRONMENT, SCRIPT, type SandboxPaths, type SandboxPlan } from "./layout.ts";
import { sandboxPaths, sandboxesDirectory, treesLock } from "./layout.ts";
import { waitForLock } from "./lock.ts";
import { type ResolvedNetwork, hostAddresses, resolveNetwork } from "./network.ts";
import { SYSTEM_PATH, needProgram, run } from "./programs.ts";
import { type RootFileSystem, needRoot } from "./root-file-systems.ts";
import { SandboxError } from "./sandbox-error.ts";
import { endSandbox, removeSandbox } from "./remains.ts";
import { findKept, lockKept, markKept, pruneKept } from "./kept.ts";
import { sweepSandboxes } from "./sweep.ts";
import { toolsTree } from "./tools.ts";
import { openContainers } from "./containers.ts";

export interface SandboxOptions {
  /** Sandboxes lie in sandboxes/ of it, root file systems in platforms/. */
  readonly dataDirectory: string;
  /** `bwrap` unless told otherwise. */
  readonly kind?: "bwrap" | "docker" | "podman";
  /** Told what the making of a root file system says, which takes minutes. */
  readonly onLine?: (line: string) => void;
  /** The compiled robur, which is /usr/bin/orb inside; this very one unless told otherwise. */
  readonly executable?: string;
}

/** Sandboxes of one worker. Throws SandboxError no-sandbox when none can be made here. */
export function openSandboxes(options: SandboxOptions): Sandboxes {
  const { dataDirectory, kind = "bwrap" } = options;
  if (kind !== "bwrap") return openContainers(dataDirectory, kind, executableOf(options), options.onLine);
  const who = checkHost();
  mkdirSync(sandboxesDirectory(dataDirectory), { recursive: true, mode: 0o755 });
  return {
    prepare: (wish) => prepare(dataDirectory, who, wish, options),
    shell: (build, terminal) => shell(dataDirectory, who, { build, terminal }, options),
    sweep: (keptMs) => sweepSandboxes(dataDirectory, who, keptMs, Date.now()),
  };
}

const executableOf = ({ executable }: Pick<SandboxOptions, "executable">) =>
  executable ?? (Bun.isStandaloneExecutable ? executablePath() : undefined);

/** Finds out at once what is missing. */
function checkHost(): Identities {
  try {
    for (const program of ["bwrap", "unshare", "setpriv", "nsenter", "prlimit"] as const)
      needProgram(program);
    return identities();
  } catch (error) {
    if (!(error instanceof SandboxError) || error.code !== "no-sandbox") throw error;
    throw new SandboxError("no-sandbox", error.message, {
      ...(error.why === undefined ? {} : { why: error.why }),
      hint: `${error.hint ?? ""}\nor run jobs without any protection: --unsafe-no-sandbox`.trim(),
      cause: error,
    });
  }
}

async function prepare(
  dataDirectory: string,
  who: Identities,
  wish: SandboxWish,
  options: SandboxOptions,
): Promise<Sandbox> {
  checkRoom(dataDirectory);
  const network = await resolveNetwork(wish.network, wish.hostname);
  if (wish.network.kind !== "none") for (const program of ["pasta", "nft"] as const) needProgram(program);
  const paths = sandboxPaths(dataDirectory, crypto.randomUUID().slice(0, 13));
  try {
    const { root, tools } = await claimTrees(dataDirectory, who, wish.platform, paths, options);
    const disk = await makeDisk(paths, who, wish.limits.diskMb);
    await fillDisk(paths, who, wish, network);
    const plan: SandboxPlan = {
      ...{ id: paths.id, base: who.base, isRoot: who.isRoot, hasTools: tools !== undefined, disk },
      ...{
        limits: withBounds(wish.limits),
        wished: wish.limits,
        network: network.plan,
        environment: JOB_ENVIRONMENT,
        isInteractive: false,
      },
      command: scriptCommand(wish.script, `${JOB_DIRECTORY}/${SCRIPT}`),
      hostname: wish.hostname,
    };
    writeFileSync(paths.plan, JSON.stringify(plan));
    return new PreparedSandbox(paths, who, root, plan);
  } catch (error) {
    await removeSandbox(paths, who);
    throw isFull(error)
      ? new SandboxError("disk-full", "the disk is full: no sandbox was made", { cause: error })
      : error;
  }
}

/** Makes the sandbox's directory with links to what lies below it, made if need be: from then on it stays. */
async function claimTrees(
  dataDirectory: string,
  who: Identities,
  platform: string,
  { home, owner }: SandboxPaths,
  options: SandboxOptions,
): Promise<{ readonly root: RootFileSystem; readonly tools: string | undefined }> {
  for (;;) {
    const root = await needRoot(dataDirectory, platform, { onLine: options.onLine, now: Date.now() });
    using _lock = await waitForLock(treesLock(dataDirectory), "shared");
    // Made anew in the meantime, and the old one removed.
    if (!existsSync(root.path)) continue;
    const tools = await toolsTree(dataDirectory, executableOf(options), who);
    mkdirSync(home, { mode: 0o700 });
    writeFileSync(owner, JSON.stringify(identify("self")));
    symlinkSync(root.path, join(home, "root"));
    if (tools !== undefined) symlinkSync(tools, join(home, "tools"));
    return { root, tools };
  }
}

/** Throws SandboxError disk-full. */
function checkRoom(dataDirectory: string): void {
  const missing = -roomOn(dataDirectory);
  if (missing <= 0) return;
  throw new SandboxError("disk-full", `the disk of ${dataDirectory} is nearly full: no job begins`, {
    why: `jobs leave some of it free, of which ${formatSize(missing)} are missing`,
    hint: "robur sandbox ls, and robur sandbox rm for what isn't built for any more",
  });
}

const isFull = (error: unknown) => ["ENOSPC", "EDQUOT"].includes((error as { code?: string }).code ?? "");

/** A file system of its own for root, which then can't grow; else a directory, which is watched. */
async function makeDisk(
  { image, disk }: SandboxPaths,
  { isRoot, base }: Identities,
  diskMb: number | undefined,
): Promise<SandboxPlan["disk"]> {
  mkdirSync(disk, { mode: 0o755 });
  if (!isRoot || diskMb === undefined) return "plain";
  writeFileSync(image, "", { mode: 0o600 });
  // Sparse: what is never written takes no room.
  truncateSync(image, Math.max(16, Math.ceil(diskMb)) * 1024 * 1024);
  const features = ["-O", "^has_journal", "-m", "0", "-b", "4096", "-i", "16384"];
  const extended = `lazy_itable_init=1,nodiscard,root_owner=${base}:${base}`;
  await run([needProgram("mkfs.ext4"), "-q", "-F", ...features, "-E", extended, image]);
  await run([needProgram("mount"), "-o", "loop,nosuid,nodev", image, disk], "no-sandbox");
  return "mounted";
}

/** The job's files, owned by the job. */
async function fillDisk(
  { disk, upper, job }: SandboxPaths,
  { isRoot, base, under }: Identities,
  { script, files }: SandboxWish,
  { hostsFile, resolvConf }: ResolvedNetwork,
): Promise<void> {
  const written: string[] = [];
  const directory = (path: string) => {
    mkdirSync(path, { recursive: true });
    chmodSync(path, 0o755);
    written.push(path);
  };
  const file = (path: string, content: Uint8Array | string, mode: number) => {
    writeFileSync(path, content, { mode, flag: "wx" });
    chmodSync(path, mode);
    written.push(path);
  };
  for (const path of [upper, join(disk, "work"), join(upper, "etc"), job]) directory(path);
  file(join(upper, "etc/hosts"), hostsFile, 0o644);
  file(join(upper, "etc/resolv.conf"), resolvConf, 0o644);
  file(join(job, SCRIPT), script, 0o755);
  for (const { name, content } of files) {
    if (name === "" || name === "." || name === ".." || name === SCRIPT || /[/\0]/.test(name)) {
      throw new SandboxError("failed", `${JSON.stringify(name)} can't be the name of a job's file`);
    }
    file(join(job, name), content, 0o644);
  }
  if (isRoot) for (const path of written) chownSync(path, base, base);
  else await run([...under, "/bin/chown", "-R", `${base}:${base}`, disk]);
}

/**
 * What runs the launcher. The kernel's link to this process's executable survives an upgrade, and is opened before the
 * user namespace is entered, from where nobody may follow it.
 */
function outerCommand(paths: SandboxPaths, { under }: Identities): [string, ...string[]] {
  const programs = { setpriv: needProgram("setpriv"), unshare: needProgram("unshare") };
  const launcher = (own: readonly string[]) =>
    outerArguments(programs, under, [...own, "__sandbox", paths.home]);
  const self = selfCommand();
  if (self[0] !== "/proc/self/exe") return launcher(self);
  const opening = ["/bin/sh", "-c", 'exec 9<"$0"; exec "$@"', `/proc/${process.pid}/exe`] as const;
  return [...opening, ...launcher(["/proc/self/fd/9"])];
}

/** The launcher's own; the job sees none of it. */
const LAUNCHER_ENVIRONMENT = { PATH: SYSTEM_PATH, LC_ALL: "C" };

class PreparedSandbox implements Sandbox {
  readonly argv: readonly [string, ...string[]];
  readonly environment = LAUNCHER_ENVIRONMENT;
  readonly directory: string;
  readonly origin: Sandbox["origin"];
  readonly #paths: SandboxPaths;
  readonly #who: Identities;
  #keptAs: { readonly build: string; readonly job: string | undefined } | undefined;

  constructor(paths: SandboxPaths, who: Identities, root: RootFileSystem, { disk, limits }: SandboxPlan) {
    this.#paths = paths;
    this.#who = who;
    this.argv = outerCommand(paths, who);
    this.directory = paths.job;
    const space = disk === "mounted" ? `, a disk of ${limits.diskMb} MiB` : "";
    const packages = root.packages.split("\n").length - 1;
    this.origin = {
      kind: "bwrap",
      packagesSha256: root.packagesSha256,
      packages: root.packages,
      description: `${root.platform} (${root.suite}, ${packages} packages of ${new Date(root.createdAt).toISOString()})${space}`,
    };
  }

  async kill(): Promise<void> {
    await endSandbox(this.#paths);
  }

  async keep(build: string, job?: string): Promise<void> {
    this.#keptAs = { build, job };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await endSandbox(this.#paths);
    if (this.#keptAs === undefined) return removeSandbox(this.#paths, this.#who);
    detachMount(this.#paths.disk);
    await markKept(this.#paths, { ...this.#keptAs, keptAt: Date.now() });
    await pruneKept(dirname(dirname(this.#paths.home)), this.#who);
  }
}

async function shell(
  dataDirectory: string,
  who: Identities,
  { build, terminal }: { readonly build: string; readonly terminal: string | undefined },
  options: SandboxOptions,
): Promise<KeptShell | undefined> {
  const paths = findKept(dataDirectory, build);
  if (paths === undefined) return undefined;
  const lock = lockKept(paths);
  if (lock === undefined) {
    throw new SandboxError("in-use", `somebody has a shell in the sandbox of ${build}`, {
      hint: "one at a time: the files are one's own there",
    });
  }
  try {
    const plan = JSON.parse(readFileSync(paths.plan, "utf8")) as SandboxPlan;
    using _lock = await waitForLock(treesLock(dataDirectory), "shared");
    const tools = await toolsTree(dataDirectory, executableOf(options), who);
    rmSync(join(paths.home, "tools"), { force: true });
    if (tools !== undefined) symlinkSync(tools, join(paths.home, "tools"));
    rmSync(paths.stop, { force: true });
    const kind = terminal ?? process.env["TERM"];
    const { network } = plan;
    const forShell: SandboxPlan = {
      // What an earlier version has left out.
      ...{ ...plan, wished: plan.wished ?? plan.limits },
      network: network.kind === "all" ? { kind: "all", refused: hostAddresses() } : network,
      hasTools: tools !== undefined,
      disk: existsSync(paths.image) ? "image" : "plain",
      environment: { ...plan.environment, ...(kind === undefined ? {} : { TERM: kind }) },
      command: ["/bin/sh", "-c", "if command -v bash >/dev/null; then exec bash -i; else exec sh -i; fi"],
      isInteractive: true,
    };
    writeFileSync(`${paths.plan}.new`, JSON.stringify(forShell));
    renameSync(`${paths.plan}.new`, paths.plan);
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
  return {
    argv: outerCommand(paths, who),
    environment: LAUNCHER_ENVIRONMENT,
    async [Symbol.asyncDispose]() {
      await endSandbox(paths);
      lock[Symbol.dispose]();
    },
  };
}
