/** `robur worker`: runs the jobs that a server hands out, one after the other. */
import { mkdirSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { dataDirectory } from "../lib/data-directory.ts";
import { RoburError, UsageError } from "../lib/errors.ts";
import { ERRNO } from "../linux/errno.ts";
import { O_CLOEXEC, O_CREAT, O_RDWR, OsError, printError, readSmallFile } from "../linux/libc.ts";
import { openLocked } from "../linux/file-lock.ts";
import { parsePlatform } from "../store/api.ts";
import { localWorkerName, noteTrouble } from "../builds/local-workers.ts";
import type { Sandboxes } from "../builds/sandbox/api.ts";
import { hostPlatform } from "../builds/worker/host-platform.ts";
import { clientParser, parseClient } from "./client/parser.ts";
import { chooseServer } from "./client/worker-server.ts";
import { SANDBOX_FLAG, type SandboxKind, openJobSandboxes } from "./job-sandboxes.ts";

const USAGE = `robur worker

Runs the jobs of a server, one after the other, each in a fresh sandbox: of this machine's server, of another
machine's with a token of scope worker in ROBUR_TOKEN, or of a builder-server. The server starts workers
of its own on its machine; this is for further ones.`;

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const parser = clientParser("robur worker", USAGE, argv)
    .option("server", {
      type: "string",
      requiresArg: true,
      describe:
        "whose jobs: https://NAME, unix:///PATH, or tcp://HOST:PORT for a builder-server (default: as --host)",
    })
    .option("protocol", {
      choices: ["robur", "builder"] as const,
      requiresArg: true,
      describe: "how it is spoken to (default: as the address says; tcp:// is builder's)",
    })
    .option("platform", {
      type: "string",
      array: true,
      nargs: 1,
      requiresArg: true,
      describe: "what it builds for (default: this machine's, like debian-12)",
    })
    .option("name", {
      type: "string",
      requiresArg: true,
      describe: "how the server calls it (default: the host's)",
    })
    .option("once", { type: "boolean", default: false, describe: "end after one job" })
    .option("sandbox", SANDBOX_FLAG)
    .option("unsafe-no-sandbox", {
      type: "boolean",
      default: false,
      describe: "run jobs as this user, with nothing between them and this machine",
    })
    .option("keep-failed", {
      type: "number",
      default: 24,
      requiresArg: true,
      describe: "hours for which the sandbox of a job's newest failed build stays for a shell; 0: not at all",
    })
    .option("data-dir", { type: "string", requiresArg: true, describe: "where sandboxes are made" })
    .option("slot", { type: "number", hidden: true, describe: "which of a server's own workers" })
    .option("parent", { type: "number", hidden: true, describe: "that server's process" })
    .example("robur worker --platform debian-12", "another one beside the server's own")
    .example("ROBUR_TOKEN=… robur worker --server https://builds.example.org", "for another machine's server")
    .example("robur worker --server tcp://172.17.0.1:1234 --once", "one job of a builder-server");
  const flags = await parseClient(parser);
  if (flags === undefined) return;
  const server = chooseServer(flags, process.env, process.getuid?.() === 0);
  const platforms = platformsOf(flags.platform);
  if (server.kind === "builder" && platforms.length > 1) {
    throw new UsageError("a builder-server's worker is for one platform", {
      hint: `--platform ${platforms[0]}`,
    });
  }
  const keepFailedMs = readKeepFailed(flags.keepFailed);
  const directory = dataDirectory(flags.dataDir, process.env, process.getuid?.() === 0);
  let sayPreparing: ((text: string) => void) | undefined;
  const onPreparing = (say: (text: string) => void) => void (sayPreparing = say);
  const sandboxes = await sandboxesOrTrouble(directory, flags, (line) => sayPreparing?.(line));
  const say = (text: string) => {
    if (flags.slot === undefined) printError(`${text}\n`);
  };
  const stop = new AbortController();
  const abort = new AbortController();
  const onSignal = () => {
    // The second time means now. A server's own workers build on: the next server finds them.
    if (stop.signal.aborted && flags.slot === undefined) abort.abort();
    else say("ending; a job that runs is waited for, and is ended by the same signal once more");
    stop.abort();
  };
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  const common = { sandboxes, isOnce: flags.once, stop: stop.signal, abort: abort.signal, say };
  if (server.kind === "builder") {
    const { builderWorker } = await import("../builds/worker/builder-worker.ts");
    await builderWorker({ ...common, remote: server.remote, platform: platforms[0]! });
    process.exit(0);
  }
  const [{ work }, { ServerLink }] = await Promise.all([
    import("../builds/worker/work.ts"),
    import("../builds/worker/server-link.ts"),
  ]);
  const name = flags.slot === undefined ? workerName(flags.name) : localWorkerName(flags.slot, process.pid);
  if (flags.slot !== undefined) await holdSlot(directory, flags.slot, flags.parent, stop);
  await work({
    ...common,
    keepFailedMs,
    onPreparing,
    name,
    platforms,
    link: new ServerLink(server.address, { say }),
  });
  process.exit(0);
}

