/**
 * `builder-client`, by the original's command line and in its words: for scripts that have it, against this server's
 * door for the original protocol or against a builder-server.
 */
import { readFileSync } from "node:fs";
import yargs, { type Argv } from "yargs";
import { connectTo } from "../builds/worker/builder-worker.ts";
import type { Peer } from "../builds/wire/peer.ts";
import { RoburError, UsageError } from "../lib/errors.ts";
import { VERSION } from "../lib/version.ts";
import { print, printError } from "../linux/libc.ts";
import type { Period } from "../protocols/builder/job.ts";
import { CLIENT_VERSION, type Message, WORKER_VERSION } from "../protocols/builder/messages.ts";
import { printInfo, sayDuration } from "./client/builder-text.ts";
import { parse } from "./parse.ts";
import { printable } from "./table.ts";

const DEFAULT_REMOTE = "127.0.0.1:1234";
const PERIODS = ["hourly", "daily", "weekly", "never"] as const;
/** As the original: an error that was reported, a wrong command line, an exception. */
const STATUS = { failed: 124, reported: 123 } as const;

type Command = Extract<
  Message,
  {
    type:
      | "schedule"
      | "schedule-orb"
      | "unschedule"
      | "reschedule"
      | "execute"
      | "drop-platform"
      | "undrop-platform";
  }
>;

/** The whole program. Sets the exit status. */
export async function builderClient(argv: readonly string[]): Promise<void> {
  try {
    await main(argv);
    process.exit(process.exitCode ?? 0);
  } catch (error) {
    const text = error instanceof RoburError ? error.message : String(error);
    printError(`builder-client: ${text}\n`);
    process.exit(error instanceof UsageError ? STATUS.failed : STATUS.reported);
  }
}

async function main(argv: readonly string[]): Promise<void> {
  if (argv[0] === "--version") {
    print(`version ${VERSION} protocol: client ${CLIENT_VERSION} worker ${WORKER_VERSION}\n`);
    return;
  }
  const parser = yargs([...argv])
    .scriptName("builder-client")
    .locale("en")
    .version(false)
    .option("remote", {
      alias: "r",
      type: "string",
      requiresArg: true,
      default: process.env["BUILDER_REMOTE"] ?? DEFAULT_REMOTE,
      describe: "IP:PORT of the server (BUILDER_REMOTE)",
    })
    .option("verbose", { alias: "v", type: "count", describe: "accepted, and of no effect" })
    .option("quiet", { alias: "q", type: "boolean", describe: "accepted, and of no effect" })
    .option("verbosity", { type: "string", hidden: true })
    .option("color", { type: "string", hidden: true });
  await parse(
    looking(changing(parser))
      .demandCommand(1, "which command?")
      .strict()
      .help()
      .alias("help", "h")
      .wrap(null),
  );
}

type Parser = Argv<{ remote: string }>;

const text = { type: "string", demandOption: true } as const;

function withPeriod<T>(y: Argv<T>) {
  return y.option("period", { choices: PERIODS, requiresArg: true });
}

function changing(parser: Parser): Parser {
  return parser
    .command(
      "schedule <name> <platform> <file>",
      "Schedule a script",
      (y) => withPeriod(y).positional("name", text).positional("platform", text).positional("file", text),
      ({ remote, name, platform, file, period = "daily" }) =>
        tell(remote, { type: "schedule", period, job: { name, platform, script: readScript(file) } }),
    )
    .command(
      "orb-build <name> <opam>",
      "Schedule an opam package",
      (y) => withPeriod(y).positional("name", text).positional("opam", text),
      ({ remote, name, opam, period = "daily" }) =>
        tell(remote, { type: "schedule-orb", period, job: { name, opamPackage: opam } }),
    )
    .command(
      "unschedule <name>",
      "Remove a job",
      (y) => y.positional("name", text),
      ({ remote, name }) => tell(remote, { type: "unschedule", name }),
    )
    .command(
      "reschedule <name> <next>",
      "Set when a job is due: one period after NEXT (RFC 3339, UTC)",
      (y) => withPeriod(y).positional("name", text).positional("next", text),
      ({ remote, name, next, period }) =>
        tell(remote, {
          type: "reschedule",
          name,
          next: parseNext(next),
          period: period as Period | undefined,
        }),
    )
    .command(
      "execute <name>",
      "Put a job to the front",
      (y) => y.positional("name", text).option("platform", { type: "string", requiresArg: true }),
      ({ remote, name, platform }) => tell(remote, { type: "execute", name, platform }),
    )
    .command(
      "drop-platform <platform>",
      "Give up a platform",
      (y) => y.positional("platform", text),
      ({ remote, platform }) => tell(remote, { type: "drop-platform", platform }),
    )
    .command(
      "undrop-platform <platform>",
      "Take a platform up again",
      (y) => y.positional("platform", text),
      ({ remote, platform }) => tell(remote, { type: "undrop-platform", platform }),
    ) as Parser;
}

