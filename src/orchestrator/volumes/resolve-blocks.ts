/**
 * What `--block NAME=VALUE` means: a file, or a volume. `robur run` asks for this before each start, so nothing is
 * loaded here that isn't needed for a volume that is where it always is.
 */
import { UsageError } from "../../lib/errors.ts";
import { identityOf } from "../../linux/file-lock.ts";
import { fileNameOf, parseVolumeName } from "./volume-name.ts";
import { VolumeError } from "./volume-error.ts";

/** Sizes in bytes for volumes that don't exist yet. */
export interface BlockSizes {
  /** For every device that isn't named below. */
  readonly all: number | undefined;
  /** By the device's name. */
  readonly byDevice: ReadonlyMap<string, number>;
}

export interface ResolveOptions {
  readonly dataDirectory: string;
  readonly sizes: BlockSizes;
  /** False: nothing is made, and a volume that would be made is answered as if it were there. */
  readonly mayCreate: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export interface ResolvedBlocks {
  /** Paths by device, in the order given. */
  readonly blocks: Map<string, string>;
  /** Sentences for the user: what was made, and which of two possible things was meant. */
  readonly notes: string[];
}

/**
 * The path behind each device's value. With a slash in it, or as the name of a file that is there, it is a path;
 * else it is the name of a volume, which is made where `sizes` has a size for it. Throws UsageError for a size of
 * a device that isn't given, VolumeError missing, and those of createVolume; nothing is opened or locked.
 */
export async function resolveBlocks(
  blocks: ReadonlyMap<string, string>,
  options: ResolveOptions,
): Promise<ResolvedBlocks> {
  for (const device of options.sizes.byDevice.keys()) {
    if (blocks.has(device)) continue;
    throw new UsageError(`--size ${device}=…: there is no --block ${device}=…`, {
      hint: `--block ${device}=VOLUME`,
    });
  }
  const resolved = new Map<string, string>();
  const notes: string[] = [];
  for (const [device, value] of blocks) {
    resolved.set(device, await resolveBlock(device, value, options, notes));
  }
  return { blocks: resolved, notes };
}

async function resolveBlock(
  device: string,
  value: string,
  options: ResolveOptions,
  notes: string[],
): Promise<string> {
  const { dataDirectory } = options;
  const name = value.includes("/") ? undefined : parseVolumeName(value);
  if (name === undefined) return value;
  const own = `${dataDirectory}/volumes/${fileNameOf(name)}`;
  const isVolume = isThere(own);
  if (isThere(value)) {
    if (isVolume) notes.push(`block device ${device} is the file ./${value}, not the volume ${name}`);
    return value;
  }
  if (isVolume) return own;
  return (await findAdopted(name, dataDirectory)) ?? create(device, name, own, options, notes);
}

function isThere(path: string): boolean {
  return identityOf(path) !== undefined;
}

/** The path of a volume that lies elsewhere, by the database, if there is one. */
async function findAdopted(name: string, dataDirectory: string): Promise<string | undefined> {
  if (!isThere(`${dataDirectory}/robur.db`)) return undefined;
  const { databasePath, openDatabase } = await import("../../db/open.ts");
  const { listVolumes } = await import("./inventory.ts");
  using db = openDatabase(databasePath(dataDirectory));
  const volume = listVolumes({ db, dataDirectory }).find((volume) => volume.name === name);
  return volume === undefined || volume.state === "missing" ? undefined : volume.path;
}

async function create(
  device: string,
  name: string,
  path: string,
  { dataDirectory, sizes, mayCreate, now }: ResolveOptions,
  notes: string[],
): Promise<string> {
  const size = sizes.byDevice.get(device) ?? sizes.all;
  if (size === undefined) {
    throw new VolumeError("missing", `block device ${device}: no file and no volume is named ${name}`, {
      hint: `--block ${device}=${name} --size 64M makes the volume`,
    });
  }
  const { checkSize, createVolume } = await import("./volumes.ts");
  checkSize(size);
  if (!mayCreate) return path;
  const { databasePath, openDatabase } = await import("../../db/open.ts");
  using db = openDatabase(databasePath(dataDirectory));
  const volume = await createVolume({ db, dataDirectory }, name, { size, source: undefined, now });
  notes.push(`volume ${name} is new (${size} bytes)`);
  return volume.path;
}
