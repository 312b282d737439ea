/** `robur export`: what a server has, as a file for `robur apply`. */
import { mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { print, printError } from "../linux/libc.ts";
import type { UnikernelView } from "../orchestrator/api.ts";
import { formatDeclaration } from "./apply/declare.ts";
import { type Client, ask, connect } from "./client/connect.ts";
import { clientParser, parseClient } from "./client/parser.ts";

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const parser = clientParser(
    "robur export",
    "robur export\n\nPrints the unikernels and policies of a server, as robur apply reads them. Images are named by\ntheir SHA-256; --images takes them along, for another server. Volumes are not in it.",
    argv,
  )
    .option("images", { type: "string", requiresArg: true, describe: "write the images to this directory" })
    .option("path", { type: "string", requiresArg: true, describe: "only unikernels at or below this path" })
    .example("robur export > unikernels.toml", "to keep, to change, to apply");
  const flags = await parseClient(parser);
  if (flags === undefined) return;
  const client = connect(flags.host);
  const query = flags.path === undefined ? {} : { path: flags.path };
  const { unikernels } = await ask(client, client.api.unikernels.get({ query }));
  const { policies } =
    flags.path === undefined ? await ask(client, client.api.policies.get()) : { policies: [] };
  const { images } = flags;
  if (images !== undefined) await takeImages(client, unikernels, images);
  print(
    formatDeclaration(unikernels, policies, (unit) =>
      images === undefined ? `sha256:${unit.image.sha256}` : join(images, fileOf(unit)),
    ),
  );
}

/** One file for each image, however many use it. */
async function takeImages(
  client: Client,
  unikernels: readonly UnikernelView[],
  directory: string,
): Promise<void> {
  mkdirSync(directory, { recursive: true });
  for (const unit of new Map(unikernels.map((unit) => [fileOf(unit), unit])).values()) {
    const path = join(directory, fileOf(unit));
    if (await Bun.file(path).exists()) continue;
    const response = await client.request(`/api/v1/images/${unit.image.sha256}/content`);
    await Bun.write(`${path}.new`, response);
    renameSync(`${path}.new`, path);
    printError(`${path}\n`);
  }
}

function fileOf({ image }: UnikernelView): string {
  return `${image.sha256.slice(0, 12)}.${image.target}`;
}
