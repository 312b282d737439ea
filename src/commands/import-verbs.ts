/** What `robur import` does: the server does it where one runs, else this process, with the server's lock. */
import { resolve } from "node:path";
import { UsageError } from "../lib/errors.ts";
import { dataDirectory } from "../lib/data-directory.ts";
import { formatSize } from "../lib/units.ts";
import { print, printError } from "../linux/libc.ts";
import { isatty } from "node:tty";
import { parseJobName } from "../store/api.ts";
import type { ImportSummary } from "../store/import/report.ts";
import type { ImportLine, ImportRequest } from "../store/import/run-import.ts";
import { parseRemoteAddress } from "../store/remotes/remote-address.ts";
import { ClientError } from "./client/client-error.ts";
import { type Client, connect } from "./client/connect.ts";
import { printable } from "./table.ts";

export interface ImportFlags {
  readonly host: string | undefined;
  /** Given: no server is asked. */
  readonly dataDir?: string | undefined;
}

/** What the route takes. */
export type ImportBody =
  | { readonly kind: "builder-web" | "records"; readonly path: string }
  | {
      readonly kind: "remote";
      readonly url: string;
      readonly jobs?: readonly string[];
      readonly limit?: number;
    }
  | { readonly kind: "build"; readonly url: string; readonly job: string; readonly id: string };

/** `robur import builder-web` and `builder`. */
export async function importDirectory(
  kind: "builder-web" | "records",
  path: string,
  flags: ImportFlags,
): Promise<void> {
  const body = { kind, path: resolve(path) } as const;
  tell(await doImport(flags, body, () => body));
}

/** `robur import URL`. */
export async function importServer(
  url: string,
  flags: ImportFlags & { readonly job: readonly string[] | undefined; readonly limit: number | undefined },
): Promise<void> {
  const remote = parseRemoteAddress(url);
  const { limit } = flags;
  if (limit !== undefined && (!Number.isInteger(limit) || limit < 1))
    throw new UsageError("--limit is 1 or more");
  const jobs = flags.job?.map((text) => {
    const job = parseJobName(text);
    if (job === undefined) throw new UsageError(`${text} can't be a job's name`);
    return job;
  });
  const body = {
    kind: "remote" as const,
    url,
    ...(jobs === undefined ? {} : { jobs }),
    ...(limit === undefined ? {} : { limit }),
  };
  tell(await doImport(flags, body, () => ({ kind: "remote", remote, jobs, limit })));
}

/** Does it, with its progress and what it has to say on standard error. Throws ClientError, ImportError, … */
export async function doImport(
  flags: ImportFlags,
  body: ImportBody,
  request: () => ImportRequest,
): Promise<ImportSummary> {
  const show = progressLine();
  try {
    if (flags.dataDir !== undefined) return await here(flags.dataDir, request(), show.say);
    try {
      return await byServer(connect(flags.host), body, show.say);
    } catch (error) {
      const isAbsent = error instanceof ClientError && error.code === "no-server" && flags.host === undefined;
      if (!isAbsent) throw error;
      return await here(undefined, request(), show.say);
    }
  } finally {
    show.end();
  }
}

async function byServer(
  client: Client,
  body: ImportBody,
  say: (line: ImportLine) => void,
): Promise<ImportSummary> {
  const response = await client.request("/api/v1/imports", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: new Blob([JSON.stringify(body)]).stream(),
  });
  for await (const line of linesOf(response)) {
    if (line.kind === "done") return line.summary;
    if (line.kind === "failed") {
      const { message, why, hint, code } = line;
      const more = { ...(why === undefined ? {} : { why }), ...(hint === undefined ? {} : { hint }) };
      throw new ClientError(code === "missing" ? 3 : code === "busy" ? 4 : 1, code, message, more);
    }
    say(line);
  }
  throw ended();
}

/** Throws ClientError where the server goes away meanwhile. */
async function* linesOf(response: Response): AsyncGenerator<ImportLine, void> {
  const decoder = new TextDecoder();
  let rest = "";
  const pieces = (response.body ?? new Blob([]).stream()).values();
  for (;;) {
    const { done, value } = await pieces.next().catch((cause: unknown) => {
      throw ended(cause);
    });
    if (done === true) return;
    const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") yield JSON.parse(line) as ImportLine;
  }
}

function ended(cause?: unknown): ClientError {
  return new ClientError(1, "interrupted", "the server ended before the import did", {
    hint: "the same command goes on from there",
    cause,
  });
}

async function here(
  directory: string | undefined,
  request: ImportRequest,
  say: (line: ImportLine) => void,
): Promise<ImportSummary> {
  const { openLocalStores } = await import("./local-stores.ts");
  const { runImport } = await import("../store/import/run-import.ts");
  const data = resolve(dataDirectory(directory, process.env, process.getuid?.() === 0));
  await using stores = openLocalStores(data);
  const called = new AbortController();
  const callOff = () => called.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  // A second Ctrl-C ends it at once.
  for (const signal of signals) process.once(signal, callOff);
  try {
    const summary = await runImport(stores, request, {
      ...{ report: say, signal: called.signal, now: Date.now, uploadedBy: "import" },
    });
    if (request.kind === "build") {
      const { fetchBuildStatements } = await import("../builds/attestations/fetch-statements.ts");
      await fetchBuildStatements(stores.db, request.remote, request, Date.now());
    }
    return summary;
  } finally {
    for (const signal of signals) process.off(signal, callOff);
  }
}

/** One line that is written over, where somebody looks at it; notes and damage stay. */
function progressLine() {
  const isShown = isatty(2) && process.env["TERM"] !== "dumb";
  const clear = isShown ? "\r\u001b[K" : "";
  return {
    say(line: ImportLine): void {
      if (line.kind === "note") printError(`${clear}note: ${printable(line.text)}\n`);
      else if (line.kind === "damage") printError(`${clear}damaged: ${printable(line.text)}\n`);
      else if (line.kind === "progress" && isShown) {
        const of = line.total === undefined ? "" : ` of ${line.total}`;
        printError(`${clear}${line.done}${of} ${printable(line.what)}`);
      }
    },
    end: () => isShown && printError(clear),
  };
}

function tell(summary: ImportSummary): void {
  const { builds, alreadyThere, jobs, users, bytes, damaged } = summary;
  const parts = [
    `${builds} ${builds === 1 ? "build" : "builds"}`,
    ...(jobs > 0 ? [`${jobs} ${jobs === 1 ? "job" : "jobs"}`] : []),
    ...(users > 0 ? [`${users} ${users === 1 ? "user" : "users"}`] : []),
  ];
  print(`imported ${parts.join(", ")} (${formatSize(bytes)})`);
  print(alreadyThere > 0 ? `; ${alreadyThere} ${alreadyThere === 1 ? "was" : "were"} here already\n` : "\n");
  if (damaged === 0) return;
  printError(
    `error: ${damaged} ${damaged === 1 ? "thing is" : "things are"} damaged or missing, see above\n`,
  );
  process.exitCode = 1;
}
