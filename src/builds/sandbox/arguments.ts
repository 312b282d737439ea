/** Command lines that make a sandbox. Pure. */
import { JOB_DIRECTORY } from "./layout.ts";

/** Where the launcher mounts what the job will see as its root: a directory that every system has. */
export const MERGED = "/mnt";
/** Bytes of /dev/shm; the memory limit counts them too. */
const SHARED_MEMORY = 256 * 1024 * 1024;

/**
 * Rights of the job's root over its own users' files and processes. Nothing that changes mounts, networks, clocks,
 * devices or limits; package managers work with these.
 */
const CAPABILITIES = [
  ...["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID"],
  ...["CAP_SETGID", "CAP_SETUID", "CAP_KILL"],
] as const;

/**
 * What starts the launcher: it ends with the process that started it, has mounts of its own, and is the first process
 * of a process namespace, so that whatever it starts ends with it.
 */
export function outerArguments(
  programs: { readonly setpriv: string; readonly unshare: string },
  under: readonly string[],
  launcher: readonly string[],
): [string, ...string[]] {
  const line = [
    ...under,
    ...[programs.setpriv, "--pdeathsig", "KILL", "--"],
    ...[programs.unshare, "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--"],
    ...launcher,
  ];
  return line as [string, ...string[]];
}

/**
 * The first command in the job's user namespace. It waits until its users are mapped, then becomes root of them. If
 * the launcher goes away meanwhile, so does it. `processes` bounds all of the namespace's processes, of whichever of its
 * users, also where there are no control groups (RLIMIT_NPROC is counted by namespace since Linux 5.14).
 */
export function gateArguments(
  programs: { readonly unshare: string; readonly setpriv: string; readonly prlimit: string },
  { hasNetwork, processes }: { readonly hasNetwork: boolean; readonly processes: number | undefined },
  inner: readonly string[],
): string[] {
  return [
    ...(processes === undefined ? [] : [programs.prlimit, `--nproc=${processes}`, "--"]),
    ...[programs.unshare, "--user", "--keep-caps", ...(hasNetwork ? ["--net"] : []), "--"],
    ...["/bin/sh", "-c", 'read -r go <&3 || exit 125; exec 3<&-; exec "$@"', "sh"],
    ...[programs.setpriv, "--reuid", "0", "--regid", "0", "--clear-groups", "--"],
    ...inner,
  ];
}

export interface BwrapWish {
  readonly program: string;
  /** The seccomp program's descriptor. */
  readonly filterFd: number;
  /** The network namespace is there already. */
  readonly hasNetwork: boolean;
  readonly hostname: string;
  readonly command: readonly string[];
}

/** bwrap's command line, as root of the job's users. */
export function bwrapArguments({ program, filterFd, hasNetwork, hostname, command }: BwrapWish): string[] {
  return [
    program,
    ...["--bind", MERGED, "/"],
    // A mount point can't be renamed: what the host finds at its path is what the job saw at this one.
    ...["--bind", `${MERGED}${JOB_DIRECTORY}`, JOB_DIRECTORY],
    ...["--proc", "/proc", "--dev", "/dev"],
    ...["--perms", "1777", "--size", String(SHARED_MEMORY), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"],
    ...["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"],
    ...(hasNetwork ? [] : ["--unshare-net"]),
    ...["--hostname", hostname, "--chdir", JOB_DIRECTORY],
    ...["--die-with-parent", "--seccomp", String(filterFd)],
    ...["--cap-drop", "ALL", ...CAPABILITIES.flatMap((name) => ["--cap-add", name])],
    "--",
    ...command,
  ];
}

/** How a job's script is started: as a program if it says by which, else by the shell. */
export function scriptCommand(script: Uint8Array, path: string): string[] {
  const isProgram = script[0] === 0x23 && script[1] === 0x21;
  return isProgram ? [path] : ["/bin/sh", path];
}
