/** `robur reproduce`: makes a build again, and says whether the same came out. */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";
import { rebuildKind } from "../builds/reproduce/rebuild-job.ts";
import { type ReproductionReport, reproduce } from "../builds/reproduce/reproduce.ts";
import { SpooledFiles } from "../builds/reproduce/spooled-files.ts";
import { VARIATIONS, type Variation } from "../builds/reproduce/variations.ts";
import type { JobNetwork } from "../builds/sandbox/api.ts";
import { dataDirectory } from "../lib/data-directory.ts";
import { UsageError, errorLine, visible } from "../lib/errors.ts";
import { print, printError } from "../linux/libc.ts";
import { ClientError } from "./client/client-error.ts";
import { type Client, ask, connect } from "./client/connect.ts";
import { clientParser, parseClient } from "./client/parser.ts";
import { errorLinePrinter } from "./client/run-lines.ts";
import { parseSpan } from "./client/span.ts";
import { diffoscope } from "./diffoscope.ts";
import { SANDBOX_FLAG, openJobSandboxes } from "./job-sandboxes.ts";
import { type FoundOriginal, findOriginal } from "./original-record.ts";
import { reproductionText } from "./reproduction-text.ts";

/** Beside the statuses that every command has. */
const STATUS = { GOOD: 0, BAD: 10, FAIL: 11, UNKNOWN: 12 } as const;
const HOUR_MS = 3_600_000;
const WEEK_MS = 7 * 24 * HOUR_MS;

const USAGE = `robur reproduce BUILD|JOB|URL|FILE

Makes a build again from its recorded inputs, in a fresh sandbox, and compares bit by bit. A build of this server, the
newest of a job, the page of a build or a job on any builder-web or robur, or a file with an exec document.
Exit status: 0 GOOD, all is the same; 10 BAD, something differs, and what; 11 FAIL, it could not be built; 12 UNKNOWN,
there is nothing to compare.`;

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const flags = await parseClient(
    clientParser("robur reproduce", USAGE, argv)
      .command("$0 <target>", false, (y) => y.positional("target", { type: "string", demandOption: true }))
      .option("variations", {
        type: "string",
        describe: `build once more with everything around it changed; or only: ${VARIATIONS.join(",")}`,
      })
      .option("timeout", {
        ...{ type: "string", requiresArg: true },
        describe: "how long each build may take: 30m (default: as long as the original might, else 1h)",
      } as const)
      .option("network", {
        ...{ type: "string", requiresArg: true },
        describe:
          "what a job may reach: none, all, or hosts with commas between (default: what the original might; of others' builds, all for opam packages and none for scripts)",
      } as const)
      .option("memory", {
        ...{ type: "number", requiresArg: true },
        describe: "MiB that a job may use (default: as the original)",
      } as const)
      .option("no-diffoscope", {
        ...{ type: "boolean", default: false },
        describe: "don't ask diffoscope about what differs, though it is installed",
      } as const)
      .option("data-dir", { type: "string", requiresArg: true, describe: "where sandboxes are made" })
      .option("sandbox", SANDBOX_FLAG)
      .option("unsafe-no-sandbox", {
        ...{ type: "boolean", default: false },
        describe: "build as this user, with nothing between the job and this machine",
      } as const)
      .option("no-report", { type: "boolean", default: false, describe: "don't tell the server" })
      .option("quiet", {
        alias: "q",
        type: "boolean",
        default: false,
        describe: "without the jobs' consoles",
      })
      .option("json", { type: "boolean", default: false, describe: "the report as JSON" })
      .example("robur reproduce hello", "is the newest build of hello reproducible?")
      .example("robur reproduce https://builds.robur.coop/job/hello/build/latest", "somebody else's")
      .example("robur reproduce hello --variations", "does it depend on the day, the place, the user …?"),
  );
  if (flags === undefined) return;
  const target = String((flags as Readonly<Record<string, unknown>>)["target"]);
  const variations = parseVariations(flags.variations);
  const network = flags.network === undefined ? undefined : parseNetwork(flags.network);
  const timeoutMs = flags.timeout === undefined ? undefined : parseTimeout(flags.timeout);
  const client = connect(flags.host);
  const sandboxes = await openJobSandboxes(
    dataDirectory(flags.dataDir, process.env, process.getuid?.() === 0),
    { kind: flags.sandbox, isUnsafe: flags.unsafeNoSandbox },
    (line) => printError(`${visible(line)}\n`),
  );
  const directory = mkdtempSync(join(tmpdir(), "robur-reproduce-"));
  const interrupted = new AbortController();
  const { signal } = interrupted;
  const onSignal = () => interrupted.abort();
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  using spool = new SpooledFiles(directory);
  try {
    const found = await findOriginal(client, target, spool, signal);
    const { original, settings } = found;
    const allowed: JobNetwork =
      network ?? settings?.network ?? (rebuildKind(original) === "orb" ? { kind: "all" } : { kind: "none" });
    const limits = settings?.limits ?? NO_LIMITS;
    const seen: string[] = [];
    const report = await reproduce(original, {
      ...{ sandboxes, variations, spool, signal, now: Date.now, network: allowed },
      timeoutMs: timeoutMs ?? settings?.timeoutMs ?? HOUR_MS,
      limits: { ...limits, memoryMb: flags.memory ?? limits.memoryMb },
      ...{ base: settings?.base, basePackages: settings?.basePackages },
      say: (text) => printError(`robur: ${text}\n`),
      onDifference: async (path, left, right) => {
        const text = flags.noDiffoscope || flags.json ? undefined : await diffoscope(left, right);
        if (text !== undefined) seen.push(`\ndiffoscope on ${visible(path)}:\n${text}`);
      },
      write: flags.quiet ? () => {} : errorLinePrinter(),
    });
    for (const text of seen) print(text);
    print(
      flags.json
        ? `${JSON.stringify({ build: original.id, job: original.job, ...report }, null, 2)}\n`
        : reproductionText(report, flags.quiet),
    );
    if (report.verdict === "FAIL" && network === undefined && allowed.kind === "none") {
      printError("robur: it could reach nothing; if it needs to: --network all\n");
    }
    process.exitCode = STATUS[report.verdict];
    if (!flags.noReport) await tellServer(client, found, report);
  } finally {
    rmSync(directory, { recursive: true, force: true });
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}

