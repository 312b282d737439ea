/**
 * Where a job runs: a fresh root file system and fresh namespaces, whose paths inside are always the same. Who asks for
 * one starts its command line on a pseudo-terminal, and takes its output from the host's side.
 */
import type { Platform } from "../../store/api.ts";

/** What a job may use. Undefined members: no limit of its own, only what the machine bears (bounds.ts). */
export interface JobLimits {
  readonly memoryMb: number | undefined;
  /** Processors, also in parts: 1.5. */
  readonly cpus: number | undefined;
  readonly processes: number | undefined;
  /** For everything that it writes. */
  readonly diskMb: number | undefined;
}

/** `none`, the hosts that it may reach, or everything. */
export type JobNetwork =
  | { readonly kind: "none" }
  | { readonly kind: "hosts"; readonly hosts: readonly string[] }
  | { readonly kind: "all" };

export interface SandboxWish {
  readonly platform: Platform;
  /** Becomes script.sh in the job's directory, and is what runs. */
  readonly script: Uint8Array;
  /** Beside it: names without directories. */
  readonly files: readonly { readonly name: string; readonly content: Uint8Array }[];
  readonly network: JobNetwork;
  readonly limits: JobLimits;
  /** What the job's machine is called; without one it is the same for every job. */
  readonly hostname?: string | undefined;
}

/** What the sandbox was made of, for the record. */
export interface SandboxOrigin {
  /** `bwrap`, `docker`, `podman`, or `unsafe`: none. */
  readonly kind: "bwrap" | "docker" | "podman" | "unsafe";
  /** SHA-256 over the root file system's sorted package list; undefined without one. */
  readonly packagesSha256: string | undefined;
  /** That list: NAME:ARCHITECTURE=VERSION, a line each. */
  readonly packages?: string | undefined;
  readonly description: string;
}

/** One prepared sandbox. Disposing of it leaves no process, mount or file of it, unless it was kept. */
export interface Sandbox extends AsyncDisposable {
  /** Start this, with exactly this environment. It ends when the script has ended. */
  readonly argv: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
  /** The host's path of the job's directory, where the output is found. Nothing in it is to be trusted: links least. */
  readonly directory: string;
  readonly origin: SandboxOrigin;
  /** Ends every process in it at once; `argv` ends then. */
  kill(): Promise<void>;
  /** Keeps it for `robur build shell` when it is disposed of, in the place of an older one of the same job. */
  keep(build: string, job?: string): Promise<void>;
}

/** What starts a shell in a kept sandbox. Disposing of it ends the shell and all that it started; the files stay. */
export interface KeptShell extends AsyncDisposable {
  readonly argv: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
}

/** Makes sandboxes; one a worker. */
export interface Sandboxes {
  /** Throws SandboxError: no-sandbox, unknown-platform, no-root-file-system, disk-full, failed. */
  prepare(wish: SandboxWish): Promise<Sandbox>;
  /**
   * A shell in the kept sandbox of a build, on a terminal of this kind; undefined when there is none. Throws
   * SandboxError in-use: one at a time.
   */
  shell(build: string, terminal?: string): Promise<KeptShell | undefined>;
  /** Removes what sandboxes of dead workers left: processes, mounts, files; and kept ones older than `keptMs`. */
  sweep(keptMs: number): Promise<void>;
}
