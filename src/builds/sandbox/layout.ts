/**
 * Where sandboxes lie, and what is where inside of them:
 *
 *   DATA_DIR/sandboxes/ID/plan.json     what the launcher is to do
 *   DATA_DIR/sandboxes/ID/owner.json    the process that prepared it
 *   DATA_DIR/sandboxes/ID/launcher.json the process that runs it
 *   DATA_DIR/sandboxes/ID/stop          it is not to start any more
 *   DATA_DIR/sandboxes/ID/kept.json     it stays for a shell
 *   DATA_DIR/sandboxes/ID/disk.img      what a job may write, where there is a limit
 *   DATA_DIR/sandboxes/ID/disk/         the image's mount point, or a plain directory; upper/ and work/ in it
 *   DATA_DIR/sandboxes/ID/root, tools   links to the trees below what is written
 *   DATA_DIR/sandboxes/tools-XXXX/      such a tree: this executable (tools.ts)
 *   DATA_DIR/sandboxes/old-XXXX/        one that is being made or removed
 *   DATA_DIR/sandboxes.lock             whose holders are about to use such trees, or to put some aside
 */
import { join } from "node:path";
import type { JobLimits } from "./api.ts";

/** The job's directory inside. */
export const JOB_DIRECTORY = "/build";
export const HOSTNAME = "build";
export const SCRIPT = "script.sh";
/** The group family of all sandboxes of a machine. */
export const GROUP_FAMILY = "robur-builds";

/** What every job sees, and nothing else. */
export const JOB_ENVIRONMENT: Readonly<Record<string, string>> = {
  HOME: "/root",
  LANG: "C.UTF-8",
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  TERM: "dumb",
  TMPDIR: "/tmp",
  TZ: "UTC",
};

export interface SandboxPaths {
  readonly id: string;
  readonly home: string;
  readonly plan: string;
  readonly owner: string;
  readonly launcher: string;
  readonly stop: string;
  readonly kept: string;
  readonly image: string;
  readonly disk: string;
  readonly upper: string;
  /** JOB_DIRECTORY seen from the host. */
  readonly job: string;
}

/** Shared by whoever is about to use a tree, exclusively that of whoever decides which ones nobody uses. */
export const treesLock = (dataDirectory: string) => join(dataDirectory, "sandboxes.lock");

export const sandboxesDirectory = (dataDirectory: string) => join(dataDirectory, "sandboxes");

export function sandboxPaths(dataDirectory: string, id: string): SandboxPaths {
  const home = join(sandboxesDirectory(dataDirectory), id);
  const upper = join(home, "disk/upper");
  return {
    id,
    home,
    plan: join(home, "plan.json"),
    owner: join(home, "owner.json"),
    launcher: join(home, "launcher.json"),
    stop: join(home, "stop"),
    kept: join(home, "kept.json"),
    image: join(home, "disk.img"),
    disk: join(home, "disk"),
    upper,
    job: join(upper, JOB_DIRECTORY),
  };
}

/** JSON leaves out what is undefined. */
type PlannedLimits = { readonly [Name in keyof JobLimits]?: JobLimits[Name] };

/** What the launcher is told, as JSON. */
export interface SandboxPlan {
  readonly id: string;
  /** The first of the job's users, where the launcher is. */
  readonly base: number;
  /** Whether the launcher is the machine's root, or root of a user's own namespace. */
  readonly isRoot: boolean;
  readonly hasTools: boolean;
  /** `mounted`: by who prepared it; `image`: to be mounted; `plain`: a directory, watched if there is a limit. */
  readonly disk: "mounted" | "image" | "plain";
  /** What is kept, and what of it the job itself asked for. */
  readonly limits: PlannedLimits;
  readonly wished: PlannedLimits;
  readonly network: NetworkPlan;
  readonly environment: Readonly<Record<string, string>>;
  readonly command: readonly string[];
  readonly hostname?: string | undefined;
  /** A shell reads the terminal, a job nothing. */
  readonly isInteractive: boolean;
}

/** What is let through, resolved. */
export type NetworkPlan =
  | { readonly kind: "none" }
  /** Everything but the host itself, whose addresses these are. */
  | { readonly kind: "all"; readonly refused: readonly string[] }
  | {
      readonly kind: "hosts";
      /** By address and port. */
      readonly allowed: readonly { readonly address: string; readonly ports: readonly number[] }[];
      /** Ports of the host's own loopback, which are at the same address inside. */
      readonly loopbackPorts: readonly number[];
    };
