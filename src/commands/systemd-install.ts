/** What `robur systemd install` does: a user for the service, the unit file, and a word to systemd. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { RoburError } from "../lib/errors.ts";
import { printError } from "../linux/libc.ts";
import { lookUpUser } from "../linux/users.ts";
import { type UnitOptions, unitFile } from "./systemd.ts";

class SystemdError extends RoburError<"not-permitted" | "failed"> {}

/** A step: a command, or a file to write. */
type Step =
  | { readonly kind: "run"; readonly words: readonly string[] }
  | { readonly kind: "write"; readonly path: string; readonly text: string };

export interface Situation {
  readonly isRoot: boolean;
  readonly hasUser: boolean;
  /** The unit file that is there. */
  readonly existing: string | undefined;
  readonly path: string;
}

const SYSTEM_UNIT = "/etc/systemd/system/robur.service";

/** What is to be done, in order. Pure. Throws SystemdError not-permitted. */
export function planInstall(
  options: UnitOptions,
  { isRoot, hasUser, existing, path }: Situation,
  now: boolean,
): Step[] {
  const isSystem = options.kind === "system";
  if (isSystem && !isRoot) {
    throw new SystemdError("not-permitted", "only root can make a service of the system", {
      hint: "sudo robur systemd install, or robur systemd install --user",
    });
  }
  const text = unitFile(options);
  const scope = isSystem ? [] : ["--user"];
  const run = (...words: string[]): Step => ({ kind: "run", words });
  const useradd = ["useradd", "--system", "--user-group", "--home-dir", "/var/lib/robur", "--no-create-home"];
  return [
    ...(isSystem && !hasUser ? [run(...useradd, "--shell", "/usr/sbin/nologin", "robur")] : []),
    ...(existing === text ? [] : [{ kind: "write", path, text } as const]),
    run("systemctl", ...scope, "daemon-reload"),
    ...(now ? [run("systemctl", ...scope, "enable", "--now", "robur.service")] : []),
  ];
}

/** Does it, and says each step. Throws SystemdError. */
export function install(options: UnitOptions, flags: { now: boolean; dryRun: boolean }): void {
  const path = options.kind === "system" ? SYSTEM_UNIT : userUnitPath();
  const situation: Situation = {
    isRoot: process.getuid?.() === 0,
    hasUser: lookUpUser("robur") !== undefined,
    existing: existsSync(path) ? readFileSync(path, "utf8") : undefined,
    path,
  };
  for (const step of planInstall(options, situation, flags.now)) {
    const what = step.kind === "run" ? `run: ${step.words.join(" ")}` : `write ${step.path}`;
    printError(`${flags.dryRun ? "would " : ""}${what}\n`);
    if (!flags.dryRun) perform(step);
  }
  if (flags.now || flags.dryRun) return;
  const enable = options.kind === "user" ? "systemctl --user enable" : "systemctl enable";
  printError(`it starts with: ${enable} --now robur\n`);
  if (options.kind === "user")
    printError("to have it run while you are not logged in: loginctl enable-linger\n");
}

function userUnitPath(): string {
  const config = process.env["XDG_CONFIG_HOME"] || join(process.env["HOME"] || homedir(), ".config");
  return join(config, "systemd/user/robur.service");
}

function perform(step: Step): void {
  if (step.kind === "write") {
    mkdirSync(dirname(step.path), { recursive: true });
    writeFileSync(`${step.path}.new`, step.text, { mode: 0o644 });
    renameSync(`${step.path}.new`, step.path);
    return;
  }
  const [program = "", ...args] = step.words;
  if (Bun.which(program) === null) {
    throw new SystemdError("failed", `${program} is not installed`, {
      hint: `once it is: ${step.words.join(" ")}`,
    });
  }
  const { exitCode } = Bun.spawnSync([program, ...args], { stdio: ["ignore", "inherit", "inherit"] });
  if (exitCode !== 0) {
    throw new SystemdError("failed", `${step.words.join(" ")} ended with status ${exitCode}`, {
      why: "what it said is above",
    });
  }
}
