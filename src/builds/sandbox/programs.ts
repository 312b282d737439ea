/** Calling the system's programs: argument lists, no shell, and their complaints as errors. */
import { findProgram } from "../../network/programs.ts";
import { SandboxError } from "./sandbox-error.ts";

export { findProgram };

/** What sandboxes are made with, and the Debian packages that bring it. */
const PACKAGE = {
  bwrap: "bubblewrap",
  mmdebstrap: "mmdebstrap",
  unshare: "util-linux",
  setpriv: "util-linux",
  nsenter: "util-linux",
  prlimit: "util-linux",
  mount: "mount",
  umount: "mount",
  "mkfs.ext4": "e2fsprogs",
  newuidmap: "uidmap",
  pasta: "passt",
  nft: "nftables",
  docker: "docker.io",
  podman: "podman",
} as const;

export type SandboxProgram = keyof typeof PACKAGE;

/** All that sandboxes of bwrap with root file systems, limits and networks are made with. */
export const SANDBOX_PROGRAMS = [
  ...(["bwrap", "unshare", "setpriv", "nsenter", "prlimit", "mount", "mkfs.ext4"] as const),
  ...(["mmdebstrap", "pasta", "nft"] as const),
] satisfies readonly SandboxProgram[];

/** The Debian packages that bring these. */
export const packagesOf = (programs: readonly SandboxProgram[]) => [
  ...new Set(programs.map((program) => PACKAGE[program])),
];

export const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The program's path. Throws SandboxError no-sandbox, which names the package. */
export function needProgram(name: SandboxProgram): string {
  const path = findProgram(name);
  if (path !== undefined) return path;
  throw new SandboxError("no-sandbox", `${name} is not installed`, {
    why: "build jobs run in sandboxes that are made with it",
    hint: `sudo apt-get install ${PACKAGE[name]}`,
  });
}

export interface Called {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface CallOptions {
  /** Given each line of its standard error. */
  readonly onLine?: ((line: string) => void) | undefined;
  readonly input?: string;
  /** Beside PATH and the locale. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Runs to the end. */
export async function call(
  argv: readonly string[],
  { onLine, input, environment }: CallOptions = {},
): Promise<Called> {
  const child = Bun.spawn([...argv], {
    cwd: "/",
    stdin: input === undefined ? "ignore" : new TextEncoder().encode(input),
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: SYSTEM_PATH, LC_ALL: "C", ...environment },
  });
  const [stdout, stderr, status] = await Promise.all([
    child.stdout.text(),
    onLine === undefined ? child.stderr.text() : tell(child.stderr, onLine),
    child.exited,
  ]);
  return { status, stdout, stderr };
}

/** Reads text, telling each line; answers all of it. */
async function tell(stream: ReadableStream<Uint8Array>, onLine: (line: string) => void): Promise<string> {
  const decoder = new TextDecoder();
  let all = "";
  let told = 0;
  for await (const piece of stream) {
    all += decoder.decode(piece, { stream: true });
    for (let end = all.indexOf("\n", told); end >= 0; end = all.indexOf("\n", told)) {
      onLine(all.slice(told, end));
      told = end + 1;
    }
  }
  return all;
}

/** Its output. Throws SandboxError `code` with the last thing that the program said. */
export async function run(
  argv: readonly string[],
  code: "failed" | "no-sandbox" | "disk-full" = "failed",
): Promise<string> {
  const { status, stdout, stderr } = await call(argv);
  if (status === 0) return stdout;
  const isFull = /No space left on device|Disk quota exceeded/.test(stderr);
  throw new SandboxError(isFull ? "disk-full" : code, `${argv.join(" ")} failed`, {
    why: stderr.trim().split("\n").slice(-3).join("\n") || `it ended with status ${status}`,
  });
}
