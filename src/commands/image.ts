/** `robur image`: what a unikernel file says of itself, and how two differ. */
import { print } from "../linux/libc.ts";
import yargs from "yargs";
import { UsageError, visible } from "../lib/errors.ts";
import { formatSize } from "../lib/units.ts";
import { readAbi } from "../image/abi.ts";
import { readElf } from "../image/elf.ts";
import { ImageError, nameFile } from "../image/image-error.ts";
import { inspectImage } from "../image/inspect.ts";
import { devicesOf, readManifest } from "../image/manifest.ts";
import { findImage } from "./find-image.ts";
import { parse } from "./parse.ts";

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const parser = yargs([...argv])
    .scriptName("robur image")
    .locale("en")
    .version(false)
    .usage(
      "robur image COMMAND FILE\n\nSays what a unikernel file is. FILE may be hello.hvt, which is built in.",
    )
    .command(
      "inspect <file>",
      "Target, devices, segments, size, hash, versions",
      (y) =>
        y
          .option("json", { type: "boolean", default: false, describe: "as JSON" })
          .positional("file", { type: "string", demandOption: true }),
      ({ file, json }) => inspect(file, json),
    )
    .command(
      "query-manifest <file>",
      "The devices it wants, as solo5-elftool prints them",
      (y) => y.positional("file", { type: "string", demandOption: true }),
      ({ file }) => queryManifest(file),
    )
    .command(
      "query-abi <file>",
      "Its target and ABI version, as solo5-elftool prints them",
      (y) => y.positional("file", { type: "string", demandOption: true }),
      ({ file }) => queryAbi(file),
    )
    .command(
      "sizes <file>",
      "Where the bytes of a binary go: best of an unstripped one, such as website.hvt.debug",
      (y) =>
        y
          .option("fine", { type: "boolean", default: false, describe: "down to functions and values" })
          .option("json", { type: "boolean", default: false, describe: "all of it, as JSON" })
          .positional("file", { type: "string", demandOption: true }),
      async ({ file, fine, json }) => (await import("./image-sizes.ts")).printSizes(file, { fine, json }),
    )
    .command(
      "diff <left> <right>",
      "What differs between two binaries: sections, sizes, notes, texts. Exit status 0: nothing, 1: something",
      (y) =>
        y
          .option("json", { type: "boolean", default: false, describe: "all of it, as JSON" })
          .positional("left", { type: "string", demandOption: true })
          .positional("right", { type: "string", demandOption: true }),
      async ({ left, right, json }) => (await import("./image-diff.ts")).printDiff(left, right, json),
    )
    .example("robur image inspect website.hvt", "what is this file?")
    .example("robur image query-manifest website.hvt", "which devices does it want?")
    .example("robur image sizes website.hvt.debug", "what makes it so large?")
    .example("robur image diff old.hvt new.hvt", "what did the new build change?")
    .recommendCommands()
    .strict()
    .help()
    .alias("help", "h")
    .wrap(null);
  if (argv.length === 0) throw new UsageError("what about the image?", { hint: "robur image inspect FILE" });
  await parse(parser);
}

function inspect(file: string, json: boolean): void {
  const image = findImage(file);
  const found = nameFile(file, () => inspectImage(image.source));
  if (json) {
    print(`${JSON.stringify({ file, ...found }, null, 2)}\n`);
    return;
  }
  const rows: [string, string][] = [
    ["target", `${found.target}, ABI version ${found.abiVersion}, ${found.machine}`],
    ["runs on", found.runsOn],
    [
      "devices",
      found.devices.length === 0
        ? "none"
        : found.devices.map(({ name, type }) => `${name} (${KIND[type]})`).join(", "),
    ],
    ["entry", found.entry],
    ...found.segments.map((segment, i): [string, string] => [
      i === 0 ? "segments" : "",
      `${segment.address.padEnd(10)} ${segment.flags}  ${formatSize(segment.memSize)}${segment.fileSize === 0 ? ", zero" : ""}`,
    ]),
    ["memory", `at least ${formatSize(found.memoryEnd)}, and its heap and stack`],
    ["size", `${found.size} bytes (${formatSize(found.size)})`],
    ["sha256", found.sha256],
    ...Object.entries(found.found)
      .filter(([, version]) => version !== undefined)
      .map(([name, version]): [string, string] => [name, `${version} (from its strings)`]),
  ];
  for (const [name, value] of rows) print(`${name.padEnd(9)} ${visible(value)}\n`);
}

const KIND = { NET_BASIC: "net", BLOCK_BASIC: "block", other: "unknown type", reserved: "reserved" } as const;

/** The layout is the original's: two spaces, one device a line. */
function queryManifest(file: string): void {
  const { source } = findImage(file);
  const manifest = nameFile(file, () => readManifest(source, readElf(source)));
  const devices = devicesOf(manifest).map(
    ({ device }) => `    { "name": ${JSON.stringify(device.name)}, "type": "${device.type}" }`,
  );
  const list = devices.map((line, i) => `${line}${i < devices.length - 1 ? "," : ""}\n`).join("");
  print(`{\n  "type": "solo5.manifest",\n  "version": 1,\n  "devices": [\n${list}  ]\n}\n`);
}

function queryAbi(file: string): void {
  const { source } = findImage(file);
  const abi = nameFile(file, () => readAbi(source, readElf(source)));
  if (abi === undefined)
    throw new ImageError("no-abi-note", `${file}: no Solo5 ABI information found in executable`);
  print(`{\n  "type": "solo5.abi",\n  "target": "${abi.target}",\n  "version": ${abi.version}\n}\n`);
}
