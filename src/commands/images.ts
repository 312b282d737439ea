/** `robur images`: the images that the server keeps. */
import { formatSize } from "../lib/units.ts";
import type { ImageView } from "../orchestrator/api.ts";
import { ask, connect } from "./client/connect.ts";
import { type ListColumn, printList, withListFlags } from "./client/list.ts";
import { clientParser, parseClient } from "./client/parser.ts";
import { formatTime } from "./table.ts";

const COLUMNS: readonly ListColumn<ImageView>[] = [
  { key: "sha256", title: "SHA-256", text: ({ sha256 }) => sha256, cut: 13 },
  { key: "target", title: "TARGET", text: ({ target, abiVersion }) => `${target} ${abiVersion}` },
  { key: "size", title: "SIZE", text: ({ size }) => formatSize(size), isRight: true },
  {
    key: "devices",
    title: "DEVICES",
    text: ({ devices }) => devices.map(({ name, type }) => `${name} (${type})`).join(" "),
    cut: 40,
  },
  { key: "createdAt", title: "SINCE", text: ({ createdAt }) => formatTime(createdAt) },
  { key: "usedBy", title: "USED BY", text: ({ usedBy }) => usedBy.join(" "), cut: 50 },
];

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const parser = withListFlags(
    clientParser(
      "robur images",
      "robur images\n\nThe images that the server keeps: for as long as a unikernel uses them.",
      argv,
    ),
  ).example("robur create web sha256:0a1b2c3d", "a unikernel of one that is there");
  const flags = await parseClient(parser);
  if (flags === undefined) return;
  const client = connect(flags.host);
  const { images } = await ask(client, client.api.images.get());
  printList(COLUMNS, images, ({ sha256 }) => `sha256:${sha256}`, flags);
}
