/** A build as a form: its facts first, then its files one by one, each to the disk as it comes. */
import { Value } from "@sinclair/typebox/value";
import { t } from "elysia";
import {
  type Build,
  type BuildId,
  type BuildResult,
  type Content,
  type ContentSession,
  type JobName,
  type Platform,
  type TimedLine,
  parseBuildId,
  parsePlatform,
} from "../../store/api.ts";
import type { ServerContext } from "../context.ts";
import { HttpError } from "../http/http-error.ts";
import { type Part, contentStream, fieldText, readMultipart } from "../http/multipart.ts";
import { notPermitted, stored, uploadRight, uploaderOf } from "./upload-routes.ts";
import { uploadBody } from "./slow-body.ts";

const Time = t.Integer({ minimum: 0, maximum: 253_402_300_799_999, description: "milliseconds since 1970" });
const Signal = t.Integer({ minimum: -64, maximum: 255 });

/** The part `build`. */
export const BuildFacts = t.Object(
  {
    platform: t.String({ maxLength: 128 }),
    id: t.Optional(t.String({ description: "a UUID; one is made otherwise" })),
    startedAt: t.Optional(Time),
    finishedAt: t.Optional(Time),
    result: t.Optional(
      t.Union([
        t.Object({ kind: t.Literal("exited"), code: t.Integer({ minimum: 0, maximum: 255 }) }),
        t.Object({ kind: t.Literal("signalled"), signal: Signal }),
        t.Object({ kind: t.Literal("stopped"), signal: Signal }),
        t.Object({ kind: t.Literal("message"), text: t.String({ maxLength: 10_000 }) }),
      ]),
    ),
    worker: t.Optional(t.String({ maxLength: 255 })),
    script: t.Optional(t.String()),
  },
  { additionalProperties: false },
);

interface Facts {
  readonly platform: Platform;
  readonly id: BuildId;
  readonly startedAt: number | undefined;
  readonly finishedAt: number | undefined;
  readonly result: BuildResult;
  readonly worker: string | undefined;
  readonly script: string;
}

const DEFAULT_SCRIPT = "# These files were built elsewhere\n";

/**
 * Takes a form: the part `build` first; a part `console` with lines `1.500s:text` or plain ones; and files, each under
 * its path as the part's name, or under its file name where the part is called `file`.
 */
export async function pushBuild(context: ServerContext, request: Request, job: JobName): Promise<Build> {
  if (!uploadRight(context, request)(job)) throw notPermitted(job);
  await using session = context.contents.session();
  const body = uploadBody(request);
  const { facts, files, console: log } = await readParts(session, request.headers.get("content-type"), body);
  const finishedAt = facts.finishedAt ?? Math.max(context.now(), facts.startedAt ?? 0);
  const outcome = await context.builds.add({
    ...{ job, platform: facts.platform, id: facts.id, result: facts.result, files, finishedAt },
    startedAt: facts.startedAt ?? finishedAt,
    script: new TextEncoder().encode(facts.script),
    console: log === undefined ? [] : timedLines(context.contents.read(log)),
    uploadedBy: uploaderOf(request),
    worker: facts.worker,
  });
  return stored(context, outcome);
}

interface Parts {
  readonly facts: Facts;
  readonly files: readonly { readonly path: string; readonly content: Content }[];
  readonly console: Content | undefined;
}

async function readParts(
  session: ContentSession,
  type: string | null,
  body: ReadableStream<Uint8Array> | null,
): Promise<Parts> {
  let facts: Facts | undefined;
  let console: Content | undefined;
  const files: { path: string; content: Content }[] = [];
  const form = new Request("http://form.invalid/", {
    method: "POST",
    headers: { "content-type": type ?? "" },
    body,
  });
  for await (const part of readMultipart(form)) {
    if ((part.name === "build" ? facts : part.name === "console" ? console : undefined) !== undefined) {
      throw new HttpError(422, "invalid", `the part ${part.name} is there twice`);
    }
    if (part.name === "build") facts = readFacts(await fieldText(part));
    // What isn't known to be wanted isn't kept: the facts are small and come first.
    else if (facts === undefined) throw missingFacts("the part build comes first");
    else if (part.name === "console") console = await session.put(contentStream(part));
    else files.push({ path: pathOf(part), content: await session.put(contentStream(part)) });
  }
  if (facts === undefined) throw missingFacts("the part build is missing");
  return { facts, files, console };
}

function pathOf({ name, filename }: Part): string {
  return name === "file" ? (filename ?? "") : name;
}

function missingFacts(message: string): HttpError {
  return new HttpError(422, "invalid", message, {
    hint: `curl -F 'build={"platform":"debian-12"}' -F bin/hello.hvt=@hello.hvt …`,
  });
}

function readFacts(text: string): Facts {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new HttpError(400, "unreadable", "the part build is not valid JSON", { why: error.message });
  }
  if (!Value.Check(BuildFacts, value)) {
    const [complaint] = Value.Errors(BuildFacts, value);
    const where = complaint?.path.slice(1).replaceAll("/", ".") ?? "";
    throw invalidFacts(
      `${where === "" ? "" : `${where}: `}${complaint?.message ?? "something in it is wrong"}`,
    );
  }
  const platform = parsePlatform(value.platform);
  const id = parseBuildId(value.id ?? crypto.randomUUID());
  if (platform === undefined) throw invalidFacts(`platform: ${JSON.stringify(value.platform)} can't be one`);
  if (id === undefined) throw invalidFacts(`id: ${JSON.stringify(value.id)} is no UUID`);
  const {
    startedAt,
    finishedAt,
    worker,
    result = { kind: "exited", code: 0 },
    script = DEFAULT_SCRIPT,
  } = value;
  if (startedAt !== undefined && finishedAt !== undefined && finishedAt < startedAt) {
    throw invalidFacts("finishedAt: it is before startedAt");
  }
  return { platform, id, startedAt, finishedAt, result, worker, script };
}

function invalidFacts(why: string): HttpError {
  return new HttpError(422, "invalid", "the part build is not as it should be", { why });
}

/** Longer lines are cut into several: one line can't fill the memory. */
const LINE_LIMIT = 65_536;

/** The lines of a console's text, with the time that stands before them, or that of the line before. */
export async function* timedLines(text: ReadableStream<Uint8Array>): AsyncGenerator<TimedLine> {
  let rest: Uint8Array = new Uint8Array();
  let delta = 0n;
  for await (const piece of text) {
    let bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    for (let end; (end = bytes.indexOf(10)) >= 0 || bytes.length > LINE_LIMIT;) {
      const length = end < 0 || end > LINE_LIMIT ? LINE_LIMIT : end;
      const line = timedLine(bytes.subarray(0, length), delta);
      delta = line.delta;
      yield line;
      bytes = bytes.subarray(length === end ? end + 1 : length);
    }
    rest = bytes.slice();
  }
  if (rest.length > 0) yield timedLine(rest, delta);
}

/** Pure. */
function timedLine(line: Uint8Array, before: bigint): TimedLine {
  const front = Buffer.from(line.subarray(0, 32)).toString("latin1");
  const [all, seconds = "", fraction = ""] = /^(\d{1,9})(?:\.(\d{1,9}))?s:/.exec(front) ?? [];
  if (all === undefined) return { delta: before, text: line.slice() };
  const delta = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0"));
  return { delta, text: line.slice(all.length) };
}
