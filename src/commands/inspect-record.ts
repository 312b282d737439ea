/** `robur inspect-record`: what the record of a finished build has in it. builder-inspect by its own name. */
import yargs from "yargs";
import { formatError, visible } from "../lib/errors.ts";
import { formatSize } from "../lib/units.ts";
import { print, printError } from "../linux/libc.ts";
import { ENTRY, type ConsoleEntry, type RecordPart } from "../protocols/builder/record.ts";
import { type Result, resultText } from "../protocols/builder/result-text.ts";
import { resultWords } from "../protocols/builder/results.ts";
import { decode } from "../protocols/der/der.ts";
import { sha256Of } from "../lib/sha256-of.ts";
import { parse } from "./parse.ts";
import { extractRecord, readRecordFile } from "./record-file.ts";
import { toStandardOutput } from "./output-file.ts";

/** A record but for the bytes of its files. */
interface Contents {
  readonly job: string;
  readonly platform: string;
  readonly uuid: string;
  readonly script: Uint8Array;
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly result: Result;
  /** Oldest first. */
  readonly console: readonly ConsoleEntry[];
  readonly files: readonly { readonly path: string; readonly size: number; readonly sha256: string }[];
}

function command(name: string, argv: readonly string[]) {
  return (
    yargs([...argv])
      .scriptName(name)
      // A file may be called 007.
      .parserConfiguration({ "parse-positional-numbers": false })
      .locale("en")
      .version(false)
      .usage(
        `${name} FILE [OPTIONS]\n\nSays what is in the record of a finished build: what builder-server keeps as "full".`,
      )
      .option("job", { type: "boolean", default: false, describe: "its job and platform" })
      .option("script", { type: "boolean", default: false, describe: "the script that was executed" })
      .option("console", {
        type: "boolean",
        default: false,
        describe: "what it wrote, and when, and how it ended",
      })
      .option("output", {
        type: "string",
        requiresArg: true,
        describe: "write its files below this directory",
      })
      .option("json", {
        type: "boolean",
        default: false,
        describe: "all but the script and the console, as JSON",
      })
      .example(`${name} full`, "job, result and files")
      .example(`${name} full --console`, "the log of the build")
      .example(`${name} full --output result`, "take it apart")
      .demandCommand(1, 1, "which file?", "one file at a time")
      .strictOptions()
      .help()
      .alias("help", "h")
      .wrap(null)
  );
}

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const parsed = await parse(command("robur inspect-record", argv));
  if (parsed !== undefined) await inspect(parsed, true);
}

/** The executable called as builder-inspect: prints nothing but what it is asked for; 123 for errors, 124 for wrong arguments. */
export async function builderInspect(argv: readonly string[]): Promise<void> {
  try {
    const parsed = await parse(command("builder-inspect", argv));
    if (parsed !== undefined) await inspect(parsed, false);
  } catch (error) {
    printError(formatError(error));
    process.exitCode = error instanceof Error && "code" in error && error.code === "usage" ? 124 : 123;
  }
}

interface Wanted {
  readonly _: readonly (string | number)[];
  readonly job: boolean;
  readonly script: boolean;
  readonly console: boolean;
  readonly json: boolean;
  readonly output: string | undefined;
}

async function inspect(wanted: Wanted, isTalkative: boolean): Promise<void> {
  const file = String(wanted._[0]);
  const asksForParts = wanted.job || wanted.script || wanted.console;
  // Taking it apart reads it anyway.
  if (asksForParts || wanted.json || wanted.output === undefined) {
    const contents = await readContents(file);
    if (wanted.json) print(jsonOf(contents));
    else if (!asksForParts && isTalkative) print(summaryOf(contents));
    if (wanted.job) print(visible(`${contents.job} on ${contents.platform}`) + "\n");
    if (wanted.script) await toStandardOutput(one(contents.script));
    if (wanted.console) print(consoleOf(contents));
  }
  if (wanted.output === undefined) return;
  const paths = await extractRecord(file, wanted.output);
  if (isTalkative) for (const path of paths) print(`${wanted.output}/${path}\n`);
}

async function readContents(file: string): Promise<Contents> {
  const console: ConsoleEntry[] = [];
  const files: Contents["files"][number][] = [];
  let [job, script] = ["", new Uint8Array(0) as Uint8Array];
  let identity: Pick<Contents, "platform" | "uuid"> = { platform: "", uuid: "" };
  let end: Pick<Contents, "startedAt" | "finishedAt" | "result"> | undefined;
  for await (const part of readRecordFile(file)) {
    switch (part.kind) {
      case "name":
        job = part.name;
        break;
      case "script":
        ({ script } = part);
        break;
      case "identity":
        identity = part;
        break;
      case "console":
        for (const entry of part.encoded) console.push(decode(ENTRY, entry));
        break;
      case "end":
        end = part;
        break;
      case "file":
        files.push({ path: part.path, size: part.size, sha256: await hashOf(part) });
    }
  }
  const { platform, uuid } = identity;
  // A record that was read to its end has one.
  const { startedAt, finishedAt, result } = end!;
  return { job, platform, uuid, script, startedAt, finishedAt, result, console: console.toReversed(), files };
}

async function hashOf({ bytes }: Extract<RecordPart, { kind: "file" }>): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  for await (const piece of bytes()) hash.update(piece);
  return hash.digest("hex");
}

function summaryOf(contents: Contents): string {
  const { job, platform, uuid, startedAt, finishedAt, result, script, console, files } = contents;
  const width = Math.max(4, ...files.map(({ size }) => formatSize(size).length));
  const lines = [
    `job       ${job} on ${platform}`,
    `uuid      ${uuid}`,
    `started   ${new Date(startedAt).toISOString()}`,
    `finished  ${new Date(finishedAt).toISOString()}`,
    `result    ${resultWords(result)}`,
    `script    ${formatSize(script.length)}`,
    `console   ${console.length} lines`,
    `files     ${files.length}`,
    ...files.map(({ path, size, sha256 }) => `  ${formatSize(size).padStart(width)}  ${sha256}  ${path}`),
  ];
  return visible(lines.join("\n")) + "\n";
}

function jsonOf({ script, console, ...contents }: Contents): string {
  const more = { scriptSha256: sha256Of(script), lines: console.length };
  return `${JSON.stringify({ ...contents, ...more }, null, 2)}\n`;
}

/** In builder-inspect's form: milliseconds, and the text as OCaml writes strings. */
function consoleOf({ startedAt, finishedAt, result, console }: Contents): string {
  const lines = [
    `started at ${instantOf(startedAt)}`,
    ...console.map(({ delta, text }) => `${delta / 1_000_000n}ms: ${ocamlString(text)}`),
    visible(resultText(result)),
    `stopped at ${instantOf(finishedAt)}`,
  ];
  return lines.join("\n") + "\n";
}

/** RFC 3339 in whole seconds with the offset that says that nobody knows the place. */
function instantOf(time: number): string {
  return new Date(time).toISOString().replace(/\.\d+Z$/, "-00:00");
}

const ESCAPES: Readonly<Record<number, string>> = {
  8: "\\b",
  9: "\\t",
  10: "\\n",
  13: "\\r",
  34: '\\"',
  92: "\\\\",
};

function ocamlString(bytes: Uint8Array): string {
  const characters = Array.from(bytes, (octet) => {
    const escape = ESCAPES[octet];
    if (escape !== undefined) return escape;
    return octet >= 32 && octet < 127 ? String.fromCharCode(octet) : `\\${String(octet).padStart(3, "0")}`;
  });
  return `"${characters.join("")}"`;
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