/** In milliseconds. Throws UsageError. */
function readKeepFailed(hours: number): number {
  if (hours >= 0 && hours <= 10_000) return Math.round(hours * 3_600_000);
  throw new UsageError(`--keep-failed ${hours}: a number of hours`, { hint: "--keep-failed 24" });
}

function platformsOf(given: readonly string[] | undefined): string[] {
  const platforms = given?.flatMap((text) => text.split(",")) ?? [hostPlatform() ?? ""];
  if (given === undefined && platforms[0] === "") {
    throw new UsageError("/etc/os-release doesn't say what this machine is", {
      hint: "--platform debian-12",
    });
  }
  return platforms.map((text) => {
    const platform = parsePlatform(text);
    if (platform !== undefined) return platform;
    throw new UsageError(`--platform ${text}: can't be a platform's name`, { hint: "--platform debian-12" });
  });
}

function workerName(given: string | undefined): string {
  const name = given ?? hostname().replaceAll(/[^A-Za-z0-9._-]/g, "-");
  if (/^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$/.test(name)) return name;
  throw new UsageError(`--name ${name}: letters, digits and . _ @ + -`);
}

/** A server's own worker that can't make sandboxes says so where its server finds it. Throws SandboxError. */
async function sandboxesOrTrouble(
  directory: string,
  flags: {
    readonly sandbox: SandboxKind;
    readonly unsafeNoSandbox: boolean;
    readonly slot: number | undefined;
  },
  onLine: (line: string) => void,
): Promise<Sandboxes> {
  const { slot, sandbox, unsafeNoSandbox } = flags;
  try {
    const how = { kind: sandbox, isUnsafe: unsafeNoSandbox };
    const sandboxes = await openJobSandboxes(directory, how, onLine);
    if (slot !== undefined) noteTrouble(directory, slot, undefined);
    return sandboxes;
  } catch (error) {
    if (slot !== undefined && error instanceof RoburError) {
      const hint = error.hint === undefined ? "" : ` (try: ${error.hint.split("\n")[0]})`;
      noteTrouble(directory, slot, `${error.message}${hint}`);
    }
    throw error;
  }
}

const SLOT_PAUSE_MS = 250;

/**
 * One process a slot: an earlier server's worker that still builds has it until it has ended. This one ends with the
 * server that started it, which may have died before this line is reached.
 */
async function holdSlot(
  directory: string,
  slot: number,
  server: number | undefined,
  stop: AbortController,
): Promise<void> {
  setInterval(() => {
    if (parentOf() !== server) stop.abort();
  }, 1000).unref();
  const path = join(directory, "workers");
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const file = join(path, `slot-${slot}.lock`);
  for (;;) {
    const fd = openLocked(file, O_RDWR | O_CREAT | O_CLOEXEC, "exclusive", 0o600);
    if (fd >= 0) return;
    if (fd !== -ERRNO.EAGAIN) throw new OsError(file, -fd);
    if (stop.signal.aborted) process.exit(0);
    await Bun.sleep(SLOT_PAUSE_MS);
  }
}

function parentOf(): number {
  const stat = readSmallFile("/proc/self/stat") ?? "";
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
}
