/** Sizes of volumes on the command line. */
import { UsageError } from "../lib/errors.ts";
import { parseSize } from "../lib/units.ts";
import type { BlockSizes } from "../orchestrator/volumes/resolve-blocks.ts";
import type { FlagTable, Scanned } from "./flags.ts";

/** For commands that take --block: sizes of volumes that they make. */
export const SIZE_FLAG: FlagTable = {
  size: {
    type: "string",
    describe: "make the volumes of --block that don't exist: SIZE, or NAME=SIZE for one device; repeatable",
  },
};

/** Bytes. It needs a unit: to some a bare number is bytes, to others, albatross among them, MiB. Throws UsageError. */
export function readSize(text: string): number {
  const bytes = /^\d+$/.test(text) ? undefined : parseSize(text);
  if (bytes !== undefined) return bytes;
  throw new UsageError(`${text} is not a size`, {
    why: "a size is a number and a unit: K, M, G, T, or B for bytes",
    hint: /^[1-9]\d{0,12}$/.test(text) ? `${text}M, or ${text}B` : "64M",
  });
}

/** What --size says, for resolveBlocks. Throws UsageError. */
export function readBlockSizes({ values }: Scanned): BlockSizes {
  let all: number | undefined;
  const byDevice = new Map<string, number>();
  for (const text of values.get("size") ?? []) {
    const equals = text.indexOf("=");
    const device = text.slice(0, Math.max(equals, 0));
    if (equals < 0 ? all !== undefined : byDevice.has(device)) {
      throw new UsageError(equals < 0 ? "--size is given twice" : `--size ${device}= is given twice`);
    }
    if (equals < 0) all = readSize(text);
    else byDevice.set(device, readSize(text.slice(equals + 1)));
  }
  return { all, byDevice };
}
