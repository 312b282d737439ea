/** A root file system of what every Debian has, made of this system's own sources. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeRoot } from "../../src/builds/sandbox/root-file-systems.ts";
import { SandboxError } from "../../src/builds/sandbox/sandbox-error.ts";
import { needsCommands, needsRoot } from "../needs.ts";

const PROGRAMS = ["bwrap", "mmdebstrap", "unshare", "setpriv", "nsenter", "mkfs.ext4", "pasta"] as const;

/** Makes one for `platform`. Answers why it can't be had, or undefined. */
export async function makeSmallRoot(dataDirectory: string, platform: string): Promise<string | undefined> {
  const missing = needsRoot() ?? needsCommands(...PROGRAMS);
  if (missing !== undefined) return missing;
  const suite = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
  if (suite === undefined) return "mmdebstrap makes Debian and its kin only";
  const directory = join(dataDirectory, "platforms", platform);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "definition.json"), JSON.stringify({ suite, packages: ["ca-certificates"] }));
  try {
    await makeRoot(dataDirectory, platform, { now: Date.now() });
    return undefined;
  } catch (error) {
    if (error instanceof SandboxError && error.code === "no-root-file-system") return error.message;
    throw error;
  }
}
