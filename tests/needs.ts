/**
 * What a test needs of the machine, each as the reason why it can't be had, or undefined where it is there. A file
 * that leaves tests out says so once, on a line beginning with `SKIP: `, which tests/run.ts lists beside them.
 */
import { closeSync, constants, existsSync, openSync } from "node:fs";

export const IS_ROOT = process.getuid?.() === 0;
/** An unprivileged user by number: nobody, who need not have a name. */
export const NOBODY = 65534;

/** The paravirtual KVM emulates the guest's kernel mode: an exit takes 30 µs, and there is no SSE. */
export const KVM_IS_PARAVIRTUAL =
  existsSync("/sys/module/kvm_pvm") &&
  !existsSync("/sys/module/kvm_intel") &&
  !existsSync("/sys/module/kvm_amd");

export function needsKvm(): string | undefined {
  if (process.arch !== "x64") return "the hvt tests are for x86_64";
  try {
    closeSync(openSync("/dev/kvm", constants.O_RDWR));
    return undefined;
  } catch (error) {
    return `/dev/kvm can't be used (${error instanceof Error ? error.message : String(error)})`;
  }
}

export function needsRoot(): string | undefined {
  return IS_ROOT ? undefined : "this needs root";
}

/** Each of these must be on PATH. */
export function needsCommands(...commands: string[]): string | undefined {
  const missing = commands.filter((command) => Bun.which(command) === null);
  return missing.length === 0 ? undefined : `not installed: ${missing.join(", ")}`;
}

/** Networks of a test's own: a network namespace, and taps in it. */
export function needsNetwork(): string | undefined {
  if (!existsSync("/dev/net/tun")) return "there is no /dev/net/tun";
  return needsRoot() ?? needsCommands("ip", "ping", "unshare");
}

const said = new Set<string>();

/** For `describe.skipIf` and `test.skipIf`: whether one of the needs isn't met; says why. */
export function lacks(...reasons: (string | undefined)[]): boolean {
  const reason = reasons.find((text) => text !== undefined);
  if (reason === undefined) return false;
  if (!said.has(reason)) console.warn(`SKIP: ${reason}`);
  said.add(reason);
  return true;
}
