/** For `robur doctor`: whether this machine can make build sandboxes, and build opam packages outside of them. */
import type { Check } from "../../tender/machine-check.ts";
import { identities } from "./identities.ts";
import { SANDBOX_PROGRAMS, findProgram, packagesOf } from "./programs.ts";
import { SandboxError } from "./sandbox-error.ts";

/** What was found. Nothing is made. */
export function checkBuilds(): Check[] {
  return [checkSandboxes(), checkOpam()];
}

function checkSandboxes(): Check {
  const name = "build sandboxes";
  const missing = SANDBOX_PROGRAMS.filter((program) => findProgram(program) === undefined);
  if (missing.length > 0) {
    const mend = `sudo apt-get install ${packagesOf(missing).join(" ")}`;
    return { name, verdict: "WARN", found: `not installed: ${missing.join(", ")}`, mend };
  }
  try {
    const { under, isRoot } = identities();
    const argv = [...(isRoot ? [findProgram("unshare")!, "--user", "--"] : under), "/bin/true"];
    if (Bun.spawnSync(argv, { stdio: ["ignore", "ignore", "ignore"] }).success) {
      return { name, verdict: "PASS", found: "bwrap, mmdebstrap, pasta, nft; user namespaces" };
    }
    return {
      ...{ name, verdict: "WARN", found: "no user namespaces can be made" },
      mend: "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0 user.max_user_namespaces=10000",
    };
  } catch (error) {
    if (!(error instanceof SandboxError)) throw error;
    const mend = error.hint === undefined ? {} : { mend: error.hint };
    return { name, verdict: "WARN", found: error.message, ...mend };
  }
}

function checkOpam(): Check {
  const path = findProgram("opam");
  if (path !== undefined) return { name: "opam", verdict: "PASS", found: path };
  return {
    ...{ name: "opam", verdict: "WARN", mend: "sudo apt-get install opam" },
    found: "not installed: robur orb doesn't work here; jobs have their own",
  };
}
