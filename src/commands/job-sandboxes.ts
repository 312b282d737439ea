/** What jobs run in, as `robur worker`, `serve` and `reproduce` are told. */
import { join } from "node:path";
import type { Sandboxes } from "../builds/sandbox/api.ts";

const SANDBOX_KINDS = ["bwrap", "docker", "podman"] as const;
export type SandboxKind = (typeof SANDBOX_KINDS)[number];

/** The flag, for yargs. */
export const SANDBOX_FLAG = {
  choices: SANDBOX_KINDS,
  default: "bwrap",
  requiresArg: true,
  describe:
    "what makes them: bwrap, from a root file system made by mmdebstrap; or docker or podman, from the platform's image, which limit neither disk nor single hosts",
} as const;

/** Throws SandboxError no-sandbox where none can be made. */
export async function openJobSandboxes(
  directory: string,
  { kind, isUnsafe }: { readonly kind: SandboxKind; readonly isUnsafe: boolean },
  onLine: (line: string) => void,
): Promise<Sandboxes> {
  if (isUnsafe) {
    const { unsafeSandboxes } = await import("../builds/worker/unsafe-sandboxes.ts");
    return unsafeSandboxes(join(directory, "jobs"));
  }
  const { openSandboxes } = await import("../builds/sandbox/sandboxes.ts");
  return openSandboxes({ dataDirectory: directory, kind, onLine });
}
