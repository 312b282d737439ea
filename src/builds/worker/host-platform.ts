/** What this machine is, in the words that platforms are named by: debian-12, ubuntu-24.04. */
import { readSmallFile } from "../../linux/libc.ts";
import { type Platform, parsePlatform } from "../../store/api.ts";

/** Of os-release(5); undefined where it says too little. */
export function hostPlatform(osRelease = readSmallFile("/etc/os-release") ?? ""): Platform | undefined {
  const value = (name: string) =>
    new RegExp(`^${name}=["']?([^"'\\n]*)["']?$`, "m").exec(osRelease)?.[1]?.trim() ?? "";
  const id = value("ID");
  const version = value("VERSION_ID");
  if (id === "") return undefined;
  return parsePlatform(version === "" ? id : `${id}-${version}`);
}
