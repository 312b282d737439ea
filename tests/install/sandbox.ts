/**
 * A place to run install.sh in: its own home, temporary directory and set of tools, and never as root, so that
 * no test can touch the machine's /usr/local/bin or /var/lib. `tools/` is all of PATH; it holds exactly what
 * install.sh may use, so a test takes a tool away by removing its link, or puts another in its place.
 */
import { chmodSync, chownSync, lchownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { lstatSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export const CHECKOUT = join(import.meta.dir, "..", "..");
export const INSTALLER = readFileSync(join(CHECKOUT, "install.sh"), "utf8");

/** The shells to try, each with its arguments; those that are not here are left out. */
export const SHELLS = ["dash", "bash --posix", "busybox sh"].filter(
  (shell) => Bun.which(shell.split(" ")[0] ?? "") !== null,
);
/** Those that look for tools on PATH. busybox may prefer its own, so there none can be missing or faked. */
export const PATH_SHELLS = SHELLS.filter((shell) => !shell.startsWith("busybox"));

const TOOLS = (
  "cat chmod cmp cp curl cut dirname du find flock git grep gzip id ldd ls mkdir mktemp mv openssl readlink rm " +
  "sed sh sha256sum sleep sort tail uname wget"
).split(" ");

/** The user that install.sh runs as when the tests run as root: "nobody", as a number, for there may be none. */
const NOBODY = 65534;
const IS_ROOT = process.getuid?.() === 0;

export interface Result {
  status: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  /** Beside or instead of the usual variables; undefined takes one away. */
  env?: Record<string, string | undefined>;
  /** Given on standard input; without it there is nothing to read. */
  stdin?: string;
  cwd?: string;
  /** Runs it on a terminal of its own and types this; what it prints there becomes stdout. */
  typed?: string;
}

export class Sandbox implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), "robur-install-"));
  readonly home = join(this.root, "home");
  readonly tools = join(this.root, "tools");
  readonly binDir = join(this.home, ".local", "bin");
  /** Where an unprivileged install goes. */
  readonly target = join(this.binDir, "robur");
  readonly #shell: string[];

  /** @param shell the shell that runs the scripts, one of SHELLS */
  constructor(shell = SHELLS[0] ?? "sh") {
    const [name = "", ...args] = shell.split(" ");
    this.#shell = [Bun.which(name) ?? name, ...args];
    for (const directory of [this.home, this.tools, join(this.root, "tmp")]) mkdirSync(directory);
    for (const tool of TOOLS) {
      const path = Bun.which(tool);
      if (path !== null) symlinkSync(path, join(this.tools, tool));
    }
    this.write("install.sh", INSTALLER);
  }

  path(...names: string[]): string {
    return join(this.root, ...names);
  }

  /** Writes a file, named relative to the root of the sandbox, and returns its whole path. */
  write(name: string, content: string | Uint8Array, mode = 0o755): string {
    const path = this.path(name);
    mkdirSync(dirname(path), { recursive: true });
    rmSync(path, { force: true });
    writeFileSync(path, content);
    chmodSync(path, mode);
    return path;
  }

  /** Puts a shell script in the place of a tool. */
  fake(tool: string, script: string): void {
    this.write(join("tools", tool), `#!/bin/sh\n${script}\n`);
  }

  remove(...tools: string[]): void {
    for (const tool of tools) rmSync(join(this.tools, tool), { force: true });
  }

  /** Runs the copy of install.sh in the sandbox, which is outside of any checkout. */
  install(args: string[], options: RunOptions = {}): Promise<Result> {
    return this.run(this.command(args), options);
  }

  /** The command that `install` runs. */
  command(args: string[]): string[] {
    return [...this.#shell, this.path("install.sh"), ...args];
  }

  /** Runs a script as `curl … | sh -s -- args` does. */
  pipe(script: string, args: string[], options: RunOptions = {}): Promise<Result> {
    return this.run([...this.#shell, "-s", "--", ...args], { ...options, stdin: script });
  }

  /** Runs a script file with the shell of this sandbox. */
  script(path: string, args: string[], options: RunOptions = {}): Promise<Result> {
    return this.run([...this.#shell, path, ...args], options);
  }

  /** The command to run `command` as someone who is not root, to whom the whole sandbox then belongs. */
  unprivileged(command: string[]): string[] {
    if (!IS_ROOT) return command;
    giveAway(this.root);
    return [
      Bun.which("setpriv") ?? "setpriv",
      `--reuid=${NOBODY}`,
      `--regid=${NOBODY}`,
      "--clear-groups",
      ...command,
    ];
  }

  async run(command: string[], { env, stdin, cwd, typed }: RunOptions): Promise<Result> {
    const all: Record<string, string | undefined> = {
      PATH: this.tools,
      HOME: this.home,
      TMPDIR: this.path("tmp"),
      no_proxy: "127.0.0.1",
      ...env,
    };
    const options = {
      cwd: cwd ?? this.home,
      env: Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)),
    };
    const full = this.unprivileged(command);
    if (typed !== undefined) return onTerminal(full, options, typed);
    const child = Bun.spawn(full, {
      ...options,
      stdin: stdin === undefined ? "ignore" : new Blob([stdin]),
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr, status] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    return { status, stdout, stderr };
  }

  /** Every path below `name` with its kind, mode, and content, to compare before and after. */
  snapshot(name = "home"): Record<string, string> {
    const start = this.path(name);
    const entries = readdirSync(start, { recursive: true, encoding: "utf8" }).toSorted();
    return Object.fromEntries(entries.map((entry) => [entry, describe(join(start, entry))]));
  }

  [Symbol.dispose](): void {
    // A test may have taken away the right to write.
    for (const [name, what] of Object.entries(this.snapshot("."))) {
      if (what.startsWith("directory")) chmodSync(this.path(name), 0o755);
    }
    rmSync(this.root, { recursive: true, force: true });
  }
}

async function onTerminal(
  command: string[],
  options: { cwd: string; env: Record<string, string | undefined> },
  typed: string,
): Promise<Result> {
  let stdout = "";
  const decoder = new TextDecoder();
  let answered = false;
  const child = Bun.spawn(command, {
    ...options,
    terminal: {
      data: (terminal, chunk) => {
        stdout += decoder.decode(chunk, { stream: true });
        if (answered || !stdout.includes("?")) return;
        answered = true;
        terminal.write(typed);
      },
    },
  });
  const status = await child.exited;
  // The exit can be seen before the last of the output.
  await Bun.sleep(50);
  child.terminal?.close();
  return { status, stdout, stderr: "" };
}

function describe(path: string): string {
  const entry = lstatSync(path);
  const mode = (entry.mode & 0o7777).toString(8);
  if (entry.isSymbolicLink()) return `link to ${readlinkSync(path)}`;
  if (entry.isDirectory()) return `directory ${mode}`;
  return `file ${mode} ${Bun.hash(readFileSync(path))}`;
}

/** Makes all of the directory nobody's, but for what another run in it removes meanwhile. */
function giveAway(directory: string): void {
  chownSync(directory, NOBODY, NOBODY);
  for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" })) {
    const path = join(directory, name);
    if (lstatSync(path, { throwIfNoEntry: false })?.uid === 0) lchownSync(path, NOBODY, NOBODY);
  }
}

/** A stand-in for robur: a script that answers --version, exits as told, or prints its arguments. */
export function fakeRobur(version: string, commit = "0123abcd"): string {
  return `#!/bin/sh
case \${1:-} in
--version) echo "robur ${version} (commit ${commit})" ;;
exit) exit "$2" ;;
*) printf 'argument: %s\\n' "$@" ;;
esac
`;
}
