/** `robur reproduce`: makes a build again, and says whether the same came out. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";
import type { Explanation } from "../builds/reproduce/explain.ts";
import { formatExplanation } from "../builds/reproduce/explain.ts";
import { type OriginalBuild, readOriginal } from "../builds/reproduce/original-build.ts";
import { rebuildKind } from "../builds/reproduce/rebuild-job.ts";
import { type ReproductionReport, reproduce } from "../builds/reproduce/reproduce.ts";
import { SpooledFiles } from "../builds/reproduce/spooled-files.ts";
import { VARIATIONS, VARIATION_TEXTS, type Variation } from "../builds/reproduce/variations.ts";
import type { JobNetwork, Sandboxes } from "../builds/sandbox/api.ts";
import { dataDirectory } from "../lib/data-directory.ts";
import { RoburError, UsageError, visible } from "../lib/errors.ts";
import { print, printError } from "../linux/libc.ts";
import { resolveBuild } from "./client/builds.ts";
import { ClientError } from "./client/client-error.ts";
import { type Client, ask, connect } from "./client/connect.ts";
import { clientParser, parseClient } from "./client/parser.ts";
import { diffoscope } from "./diffoscope.ts";

/** Beside the statuses that every command has. */
const STATUS = { GOOD: 0, BAD: 10, FAIL: 11, UNKNOWN: 12 } as const;

const USAGE = `robur reproduce BUILD|JOB|URL|FILE

Makes a build again from its recorded inputs, in a fresh sandbox, and compares bit by bit. A build of this server, the
newest of a job, the page of a build on any builder-web or robur, or a file with an exec document.
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
        type: "number",
        default: 3600,
        requiresArg: true,
        describe: "seconds for each build",
      })
      .option("network", {
        ...{ type: "string", requiresArg: true },
        describe:
          "what a job may reach: none, all, or hosts with commas between (default: all for opam packages)",
      } as const)
      .option("memory", { type: "number", requiresArg: true, describe: "MiB that a job may use" })
      .option("no-diffoscope", {
        ...{ type: "boolean", default: false },
        describe: "don't ask diffoscope about what differs, though it is installed",
      } as const)
      .option("data-dir", { type: "string", requiresArg: true, describe: "where sandboxes are made" })
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
  if (!(flags.timeout > 0 && flags.timeout <= 7 * 86_400))
    throw new UsageError("--timeout needs seconds, up to a week");
  const client = connect(flags.host);
  const directory = mkdtempSync(join(tmpdir(), "robur-reproduce-"));
  const interrupted = new AbortController();
  const onSignal = () => interrupted.abort();
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  using spool = new SpooledFiles(directory);
  try {
    const { stream, source } = await openRecord(client, target);
    const original = await readOriginal(stream, spool);
    const seen: string[] = [];
    const report = await reproduce(original, {
      sandboxes: await sandboxesFor(flags.dataDir, flags.unsafeNoSandbox),
      ...{ variations, spool, signal: interrupted.signal, now: Date.now, timeoutMs: flags.timeout * 1000 },
      limits: { memoryMb: flags.memory, cpus: undefined, processes: undefined, diskMb: undefined },
      network: network ?? (rebuildKind(original) === "orb" ? { kind: "all" } : { kind: "none" }),
      say: (text) => printError(`robur: ${text}\n`),
      onDifference: async (path, left, right) => {
        const text = flags.noDiffoscope ? undefined : await diffoscope(left, right);
        if (text !== undefined) seen.push(`\ndiffoscope on ${visible(path)}:\n${text}`);
      },
      write: (text) => {
        if (!flags.quiet) printError(`${Buffer.from(text).toString("utf8")}\n`);
      },
    });
    if (!flags.noReport) await tellServer(client, original, source, report);
    print(
      flags.json
        ? `${JSON.stringify({ build: original.id, job: original.job, ...report }, null, 2)}\n`
        : textOf(report),
    );
    for (const text of seen) if (!flags.json) print(text);
    process.exitCode = STATUS[report.verdict];
  } finally {
    rmSync(directory, { recursive: true, force: true });
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}

function parseVariations(text: string | undefined): Variation[] {
  if (text === undefined) return [];
  if (text === "" || text === "all") return [...VARIATIONS];
  return text.split(",").map((name) => {
    const known = VARIATIONS.find((one) => one === name);
    if (known !== undefined) return known;
    throw new UsageError(`--variations ${name}: there is no such variation`, {
      why: `they are ${VARIATIONS.join(", ")}`,
    });
  });
}

function parseNetwork(text: string): JobNetwork {
  if (text === "none" || text === "all") return { kind: text };
  return { kind: "hosts", hosts: text.split(",").filter((host) => host !== "") };
}

async function sandboxesFor(dataDir: string | undefined, isUnsafe: boolean): Promise<Sandboxes> {
  const directory = dataDirectory(dataDir, process.env, process.getuid?.() === 0);
  if (isUnsafe) {
    const { unsafeSandboxes } = await import("../builds/worker/unsafe-sandboxes.ts");
    return unsafeSandboxes(join(directory, "jobs"));
  }
  const { openSandboxes } = await import("../builds/sandbox/sandboxes.ts");
  return openSandboxes({ dataDirectory: directory, onLine: (line) => printError(`${visible(line)}\n`) });
}

interface OpenRecord {
  readonly stream: ReadableStream<Uint8Array>;
  /** Where it is from, unless it is this server's. */
  readonly source: string | undefined;
}

async function openRecord(client: Client, target: string): Promise<OpenRecord> {
  if (/^https?:\/\//.test(target)) return remoteRecord(target);
  if (existsSync(target)) return { stream: Bun.file(target).stream(), source: `file ${target}` };
  const { build } = await resolveBuild(client, target);
  const response = await client.request(`/job/${build.job}/build/${build.id}/exec`);
  return { stream: response.body!, source: undefined };
}

class RemoteBuildError extends RoburError<"missing" | "unreachable"> {}

/** The record that belongs to a build's page. Throws UsageError, RemoteBuildError. */
async function remoteRecord(text: string): Promise<OpenRecord> {
  const url = new URL(text);
  const [, job, build] = /^(.*\/job\/[^/]+)\/build\/([^/]+)/.exec(url.pathname) ?? [];
  if (job === undefined || build === undefined) {
    throw new UsageError(`${text} is no build's page`, {
      hint: "https://builds.robur.coop/job/NAME/build/latest",
    });
  }
  const address = `${url.origin}${job}/build/${build}/exec`;
  let response: Response;
  try {
    response = await fetch(address);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new RemoteBuildError("unreachable", `can't reach ${url.origin}`, { why, cause: error });
  }
  if (response.ok && response.body !== null) return { stream: response.body, source: `${url.origin}${job}` };
  await response.body?.cancel();
  throw new RemoteBuildError("missing", `${url.origin} doesn't have this build`, {
    why: `it answers ${response.status} to ${address}`,
  });
}