function looking(parser: Parser): Parser {
  return parser
    .command("info", "Print schedule, queues, and what runs", {}, async (flags) =>
      print(printInfo(await askInfo((flags as unknown as { remote: string }).remote))),
    )
    .command(
      "observe <id>",
      "Print the output of a build that runs",
      (y) => y.positional("id", text),
      ({ remote, id }) => observe(remote, id),
    )
    .command(
      "observe-latest",
      "The same for the one that was started last",
      (y) =>
        y
          .option("platform", { type: "string", requiresArg: true })
          .option("job", { type: "string", requiresArg: true }),
      async ({ remote, platform, job }) => {
        const { running } = await askInfo(remote);
        const fits = running.filter(
          (one) =>
            (platform === undefined || one.job.platform === platform) &&
            (job === undefined || one.job.name === job),
        );
        const latest = fits.toSorted((a, b) => b.started - a.started)[0];
        if (latest === undefined) throw new BuilderClientError("failed", "no such job is running");
        print(
          `Observing ${printable(latest.job.name)} on ${printable(latest.job.platform)} (${latest.uuid})\n`,
        );
        await observe(remote, latest.uuid);
      },
    ) as Parser;
}

class BuilderClientError extends RoburError<"failed"> {}

/** One connection, and the hello on it. */
async function greet(remote: string): Promise<Peer> {
  const [, host = "", port = ""] = /^(\d+\.\d+\.\d+\.\d+):(\d{1,5})$/.exec(remote) ?? [];
  if (host === "") throw new UsageError(`${remote} is not IP:PORT`);
  const peer = await connectTo({ host, port: Number(port) });
  await peer.send({ type: "client-hello", role: "client", version: CLIENT_VERSION });
  const answer = await peer.read();
  if (answer.type === "server-hello") return peer;
  throw new BuilderClientError("failed", answer.type === "failure" ? answer.message : "expected hello");
}

/** Throws UsageError for a refusal, whose status is the original's. */
async function tell(remote: string, command: Command): Promise<void> {
  const peer = await greet(remote);
  await peer.send(command);
  const answer = await peer.read();
  peer.close();
  if (answer.type === "success") return;
  throw new UsageError(answer.type === "failure" ? answer.message : "unexpected message");
}

async function askInfo(remote: string): Promise<Extract<Message, { type: "info-reply" }>> {
  const peer = await greet(remote);
  await peer.send({ type: "info" });
  const answer = await peer.read();
  peer.close();
  if (answer.type === "info-reply") return answer;
  if (answer.type === "info-reply-old") return { ...answer, type: "info-reply", dropped: [] };
  throw new BuilderClientError("failed", "unexpected message");
}

async function observe(remote: string, id: string): Promise<void> {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)) throw new UsageError(`${id} is no UUID`);
  const peer = await greet(remote);
  await peer.send({ type: "observe", uuid: id.toLowerCase() });
  for (;;) {
    const message = await peer.read();
    if (message.type === "output") {
      print(`${sayDuration(message.timestamp ?? 0n)} ${new TextDecoder().decode(message.output)}\n`);
      continue;
    }
    peer.close();
    // The original warns and ends well.
    if (message.type === "failure") printError(`builder-client: [WARNING] ${message.message}\n`);
    return;
  }
}

function parseNext(next: string): number {
  const isUtc = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]00:00)$/.test(next);
  const at = isUtc ? Date.parse(next.replace(" ", "T").replace("-00:00", "Z")) : Number.NaN;
  if (!Number.isNaN(at)) return at;
  throw new UsageError(`${next} is no time in UTC: 2026-01-31T09:05:00Z`);
}

function readScript(file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(file));
  } catch (error) {
    throw new UsageError(`${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
