/**
 * Names of volumes: albatross's names (its paths and labels), so that a volume keeps its name whichever of the two
 * looks after it. `data` lies at the root, `alice:data` below the path alice.
 */
import { VolumeError } from "./volume-error.ts";

export const LABEL_MAX = 63;
/** As albatross's labels, but without a dot in front: that hides a file. */
const LABEL = /^[a-z0-9][a-z0-9.-]{0,62}$/;
const NAME_MAX = 200;
const SUFFIX = ".img";
const MIB = 1024 * 1024;

/** The name in its one spelling (small letters, no colon in front), or undefined. */
export function parseVolumeName(text: string): string | undefined {
  const name = text.toLowerCase().replace(/^:/, "");
  if (name.length > NAME_MAX) return undefined;
  return name.split(":").every((label) => LABEL.test(label)) ? name : undefined;
}

/** The same, where somebody typed it. Throws VolumeError bad-name. */
export function volumeName(text: string): string {
  const name = parseVolumeName(text);
  if (name !== undefined) return name;
  throw new VolumeError("bad-name", `${JSON.stringify(text)} can't be a volume's name`, {
    why: "it is made of a-z, 0-9, dots and hyphens, begins with a letter or digit, and has at most 63 of them",
    hint: `robur volume create ${suggestion(text)} --size 64M`,
  });
}

function suggestion(text: string): string {
  const near = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9.]+/g, "-")
    .replace(/^[^a-z0-9]+/, "")
    .replace(/-+$/, "")
    .slice(0, LABEL_MAX);
  return near === "" ? "data" : near;
}

/** The file of a volume in robur's own directory. */
export function fileNameOf(name: string): string {
  return `${name}${SUFFIX}`;
}

/** The volume whose file this is, or undefined for a file that isn't a volume's. */
export function nameOfFile(fileName: string): string | undefined {
  if (!fileName.endsWith(SUFFIX)) return undefined;
  const name = fileName.slice(0, -SUFFIX.length);
  return parseVolumeName(name) === name ? name : undefined;
}

/** The name of a block device in albatross's directory, where files of the root begin with a colon, or undefined. */
export function nameOfAlbatrossFile(fileName: string, size: number): string | undefined {
  if (size === 0 || size % MIB !== 0) return undefined;
  const name = parseVolumeName(fileName);
  return name !== undefined && (fileName === `:${name}` || fileName === name) ? name : undefined;
}
