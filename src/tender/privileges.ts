/** A tender started by root stops being root before its guest runs. */
import { type User, lookUpUser } from "../linux/users.ts";
import { OsError, becomeUser, prctl, syscall } from "../linux/libc.ts";
import { syscallNumber } from "../linux/syscalls.ts";
import { TenderError } from "./tender-error.ts";

const PR_SET_PDEATHSIG = 1;
const SIGKILL = 9;
const PR_SET_DUMPABLE = 4;
const PR_SET_NO_NEW_PRIVS = 38;

/** Whom a tender of root becomes when nobody is named: the first of these that the system has. */
const DEFAULT_USERS = ["robur", "nobody"];

/**
 * The user that the guest's process will run as, or undefined to stay who we are. Only root can change.
 * Throws TenderError unknown-user or privileges.
 */
export function chooseUser(wanted: string | undefined, isRoot = process.getuid?.() === 0): User | undefined {
  if (wanted === undefined) {
    if (!isRoot) return undefined;
    const found = lookUpUser(...DEFAULT_USERS);
    if (found !== undefined) return found;
    throw new TenderError("unknown-user", `none of the users ${DEFAULT_USERS.join(", ")} exists`, {
      hint: "--user NAME",
    });
  }
  const user = lookUpUser(wanted);
  if (user === undefined) {
    throw new TenderError("unknown-user", `no such user: ${wanted}`, { hint: "getent passwd | cut -d: -f1" });
  }
  if (!isRoot && user.uid !== process.getuid?.()) {
    throw new TenderError("privileges", `only root can run a unikernel as another user (${user.name})`, {
      hint: "leave --user out, or use sudo",
    });
  }
  return isRoot ? user : undefined;
}

/** Keeps this process on one processor: the thread that runs the guest, and every thread made from now on. Throws TenderError bad-option where there is no such one. */
export function runOnCpu(cpu: number): void {
  const most = 1024;
  const mask = new Uint8Array(most / 8);
  if (Number.isInteger(cpu) && cpu >= 0 && cpu < most) mask[cpu >> 3] = 1 << (cpu & 7);
  const result = syscall(syscallNumber("sched_setaffinity"), 0, mask.length, mask);
  if (result < 0) {
    throw new TenderError("bad-option", `--cpu ${cpu}: no such processor`, { hint: "lscpu --extended" });
  }
}

/** Gives up everything that is not needed any more, on all threads, for good. Throws TenderError privileges. */
export function dropPrivileges(user: User | undefined): void {
  try {
    if (user !== undefined) becomeUser(user.uid, user.gid);
  } catch (error) {
    if (!(error instanceof OsError)) throw error;
    throw new TenderError("privileges", `can't become ${user?.name}: ${error.message}`, { cause: error });
  }
  const done = prctl(PR_SET_NO_NEW_PRIVS, 1);
  if (done < 0) throw new TenderError("privileges", "can't set no_new_privs");
  prctl(PR_SET_DUMPABLE, 0);
}

/** The kernel ends this process when the thread that started it ends. */
export function endWithParent(): void {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
}
