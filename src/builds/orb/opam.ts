/** Driving the opam executable: every call with exactly the build's environment, and opam's exit status as an error's. */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { print, printError } from "../../linux/libc.ts";
import type { Environment, SwitchPlace } from "./environment.ts";
import { OrbError } from "./orb-error.ts";
import { OPAM_STAND_IN } from "./stand-in.ts";

/** The oldest opam whose options are used. */
const OLDEST = [2, 1] as const;

/** `[ORB] …` on standard error, between what opam and builds print. */
export const say = (text: string) => printError(`[ORB] ${text}\n`);

export interface Called {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One opam root and switch, and the environment of what runs there. */
export class Opam {
  readonly #program: string;
  readonly #environment: Record<string, string>;
  readonly place: SwitchPlace;

  /** `path` is searched for opam. Throws OrbError failed where there is none that is new enough. */
  constructor(path: string | undefined, environment: Environment, place: SwitchPlace) {
    this.#program = findOpam(path);
    this.place = place;
    this.#environment = {
      ...Object.fromEntries(environment),
      OPAMROOT: place.root,
      // Content hashes in change records; no flag says so.
      OPAMPRECISETRACKING: "1",
      // opam hides this from builds, as it doesn't hide OPAMYES.
      OPAMCONFIRMLEVEL: "unsafe-yes",
      ...(process.geteuid?.() === 0 ? { OPAMROOTISOK: "1" } : {}),
    };
  }

  /** The switch's prefix. */
  get prefix(): string {
    return join(this.place.root, this.place.name);
  }

  /** Builds that call opam find the stand-in. Done when the root is there. */
  installStandIn(): void {
    const directory = join(this.place.root, "orb-bin");
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, "opam"), OPAM_STAND_IN);
    chmodSync(join(directory, "opam"), 0o755);
    this.#environment["PATH"] = `${directory}:${this.#environment["PATH"] ?? ""}`;
  }

  /** Runs opam; what it prints goes to our standard output. Throws OrbError opam with its exit status. */
  async run(what: string, ...args: string[]): Promise<void> {
    const { status } = await this.#spawn([this.#program, ...withCli(args)], "forward");
    if (status !== 0) throw opamError(what, status);
  }

  /** Runs opam and answers what it printed. Throws OrbError opam. */
  async ask(what: string, ...args: string[]): Promise<string> {
    const { status, stdout, stderr } = await this.#spawn([this.#program, ...withCli(args)], "pipe");
    if (status !== 0) throw opamError(what, status, stderr);
    return stdout;
  }

  /** Like `ask`; the status is for the caller to judge. */
  try(...args: string[]): Promise<Called> {
    return this.#spawn([this.#program, ...withCli(args)], "pipe");
  }

  /** Runs another program in a directory, with the switch's programs first. Throws OrbError failed. */
  async runProgram(argv: readonly string[], cwd: string): Promise<void> {
    const { status } = await this.#spawn(argv, "inherit", cwd, {
      PATH: `${join(this.prefix, "bin")}:${this.#environment["PATH"] ?? ""}`,
      OPAMSWITCH: this.place.name,
    });
    if (status !== 0) throw new OrbError("failed", `${argv.join(" ")} ended with status ${status}`);
  }

  async #spawn(
    argv: readonly string[],
    output: "inherit" | "pipe" | "forward",
    cwd?: string,
    more: Record<string, string> = {},
  ): Promise<Called> {
    // Through one pipe, which keeps the order: on a terminal opam would ask for its kind, which the environment hides.
    const line = output === "forward" ? ["/bin/sh", "-c", 'exec "$@" 2>&1', "sh", ...argv] : argv;
    const stdio = output === "inherit" ? "inherit" : "pipe";
    const child = Bun.spawn([...line], {
      ...(cwd === undefined ? {} : { cwd }),
      env: { ...this.#environment, ...more },
      stdio: ["ignore", stdio, stdio],
    });
    let told: NodeJS.Signals | undefined;
    const forward = (signal: NodeJS.Signals) => {
      told = signal;
      child.kill(signal);
    };
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, forward);
    try {
      const [stdout, stderr, status] = await Promise.all([
        output === "pipe" ? new Response(child.stdout).text() : "",
        output === "pipe" ? new Response(child.stderr).text() : "",
        child.exited,
        output === "forward" && child.stdout !== undefined
          ? forwardAll(child.stdout, child.exited)
          : undefined,
      ]);
      // Whatever opam says of it.
      if (status !== 0 && told !== undefined) {
        throw new OrbError("interrupted", "interrupted", { exitStatus: told === "SIGTERM" ? 143 : 130 });
      }
      return { status, stdout, stderr };
    } finally {
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, forward);
    }
  }
}

/** What a package manager has started may hold the pipe for ever. */
const DRAIN_MS = 1000;

async function forwardAll(stream: ReadableStream<Uint8Array>, exited: Promise<unknown>): Promise<void> {
  const copy = async () => {
    for await (const piece of stream) print(piece);
  };
  const late = async () => {
    await exited;
    await new Promise((resolve) => void setTimeout(resolve, DRAIN_MS).unref());
  };
  await Promise.race([copy(), late()]);
}

const withCli = ([command = "", ...rest]: readonly string[]) => [command, "--cli=2.1", ...rest];

function opamError(what: string, status: number, stderr = ""): OrbError {
  const why = stderr.trim().split("\n").slice(-5).join("\n");
  return new OrbError("opam", `${what}: opam ended with status ${status}`, {
    exitStatus: status,
    ...(why === "" ? {} : { why }),
  });
}

function findOpam(path: string | undefined): string {
  const found = Bun.which("opam", { PATH: `${path ?? ""}:/usr/local/bin:/usr/bin:/bin` });
  if (found === null) {
    throw new OrbError("failed", "opam is not installed", { hint: "sudo apt-get install opam" });
  }
  const asked = Bun.spawnSync([found, "--version"], { stdin: "ignore", stderr: "ignore" });
  const version = asked.stdout.toString().trim();
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10));
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    throw new OrbError("failed", `${found} is opam ${version || "of no known version"}`, {
      why: `orb needs ${OLDEST.join(".")} or later`,
    });
  }
  return found;
}
