/** `robur image sizes`: where the bytes of a binary go. */
import { nameFile } from "../image/image-error.ts";
import { type SizeNode, readSizes } from "../image/sizes.ts";
import { formatSize } from "../lib/units.ts";
import { print } from "../linux/libc.ts";
import { findImage } from "./find-image.ts";
import { formatTable } from "./table.ts";

interface Row {
  readonly size: number;
  readonly depth: number;
  readonly name: string;
  readonly where: string | undefined;
}

/** Parts below this share of all are put together, and so are those beyond the first ones of each node. */
const SMALLEST_SHARE = 0.002;
const MOST_PARTS = { coarse: 25, fine: 12 } as const;

/** Prints a tree of sizes. Throws ImageFileError, ImageError. */
export function printSizes(
  file: string,
  { fine, json }: { readonly fine: boolean; readonly json: boolean },
): void {
  const { source } = findImage(file);
  const sizes = nameFile(file, () => readSizes(source, fine));
  if (json) {
    print(`${JSON.stringify({ file, ...sizes }, null, 2)}\n`);
    return;
  }
  const { tree, fileSize, zeroed, hasSymbols } = sizes;
  const rows: Row[] = [];
  collect(
    tree,
    0,
    { smallest: tree.size * SMALLEST_SHARE, most: MOST_PARTS[fine ? "fine" : "coarse"] },
    rows,
  );
  const share = ({ size }: Row) => `${((size / (tree.size || 1)) * 100).toFixed(1)} %`;
  print(
    formatTable<Row>(
      [
        { title: "SIZE", text: ({ size }) => formatSize(size), isRight: true },
        { title: "SHARE", text: share, isRight: true },
        { title: "PART", text: ({ depth, name }) => `${"  ".repeat(depth)}${name}` },
        ...(fine ? [{ title: "WHERE", text: ({ where }: Row) => where ?? "" }] : []),
      ],
      rows,
    ),
  );
  const rest = fileSize - tree.size;
  print(`\n${formatSize(tree.size)} are loaded of ${formatSize(fileSize)}`);
  if (rest > 0) print(`; ${formatSize(rest)} are headers, symbols, debug data and padding`);
  print(zeroed > 0 ? `; ${formatSize(zeroed)} of zeros take memory only\n` : "\n");
  if (!hasSymbols) print("it has no symbols: of a build's .debug file this says more\n");
}

function collect(
  node: SizeNode,
  depth: number,
  limits: { readonly smallest: number; readonly most: number },
  rows: Row[],
): void {
  rows.push({ size: node.size, depth, name: node.name, where: node.where });
  const shown = node.children.filter(({ size }, i) => size >= limits.smallest && i < limits.most);
  for (const child of shown) collect(child, depth + 1, limits, rows);
  const rest = node.children.slice(shown.length);
  const size = rest.reduce((sum, child) => sum + child.size, 0);
  if (rest.length > 0)
    rows.push({ size, depth: depth + 1, name: `${rest.length} smaller`, where: undefined });
}
