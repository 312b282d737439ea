/** From an ELF file to what the picture of its sizes is made of. */
import { gatherSmall } from "../../image/sizes-tree.ts";
import { readSizes } from "../../image/sizes.ts";
import type { ImageSource } from "../../image/source.ts";
import type { TreemapPicture } from "./pictures.ts";

/** Parts smaller than this share of what they are in are put together, */
const SMALLEST_SHARE = 0.0008;
/** and those smaller than this share of all. */
const SMALLEST_OF_ALL = 0.00001;

/** Throws ImageError for what isn't a sound ELF file. */
export function drawTreemap(source: ImageSource): TreemapPicture {
  const { fileSize, zeroed, hasSymbols, tree, sections } = readSizes(source, true);
  return {
    kind: "treemap",
    fileSize,
    zeroed,
    hasSymbols,
    tree: gatherSmall(tree, SMALLEST_SHARE, tree.size * SMALLEST_OF_ALL),
    sections: gatherSmall(sections, SMALLEST_SHARE, 0),
  };
}
