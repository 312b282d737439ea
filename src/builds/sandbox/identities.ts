/**
 * Whose processes jobs are. Inside, a job is root with 65536 users of its own; outside, these are numbers that nobody
 * else has: for root a range of robur's own, for anybody else the range that /etc/subuid gives the user.
 */
import { readSmallFile } from "../../linux/libc.ts";
import { SandboxError } from "./sandbox-error.ts";
import { needProgram } from "./programs.ts";

/** How many users and groups a job has. */
export const RANGE = 65_536;
/** Between systemd's ranges for containers and for others (systemd.io/UIDS-GIDS), a multiple of 65536. */
export const ROOT_BASE = 29_000 * RANGE;

export interface Identities {
  readonly isRoot: boolean;
  /** What the job's user 0 is where the sandbox is put together: seen from the host for root, else from a user namespace. */
  readonly base: number;
  /** The command that goes before what needs rights over files of these users. */
  readonly under: readonly string[];
  /** The same, as the jobs' user 0. This user's directories, which are often closed to all others, are open to it. */
  readonly asJobs: readonly string[];
}

/** The first range of a subuid(5) file for a user by name or number that is large enough. */
export function subordinateRange(text: string, user: string, uid: number): number | undefined {
  for (const line of text.split("\n")) {
    const [name = "", start = "", count = ""] = line.split(":");
    if ((name === user || name === String(uid)) && /^\d+$/.test(start) && Number(count) >= RANGE) {
      return Number(start);
    }
  }
  return undefined;
}

/** For this process. Throws SandboxError no-sandbox where a user has no range. */
export function identities(): Identities {
  const uid = process.geteuid?.() ?? 0;
  if (uid === 0) return { isRoot: true, base: ROOT_BASE, under: [], asJobs: [] };
  needProgram("newuidmap");
  const user = userName(uid);
  const [users, groups] = ["/etc/subuid", "/etc/subgid"].map((file) => {
    const start = subordinateRange(readSmallFile(file) ?? "", user, uid);
    if (start !== undefined) return start;
    throw new SandboxError("no-sandbox", `${user} has no range of ${RANGE} users in ${file}`, {
      why: "a job in a sandbox has users of its own",
      hint: `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${user}`,
    });
  });
  const unshare = [needProgram("unshare"), "--user"];
  const maps = (inner: number) => [
    ...[`--map-users=${users},${inner},${RANGE}`, `--map-groups=${groups},${inner},${RANGE}`],
  ];
  // User 0 of that namespace is this user, 1 is the first of the range.
  const under = [...unshare, "--map-root-user", ...maps(1), "--"];
  // User 0 of this one is the first of the range, and this user is behind its last: root has rights over files of
  // those users only that its namespace knows.
  const behind = [`--map-user=${RANGE}`, `--map-group=${RANGE}`];
  const becoming = [needProgram("setpriv"), "--reuid", "0", "--regid", "0", "--clear-groups", "--"];
  const asJobs = [...unshare, "--keep-caps", ...behind, ...maps(0), "--", ...becoming];
  return { isRoot: false, base: 1, under, asJobs };
}

function userName(uid: number): string {
  const line = (readSmallFile("/etc/passwd") ?? "")
    .split("\n")
    .find((line) => line.split(":")[2] === String(uid));
  return line?.split(":")[0] ?? String(uid);
}