/** Only an administrator's word is kept and signed; without a server the verdict is only printed. */
async function tellServer(
  client: Client,
  original: OriginalBuild,
  source: string | undefined,
  report: ReproductionReport,
): Promise<void> {
  const { verdict, startedAt, finishedAt, ...rest } = report;
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
        report: rest as unknown as Record<string, unknown>,
      }),
    );
  } catch (error) {
    // A build of a server is reproduced with that server there; somebody else's needs none.
    if (source === undefined || !(error instanceof ClientError)) throw error;
    printError(`robur: no server keeps this verdict (${error.message})\n`);
  }
}

/** The report for people. */
function textOf(report: ReproductionReport): string {
  const { verdict, summary, files, explanations, otherPackages, variations } = report;
  const state = { same: "same   ", differs: "DIFFERS", missing: "MISSING", new: "NEW    " } as const;
  const lines = [
    ...files.map((file) => `  ${state[file.state]}  ${file.path}`),
    ...explanations.flatMap((one: Explanation) => ["", ...formatExplanation(one)]),
    ...packageLines(otherPackages),
    ...(variations === undefined ? [] : variationLines(variations)),
    "",
    `${verdict}: ${summary}`,
  ];
  return visible(`${lines.join("\n")}\n`);
}

function packageLines(packages: ReproductionReport["otherPackages"]): string[] {
  if (packages.length === 0) return [];
  const lines = packages
    .slice(0, 20)
    .map(({ name, recorded, used }) => `  ${name}: ${recorded} was recorded, ${used ?? "nothing"} was used`);
  const more = packages.length > 20 ? [`  and ${packages.length - 20} more`] : [];
  return ["", "system packages that could not be had in the recorded version:", ...lines, ...more];
}

function variationLines({ done, left, culprits }: NonNullable<ReproductionReport["variations"]>): string[] {
  const mark = (name: Variation) => (culprits.includes(name) ? "MATTERS" : "varied ");
  return [
    "",
    ...done.map((name) => `  ${mark(name)}  ${name}: ${VARIATION_TEXTS[name]}`),
    ...left.map(({ variation, why }) => `  not so   ${variation}: ${why}`),
  ];
}
