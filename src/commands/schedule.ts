/** `robur schedule`: the jobs by when they are due. */
import { ask, connect } from "./client/connect.ts";
import { type ListColumn, formatSpan, printList, withListFlags } from "./client/list.ts";
import { clientParser, parseClient } from "./client/parser.ts";
import { formatTime } from "./table.ts";

interface Row {
  readonly name: string;
  readonly platforms: readonly string[];
  readonly schedule: string;
  readonly nextAt: number | null;
  readonly isEnabled: boolean;
  readonly work: { readonly kind: "script" } | { readonly kind: "orb"; readonly opamPackage: string };
}

const columns = (now: number): readonly ListColumn<Row>[] => [
  { key: "name", title: "JOB", text: ({ name }) => name },
  { key: "nextAt", title: "NEXT", text: (row) => (isDue(row) ? formatTime(row.nextAt!) : "by hand") },
  {
    key: "in",
    title: "IN",
    text: (row) => (isDue(row) ? formatSpan(row.nextAt! - now) : ""),
    isRight: true,
  },
  {
    key: "schedule",
    title: "SCHEDULE",
    text: ({ schedule, isEnabled }) => (isEnabled ? schedule : `${schedule}, off`),
  },
  {
    key: "platforms",
    title: "PLATFORMS",
    text: ({ platforms }) => (platforms.length === 0 ? "all" : platforms.join(" ")),
    cut: 40,
  },
  {
    key: "work",
    title: "BUILDS",
    text: ({ work }) => (work.kind === "orb" ? work.opamPackage : "a script"),
    cut: 40,
  },
];

const isDue = ({ nextAt, isEnabled }: Row) => isEnabled && nextAt !== null;

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const parser = withListFlags(
    clientParser("robur schedule", "robur schedule\n\nThe jobs that are defined, the next one first.", argv),
  ).example("robur job edit hello --every weekly", "change when one is due");
  const flags = await parseClient(parser);
  if (flags === undefined) return;
  const client = connect(flags.host);
  const { jobs } = await ask(client, client.api.schedule.get());
  const rows: Row[] = [...jobs];
  const at = (row: Row) => (isDue(row) ? row.nextAt! : Infinity);
  rows.sort((a, b) => at(a) - at(b) || (a.name < b.name ? -1 : 1));
  printList(columns(Date.now()), rows, ({ name }) => name, flags);
}
