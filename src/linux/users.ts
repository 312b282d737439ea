/** Users of this system, from /etc/passwd: what a tender needs to stop being root. */
import { readSmallFile } from "./libc.ts";

export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** The line of one user in a passwd(5) file's text, by name or by number. */
export function findUser(passwd: string, wanted: string): User | undefined {
  for (const line of passwd.split("\n")) {
    const [name = "", , uid = "", gid = ""] = line.split(":");
    if (name === "" || !/^\d+$/.test(uid) || !/^\d+$/.test(gid)) continue;
    if (name === wanted || uid === wanted) return { name, uid: Number(uid), gid: Number(gid) };
  }
  return undefined;
}

/** Looks a user up on this system: the first of several that exists. */
export function lookUpUser(...wanted: readonly string[]): User | undefined {
  const passwd = readSmallFile("/etc/passwd") ?? "";
  for (const name of wanted) {
    const user = findUser(passwd, name);
    if (user !== undefined) return user;
  }
  return undefined;
}
