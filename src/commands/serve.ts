/** `robur serve`: the server, until it is told to stop. */
import yargs from "yargs";
import { dataDirectory } from "../lib/data-directory.ts";
import { UsageError } from "../lib/errors.ts";
import { socketPath } from "../lib/socket-path.ts";
import { print } from "../linux/libc.ts";
import { SANDBOX_FLAG } from "./job-sandboxes.ts";
import { parse } from "./parse.ts";

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const flags = await parse(
    yargs([...argv])
      .scriptName("robur serve")
      .locale("en")
      .version(false)
      .usage(
        "robur serve\n\nStarts the server: pages and API on an address, and for this machine's command line on a Unix\nsocket. Ctrl-C or SIGTERM stops it; unikernels go on running, and the next server finds them.",
      )
      .option("listen", { type: "string", default: "127.0.0.1:8080", describe: "address and port" })
      .option("socket", { type: "string", describe: "the Unix socket's path" })
      .option("data-dir", { type: "string", describe: "where everything is kept" })
      .option("db", {
        type: "string",
        requiresArg: true,
        describe: "the database's file (default: robur.db in there)",
      })
      .option("trust-proxy", {
        type: "boolean",
        default: false,
        describe: "believe X-Forwarded-For: a proxy of your own is in front",
      })
      .option("stop-unikernels", {
        type: "boolean",
        default: false,
        describe: "stop them when the server stops; the next server starts them again",
      })
      .option("workers", {
        type: "number",
        default: 1,
        describe: "how many builds run on this machine at a time; 0: none",
      })
      .option("worker-platform", {
        type: "string",
        array: true,
        nargs: 1,
        requiresArg: true,
        describe: "what they build for (default: this machine's, like debian-12)",
      })
      .option("keep-failed", {
        type: "number",
        default: 24,
        requiresArg: true,
        describe:
          "hours for which the sandbox of a job's newest failed build stays for a shell; 0: not at all",
      })
      .option("sandbox", SANDBOX_FLAG)
      .option("unsafe-no-sandbox", {
        type: "boolean",
        default: false,
        describe: "jobs run as this server's user, with nothing between them and the machine",
      })
      .option("builder-listen", {
        type: "string",
        requiresArg: true,
        describe:
          "where builder's own workers and clients come, without passwords; off: nowhere (default: 127.0.0.1:1234, but off without sandboxes)",
      })
      .option("builder-config", {
        type: "string",
        default: "/etc/builder",
        requiresArg: true,
        describe: "where orb-build.template.PLATFORM is looked for",
      })
      .option("lost-after", {
        type: "number",
        default: 30,
        hidden: true,
        describe: "seconds after which a silent worker is gone",
      })
      .example("robur serve", "for this machine only")
      .example("robur serve --listen 0.0.0.0:8080", "for the network")
      .strict()
      .help()
      .alias("help", "h")
      .wrap(null),
  );
  if (flags === undefined) return;
  const isRoot = process.getuid?.() === 0;
  const directory = dataDirectory(flags.dataDir, process.env, isRoot);
  const [{ parseListen }, { serve }, { openLog }] = await Promise.all([
    import("../server/addresses.ts"),
    import("../server/serve.ts"),
    import("../server/log.ts"),
  ]);
  const builderListen = builderAddress(flags.builderListen, flags.unsafeNoSandbox);
  // From before it says that it is ready: whoever waits for that may stop it at once, and in order.
  const signalled = untilSignal();
  const server = await serve({
    dataDirectory: directory,
    database: flags.db,
    listen: parseListen(flags.listen),
    socket: socketPath(flags.socket, process.env, isRoot, directory),
    trustProxy: flags.trustProxy,
    builds: {
      workers: readWorkers(flags.workers),
      platforms: flags.workerPlatform ?? [],
      keepFailedHours: readHours(flags.keepFailed),
      sandbox: flags.sandbox,
      unsafeNoSandbox: flags.unsafeNoSandbox,
      builderListen: builderListen === "off" ? undefined : parseListen(builderListen),
      templateDirectory: flags.builderConfig,
      lostAfterMs: flags.lostAfter * 1000,
    },
    environment: process.env,
    log: openLog(process.env),
    say: (line) => print(`${line}\n`),
  });
  await signalled;
  // A second signal ends it at once: the handlers are gone.
  await server.stop({ stopUnikernels: flags.stopUnikernels });
  process.exit(0);
}

/** Whoever reaches that port has scripts executed: without sandboxes it is opened only by who says so. */
function builderAddress(given: string | undefined, isUnsafe: boolean): string {
  return given ?? (isUnsafe ? "off" : "127.0.0.1:1234");
}

/** Throws UsageError. */
function readHours(hours: number): number {
  if (hours >= 0 && hours <= 10_000) return hours;
  throw new UsageError(`--keep-failed ${hours}: a number of hours`, { hint: "--keep-failed 24" });
}

/** Throws UsageError. */
function readWorkers(count: number): number {
  if (Number.isSafeInteger(count) && count >= 0 && count <= 64) return count;
  throw new UsageError(`--workers ${count}: a number from 0 to 64`);
}

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    const handle = () => {
      process.off("SIGTERM", handle);
      process.off("SIGINT", handle);
      resolve();
    };
    process.on("SIGTERM", handle);
    process.on("SIGINT", handle);
  });
}
