/** Sizes as people write them (32M, 1.5G, 512KiB) and as robur prints them. */

export const KIB = 1024;
export const MIB = 1024 * 1024;
export const GIB = 1024 * 1024 * 1024;

const FACTOR: Record<string, number> = { "": 1, K: KIB, M: MIB, G: GIB, T: 1024 * GIB };

/**
 * Bytes in a size such as `64M`, `64MiB`, `64mb` or `1.5G`; all units are powers of 1024. A number without a
 * unit is taken in `bareUnit`. Returns undefined for anything that isn't a whole, positive number of bytes
 * below 2^53.
 */
export function parseSize(text: string, bareUnit: "" | "K" | "M" | "G" = ""): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([KMGT])(?:i?B)?|(B))?$/i.exec(text.trim());
  if (match === null) return undefined;
  const unit = (match[2] ?? "").toUpperCase();
  const bytes =
    Number(match[1]) * (unit === "" && match[3] === undefined ? FACTOR[bareUnit]! : FACTOR[unit]!);
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined;
}

/** A size for people: exact below 1 KiB, else three significant digits with a binary unit. */
export function formatSize(bytes: number): string {
  if (bytes < KIB) return `${bytes} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = "B";
  for (const next of units) {
    if (value < KIB) break;
    value /= KIB;
    unit = next;
  }
  return `${Number(value.toPrecision(3))} ${unit}`;
}
