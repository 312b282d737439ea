/** `robur logs`: what a unikernel wrote to its console. */
import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import { UsageError } from "../lib/errors.ts";
import { print, printError } from "../linux/libc.ts";
import { ClientError } from "./client/client-error.ts";
import { type Client, ask, connect } from "./client/connect.ts";
import { follow } from "./client/event-source.ts";
import { nameParser, namesOf } from "./client/name-parser.ts";
import { parseClient } from "./client/parser.ts";
import { resolveNames } from "./client/resolve-name.ts";
import { parseSince } from "./client/since.ts";
import { interruptible } from "./long-work.ts";

/** As the API gives lines, and what is missing. */
type Item =
  | { readonly cursor: number; readonly at: number; readonly text: string; readonly base64?: string }
  | { readonly gap: { readonly from: number; readonly to: number } };

interface Show {
  readonly timestamps: boolean;
  readonly raw: boolean;
  readonly json: boolean;
}

const PAGE = 10_000;

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const parser = nameParser("robur logs", "Prints a unikernel's console, also of one that has ended.", argv)
    .option("follow", {
      alias: "f",
      type: "boolean",
      default: false,
      describe: "go on until it ends; Ctrl-C only ends this",
    })
    .option("tail", {
      alias: "n",
      type: "string",
      requiresArg: true,
      describe: "only the last lines: a number, or all",
    })
    .option("since", {
      type: "string",
      requiresArg: true,
      describe: "only lines since: 10m, 2h, 1d, or a time (RFC 3339)",
    })
    .option("timestamps", {
      alias: "t",
      type: "boolean",
      default: false,
      describe: "with the time of each line",
    })
    .option("raw", { type: "boolean", default: false, describe: "the guest's bytes as they are" })
    .option("json", { type: "boolean", default: false, describe: "each line as JSON" })
    .example("robur logs -f --tail 20 web", "the last lines, and those that come");
  const flags = await parseClient(parser);
  if (flags === undefined) return;
  const client = connect(flags.host);
  const [unit] = await resolveNames(client, namesOf(flags));
  const query = {
    ...(flags.tail === undefined || flags.tail === "all" ? {} : { tail: countOf(flags.tail) }),
    ...(flags.since === undefined ? {} : { since: parseSince(flags.since, Date.now()) }),
    ...(flags.raw ? { raw: true } : {}),
  };
  const show = printer(flags);
  if (!flags.follow) return printAll(client, unit!.name, query, unit!.consoleEnd, show);
  return interruptible((signal) => followConsole(client, unit!.name, query, show, signal));
}

function countOf(text: string): number {
  if (/^\d{1,6}$/.test(text) && Number(text) <= 100_000) return Number(text);
  throw new UsageError(`--tail ${text}: a number up to 100000, or all`);
}

interface Query {
  readonly tail?: number;
  readonly since?: number;
  readonly raw?: boolean;
}

/** What there is up to `end`, which a guest that goes on writing can't move away. Pages are bounded by bytes, too. */
async function printAll(
  client: Client,
  name: string,
  query: Query,
  end: number,
  show: (item: Item) => void,
): Promise<void> {
  let after: number | undefined;
  for (;;) {
    const from = after === undefined ? {} : { after: String(after) };
    const page = await ask(
      client,
      client.api.unikernels({ name }).console.get({ query: { ...query, ...from, limit: PAGE } }),
    );
    for (const item of page.items) show(item);
    if (page.items.length === 0 || page.next === after || page.next >= end) return;
    after = page.next;
  }
}

/** Until the unikernel is down for good and all of its console was shown. */
async function followConsole(
  client: Client,
  name: string,
  query: Query,
  show: (item: Item) => void,
  signal: AbortSignal,
): Promise<void> {
  const done = new AbortController();
  const both = AbortSignal.any([signal, done.signal]);
  let seen = 0;
  let end = await endOf(client, name);
  const checkEnd = () => {
    if (end !== undefined && seen >= end) done.abort();
  };
  const watch = async () => {
    for await (const _event of follow(client, `/api/v1/events/stream?name=${encodeURIComponent(name)}`, {
      signal: both,
    })) {
      end = await endOf(client, name);
      checkEnd();
    }
  };
  const watching = watch();
  // The loop below fails in the same way when the server is gone.
  watching.catch(() => done.abort());
  const words = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) words.set(key, String(value));
  const path = `/api/v1/unikernels/${name}/console/stream?${words.toString()}`;
  // One that has ended already is shown as it is.
  if (end !== undefined) {
    done.abort();
    return printAll(client, name, query, end, show);
  }
  const onConnection = (isThere: boolean) =>
    printError(isThere ? "robur: connected again\n" : "robur: the server is gone; waiting for it\n");
  try {
    for await (const { data } of follow(client, path, { signal: both, onConnection })) {
      const item = data as Item;
      show(item);
      seen = "gap" in item ? item.gap.to : item.cursor;
      checkEnd();
    }
  } catch (error) {
    if (!both.aborted) throw error;
  } finally {
    done.abort();
  }
}

/** Behind the last byte of a console to which nothing will be added; undefined while something may. */
async function endOf(client: Client, name: string): Promise<number | undefined> {
  try {
    const { state, consoleEnd } = await ask(client, client.api.unikernels({ name }).get());
    return ["stopped", "failed", "created"].includes(state) ? consoleEnd : undefined;
  } catch (error) {
    if (error instanceof ClientError && error.exitStatus === 3) return 0;
    throw error;
  }
}

function printer({ timestamps, raw, json }: Show): (item: Item) => void {
  const isPlain = !isatty(1) || Boolean(process.env["NO_COLOR"]);
  return (item) => {
    if (json) print(`${JSON.stringify(item)}\n`);
    else if ("gap" in item) {
      printError(`robur: ${item.gap.to - item.gap.from} bytes are missing here: the log is bounded\n`);
    } else if (raw && item.base64 !== undefined) {
      const bytes = Uint8Array.fromBase64(item.base64);
      for (let done = 0; done < bytes.length;) done += writeSync(1, bytes, done);
      print("\n");
    } else {
      const time = timestamps ? `${new Date(item.at).toISOString()} ` : "";
      print(`${time}${isPlain ? Bun.stripANSI(item.text) : item.text}\n`);
    }
  };
}
