/** `robur diff`: what is different between two builds, kept by the server or in files here. */
import { isatty } from "node:tty";
import { RoburError, UsageError, formatError } from "../lib/errors.ts";
import { print, printError } from "../linux/libc.ts";
import { type Comparison, compareBuilds } from "../store/comparison/comparison.ts";
import { withBinaries } from "../store/comparison/elf-sections.ts";
import { renderMarkdown, renderText } from "../store/comparison/render.ts";
import { isSame } from "../store/comparison/sections.ts";
import { resolveBuild } from "./client/builds.ts";
import { connect } from "./client/connect.ts";
import { clientParser, parseClient } from "./client/parser.ts";
import { isLocal, readLocal } from "./diff-local.ts";

const FORMATS = ["text", "json", "markdown"] as const;

/** The entry of the command. Its exit status is that of diff: 0 the same, 1 different, 2 trouble. */
export async function main(argv: readonly string[]): Promise<void> {
  const parser = clientParser(
    "robur diff",
    "robur diff BUILD BUILD\n\nSays what is different between two builds: what went in, what came out, how they ended.\n\nBUILD is a build's id or the beginning of one, JOB for the newest good build of a job, or JOB@ID;\nor a directory that orb wrote, or the file named full that builder keeps of a build. Two of these\nneed no server.",
    argv,
  )
    .command("$0 <left> <right>", false, (y) =>
      y
        .positional("left", { type: "string", demandOption: true, describe: "the older one" })
        .positional("right", { type: "string", demandOption: true, describe: "the newer one" }),
    )
    .option("format", { choices: FORMATS, default: "text" as const, describe: "how to write it" })
    .option("json", { type: "boolean", default: false, describe: "the same as --format json" })
    .option("quiet", { alias: "q", type: "boolean", default: false, describe: "only the exit status" })
    .option("no-binary", {
      type: "boolean",
      default: false,
      describe: "don't look into the binaries for sections, libraries, functions and texts",
    })
    .option("platform", {
      type: "string",
      requiresArg: true,
      describe: "the newest build of a job on that platform",
    })
    .example("robur diff hello@5a0c31f2 hello", "what changed since that build?")
    .example("robur diff ./out ./out2", "did orb make the same twice?")
    .example("robur diff 5a0c31f2 77e1 --format markdown", "for a comment on a change")
    .epilogue(
      "Exit status: 0 the same, 1 different, 2 something went wrong. Times, paths and consoles are no differences.",
    );
  try {
    const flags = await parseClient(parser);
    if (flags === undefined) return;
    const { left, right } = flags as unknown as { left: string; right: string };
    const comparison =
      isLocal(left) && isLocal(right)
        ? await compareLocal(left, right, !flags.noBinary)
        : await compareKept(connect(flags.host), left, right, flags);
    if (!flags.quiet) print(render(comparison, flags.json ? "json" : flags.format));
    process.exitCode = isSame(comparison) ? 0 : 1;
  } catch (error) {
    if (!(error instanceof RoburError)) throw error;
    printError(formatError(error));
    process.exitCode = 2;
  }
}

async function compareLocal(left: string, right: string, isInside: boolean): Promise<Comparison> {
  const [l, r] = [await readLocal(left), await readLocal(right)];
  const comparison = compareBuilds(l.comparable, r.comparable);
  if (!isInside || comparison.isSameOutput !== false) return comparison;
  // The unstripped ones say more, where there are two of them that differ.
  const isUnstripped = l.debug !== undefined && r.debug !== undefined && l.debug.sha256 !== r.debug.sha256;
  const [a, b] = isUnstripped ? [l.debug, r.debug] : [l.main, r.main];
  return a === undefined || b === undefined ? comparison : withBinaries(comparison, a, b);
}

async function compareKept(
  client: ReturnType<typeof connect>,
  left: string,
  right: string,
  { platform, noBinary }: { readonly platform: string | undefined; readonly noBinary: boolean },
): Promise<Comparison> {
  const local = [left, right].find((word) => word.includes("/"));
  if (local !== undefined) {
    throw new UsageError(`${local} is here and the other build is on the server`, {
      hint: "compare two directories or two builds of the server",
    });
  }
  const l = await resolveBuild(client, left, platform);
  const r = await resolveBuild(client, right, platform);
  const response = await client.request(`/api/v1/compare/${l.build.id}/${r.build.id}?binary=${!noBinary}`);
  return (await response.json()) as Comparison;
}

function render(comparison: Comparison, format: (typeof FORMATS)[number]): string {
  switch (format) {
    case "json":
      return `${JSON.stringify(comparison, null, 2)}\n`;
    case "markdown":
      return renderMarkdown(comparison);
    case "text":
      return renderText(comparison, { isColoured: takesColour() });
  }
}

function takesColour(): boolean {
  const { NO_COLOR: no, TERM: terminal } = process.env;
  return isatty(1) && (no === undefined || no === "") && terminal !== "dumb";
}
