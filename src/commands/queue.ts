/** `robur queue`: what runs, and what waits on each platform. */
import { print, printError } from "../linux/libc.ts";
import { platformWord, runWord } from "./client/build-words.ts";
import { ask, connect } from "./client/connect.ts";
import { type ListColumn, formatSpan, printList, withListFlags } from "./client/list.ts";
import { clientParser, parseClient } from "./client/parser.ts";

interface Row {
  readonly name: string;
  readonly platform: string;
  readonly state: string;
  readonly reason: string;
  readonly worker: string | null;
  readonly queuedAt: number;
  readonly startedAt: number | null;
  readonly notBefore: number;
  readonly attempts: number;
  readonly abortedBy: string | null;
  readonly outcome: string | null;
}

const columns = (now: number, manned: ReadonlySet<string>): readonly ListColumn<Row>[] => [
  { key: "name", title: "RUN", text: ({ name }) => name },
  { key: "platform", title: "PLATFORM", text: ({ platform }) => platform },
  { key: "state", title: "STATE", text: (row) => stateOf(row, now, manned), cut: 80 },
  {
    key: "for",
    title: "FOR",
    text: ({ startedAt, state, queuedAt }) =>
      formatSpan(now - (state === "running" ? (startedAt ?? now) : queuedAt)),
    isRight: true,
  },
  { key: "reason", title: "REASON", text: ({ reason }) => reason, cut: 40 },
  { key: "worker", title: "WORKER", text: ({ worker }) => worker ?? "", cut: 40 },
  { key: "attempts", title: "ATTEMPTS", text: ({ attempts }) => String(attempts), isExtra: true },
];

function stateOf(
  { state, notBefore, attempts, abortedBy, platform, outcome }: Row,
  now: number,
  manned: ReadonlySet<string>,
): string {
  if (state === "running") return abortedBy === null ? "running" : `being ended for ${abortedBy}`;
  if (!manned.has(platform)) return "no worker";
  if (notBefore <= now) return "waiting";
  const why = outcome !== null ? `: ${outcome}` : attempts > 0 ? ` (${attempts} lost)` : "";
  return `again in ${formatSpan(notBefore - now)}${why}`;
}

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const parser = withListFlags(
    clientParser(
      "robur queue",
      "robur queue [COMMAND]\n\nWhat is being built, and what waits, in the order in which workers get it.",
      argv,
    ),
  )
    .command("$0", false, {}, async (flags) => list(flags as unknown as Parameters<typeof list>[0]))
    .command(
      "move <run>",
      "Move a run to the front, or to the back",
      (y) =>
        y
          .positional("run", { type: "string", demandOption: true })
          .option("back", { type: "boolean", default: false, describe: "to the back" }),
      async (flags) => {
        const client = connect(flags.host);
        const place = flags.back ? ("back" as const) : ("front" as const);
        const { name } = await ask(client, client.api.runs({ run: runWord(flags.run) }).move.post({ place }));
        print(`${name}\n`);
      },
    )
    .command(
      "workers",
      "Who builds, and for which platforms",
      (y) => y,
      async (flags) => listWorkers(flags as unknown as Parameters<typeof list>[0]),
    )
    .command(
      "drop <platform>",
      "Give up a platform: its queue goes, and script jobs for it alone",
      (y) => y.positional("platform", { type: "string", demandOption: true }),
      async ({ host, platform }) => {
        const client = connect(host);
        await ask(client, client.api.queue({ platform: platformWord(platform) }).drop.post());
        print(`${platform}\n`);
      },
    )
    .command(
      "undrop <platform>",
      "Take a platform up again",
      (y) => y.positional("platform", { type: "string", demandOption: true }),
      async ({ host, platform }) => {
        const client = connect(host);
        await ask(client, client.api.queue({ platform: platformWord(platform) }).undrop.post());
        print(`${platform}\n`);
      },
    )
    .example("robur queue", "what runs and waits")
    .example("robur queue move hello:12", "next, please");
  await parseClient(parser);
}

async function list(
  flags: Parameters<typeof printList>[3] & { readonly host: string | undefined },
): Promise<void> {
  const client = connect(flags.host);
  const { running, queues, trouble } = await ask(client, client.api.queue.get());
  const rows: readonly Row[] = [...running, ...queues.flatMap(({ runs }) => runs)];
  const manned = new Set(queues.filter(({ hasWorker }) => hasWorker).map(({ platform }) => platform));
  printList(columns(Date.now(), manned), rows, ({ name }) => name, flags);
  const isStuck = rows.some(({ state, platform }) => state === "queued" && !manned.has(platform));
  if (isStuck && trouble !== null) printError(`nobody builds on the server's machine: ${trouble}\n`);
}

interface WorkerRow {
  readonly name: string;
  readonly platforms: readonly string[];
  readonly state: string;
  readonly address: string;
  readonly link: string;
  readonly seenAt: number;
}

async function listWorkers(
  flags: Parameters<typeof printList>[3] & { readonly host: string | undefined },
): Promise<void> {
  const client = connect(flags.host);
  const { workers } = await ask(client, client.api.workers.get());
  const now = Date.now();
  const columns: readonly ListColumn<WorkerRow>[] = [
    { key: "name", title: "WORKER", text: ({ name }) => name },
    { key: "platforms", title: "PLATFORMS", text: ({ platforms }) => platforms.join(" ") },
    { key: "state", title: "STATE", text: ({ state }) => state },
    { key: "address", title: "FROM", text: ({ address }) => address },
    { key: "link", title: "PROTOCOL", text: ({ link }) => link },
    { key: "seenAt", title: "HEARD", text: ({ seenAt }) => `${formatSpan(now - seenAt)} ago`, isRight: true },
  ];
  printList(columns, workers, ({ name }) => name, flags);
}
