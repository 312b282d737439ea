/** `robur serve`: the server, until it is told to stop. */
import yargs from "yargs";
import { dataDirectory } from "../lib/data-directory.ts";
import { socketPath } from "../lib/socket-path.ts";
import { print } from "../linux/libc.ts";
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
  // From before it says that it is ready: whoever waits for that may stop it at once, and in order.
  const signalled = untilSignal();
  const server = await serve({
    dataDirectory: directory,
    database: flags.db,
    listen: parseListen(flags.listen),
    socket: socketPath(flags.socket, process.env, isRoot, directory),
    trustProxy: flags.trustProxy,
    environment: process.env,
    log: openLog(process.env),
    say: (line) => print(`${line}\n`),
  });
  await signalled;
  // A second signal ends it at once: the handlers are gone.
  await server.stop({ stopUnikernels: flags.stopUnikernels });
  process.exit(0);
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
