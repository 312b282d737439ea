/**
 * `builder-worker PLATFORM`, by the original's command line: one job of a builder-server, and the end. It is made to be
 * the only thing in a container or jail that is thrown away afterwards, so there is no sandbox, as in the original.
 */
import { tmpdir } from "node:os";
import { join } from "node:path";
import yargs from "yargs";
import { builderWorker } from "../builds/worker/builder-worker.ts";
import { unsafeSandboxes } from "../builds/worker/unsafe-sandboxes.ts";
import { RoburError, UsageError } from "../lib/errors.ts";
import { VERSION } from "../lib/version.ts";
import { print, printError } from "../linux/libc.ts";
import { CLIENT_VERSION, WORKER_VERSION } from "../protocols/builder/messages.ts";
import { parse } from "./parse.ts";

/** The whole program. Sets the exit status: the original's 123 for what went wrong, 124 for a wrong command line. */
export async function builderWorkerProgram(argv: readonly string[]): Promise<void> {
  try {
    await main(argv);
    process.exit(0);
  } catch (error) {
    printError(`builder-worker: ${error instanceof RoburError ? error.message : String(error)}\n`);
    process.exit(error instanceof UsageError ? 124 : 123);
  }
}

async function main(argv: readonly string[]): Promise<void> {
  if (argv[0] === "--version") {
    print(`version ${VERSION} protocol: client ${CLIENT_VERSION} worker ${WORKER_VERSION}\n`);
    return;
  }
  const flags = await parse(
    yargs([...argv])
      .scriptName("builder-worker")
      .locale("en")
      .version(false)
      .command("$0 <platform>", "Execute one job of a builder-server", (y) =>
        y.positional("platform", { type: "string", demandOption: true }),
      )
      .option("remote", {
        alias: "r",
        type: "string",
        requiresArg: true,
        default: "127.0.0.1:1234",
        describe: "IP:PORT",
      })
      .option("verbose", { alias: "v", type: "count", describe: "accepted, and of no effect" })
      .option("quiet", { alias: "q", type: "boolean", describe: "accepted, and of no effect" })
      .option("verbosity", { type: "string", hidden: true })
      .option("color", { type: "string", hidden: true })
      .strict()
      .help()
      .alias("help", "h")
      .wrap(null),
  );
  if (flags === undefined) return;
  const [, host = "", port = ""] = /^(\d+\.\d+\.\d+\.\d+):(\d{1,5})$/.exec(flags.remote) ?? [];
  if (host === "") throw new UsageError(`${flags.remote} is not IP:PORT`);
  const abort = new AbortController();
  process.on("SIGTERM", () => abort.abort());
  process.on("SIGINT", () => abort.abort());
  await builderWorker({
    remote: { host, port: Number(port) },
    platform: (flags as unknown as { platform: string }).platform,
    sandboxes: unsafeSandboxes(join(tmpdir(), `builder-${process.getuid?.() ?? 0}`)),
    isOnce: true,
    stop: abort.signal,
    abort: abort.signal,
    say: (text) => print(`${text}\n`),
  });
}