const NO_LIMITS = { memoryMb: undefined, cpus: undefined, processes: undefined, diskMb: undefined };

function parseVariations(text: string | undefined): Variation[] {
  if (text === undefined) return [];
  if (text === "" || text === "all") return [...VARIATIONS];
  return text.split(",").map((name) => {
    const known = VARIATIONS.find((one) => one === name);
    if (known !== undefined) return known;
    throw new UsageError(`--variations ${name}: there is no such variation`, {
      why: `they are ${VARIATIONS.join(", ")}`,
      hint: "robur reproduce BUILD --variations: the option stands last, or is --variations=all",
    });
  });
}

function parseNetwork(text: string): JobNetwork {
  if (text === "none" || text === "all") return { kind: text };
  return { kind: "hosts", hosts: text.split(",").filter((host) => host !== "") };
}

function parseTimeout(text: string): number {
  const ms = parseSpan("--timeout", text);
  if (ms > 0 && ms <= WEEK_MS) return ms;
  throw new UsageError(`--timeout ${text}: more than nothing, and at most a week`);
}

/** Only an administrator's word is kept and signed. What isn't kept was printed all the same. */
async function tellServer(
  client: Client,
  { original, source }: FoundOriginal,
  report: ReproductionReport,
): Promise<void> {
  const { verdict, startedAt, finishedAt, ...rest } = report;
  const text = reproductionText(report, true);
  const inputs = original.files.filter(({ path }) =>
    ["opam-switch", "build-environment", "system-packages"].includes(path),
  );
  const same = report.files.flatMap((file) =>
    file.state === "same" ? [{ name: file.path, sha256: file.sha256 }] : [],
  );
  try {
    await ask(
      client,
      client.api.reproductions.post({
        ...{ build: original.id, verdict, startedAt, finishedAt, files: same },
        ...(source === undefined ? {} : { source }),
        inputs: inputs.map(({ path, sha256 }) => ({ name: path, sha256 })),
        report: { ...rest, text } as unknown as Record<string, unknown>,
      }),
    );
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    // Somebody else's build is reproduced without a server as well.
    const isNews = source === undefined || error.code !== "no-server";
    printError(`robur: no server keeps this verdict (${isNews ? errorLine(error) : error.message})\n`);
  }
}
