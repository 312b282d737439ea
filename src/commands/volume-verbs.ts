/** What `robur volume` does to volumes, with the words around it. */
import { statfsSync } from "node:fs";
import { isatty } from "node:tty";
import { UsageError } from "../lib/errors.ts";
import { formatSize } from "../lib/units.ts";
import { print, printError } from "../linux/libc.ts";
import { databasePath, openDatabase } from "../db/open.ts";
import { adoptDirectory } from "../orchestrator/volumes/adopt.ts";
import { exportVolume, replacesFile } from "../orchestrator/volumes/export.ts";
import { type Volume, type VolumeRoom, findFile, findVolume } from "../orchestrator/volumes/inventory.ts";
import {
  type Packing,
  type Source,
  hasPackedName,
  openSource,
  volumeSource,
} from "../orchestrator/volumes/source.ts";
import { volumeName } from "../orchestrator/volumes/volume-name.ts";
import {
  createVolume,
  fillVolume,
  planResize,
  removeVolume,
  resizeVolume,
  snapshotName,
  snapshotVolume,
  withLocked,
} from "../orchestrator/volumes/volumes.ts";
import type { WorkOptions } from "../orchestrator/volumes/work.ts";
import { confirm } from "./confirm.ts";
import { withProgress } from "./progress.ts";

const say = (text: string) => printError(`${text}\n`);

/** `robur volume create`. Prints the name. */
export async function create(
  dataDirectory: string,
  text: string,
  flags: { size: number | undefined; from: string | undefined; decompress: boolean | undefined },
): Promise<void> {
  const name = volumeName(text);
  const { size, from, decompress } = flags;
  using db = openDatabase(databasePath(dataDirectory));
  const room = { db, dataDirectory };
  const make = (source: Source | undefined) =>
    working(`creating ${name}`, (work) => createVolume(room, name, { size, source, now: Date.now() }, work));
  const volume = from === undefined ? await make(undefined) : await withSource(room, from, decompress, make);
  print(`${name}\n`);
  warnOfSmallDisk(volume);
}

/** `robur volume fill`. */
export async function fill(
  dataDirectory: string,
  text: string,
  { from, decompress }: { from: string; decompress: boolean | undefined },
): Promise<void> {
  const name = volumeName(text);
  using db = openDatabase(databasePath(dataDirectory));
  const room = { db, dataDirectory };
  const { size, origin } = await withSource(room, from, decompress, (source) =>
    working(`filling ${name}`, (work) => fillVolume(room, name, source, work)),
  );
  say(`volume ${name} (${formatSize(size)}) holds ${origin}`);
}

/** `robur volume export`. */
export async function exportTo(
  dataDirectory: string,
  text: string,
  target: string,
  { compress, yes }: { compress: boolean | undefined; yes: boolean },
): Promise<void> {
  const name = volumeName(text);
  if (target === "-" && isatty(1)) {
    throw new UsageError("a volume's bytes are nothing for a terminal", {
      hint: `robur volume export ${name} ${name}.img`,
    });
  }
  if (replacesFile(target)) {
    const command = `robur volume export ${name} ${target} --yes`;
    if (!confirm(`replace ${target}?`, yes, command)) return abandon();
  }
  using db = openDatabase(databasePath(dataDirectory));
  const packing = packingFor(target, compress);
  await working(`exporting ${name}`, (work) =>
    exportVolume({ db, dataDirectory }, name, { target, packing }, work),
  );
}

function packingFor(target: string, compress: boolean | undefined): Packing | undefined {
  if (!(compress ?? hasPackedName(target))) return undefined;
  return /\.t?gz$/i.test(target) ? "gzip" : "zstd";
}

/** `robur volume resize`. */
export async function resize(dataDirectory: string, text: string, size: number, yes: boolean): Promise<void> {
  const name = volumeName(text);
  using db = openDatabase(databasePath(dataDirectory));
  const room = { db, dataDirectory };
  const { volume, losesData } = await planResize(room, name, size);
  const isSmaller = size < volume.size;
  if (isSmaller) {
    const lost = formatSize(volume.size - size);
    const question = losesData
      ? `cut off the last ${lost} of volume ${name}, which hold data?`
      : `cut off the last ${lost} of volume ${name}, which are empty?`;
    if (!confirm(question, yes, `robur volume resize ${name} ${size}B --yes`)) return abandon();
    if (losesData) say(`volume ${name} lost data at its end`);
  }
  const resized = await resizeVolume(room, name, size, { mayShrink: isSmaller });
  say(`volume ${name}: ${formatSize(volume.size)} -> ${formatSize(resized.size)}`);
  warnOfSmallDisk(resized);
}

/** `robur volume snapshot`. Prints the copy's name. */
export async function snapshot(
  dataDirectory: string,
  text: string,
  copyText: string | undefined,
): Promise<void> {
  const name = volumeName(text);
  const copy = copyText === undefined ? snapshotName(name, Date.now()) : volumeName(copyText);
  using db = openDatabase(databasePath(dataDirectory));
  await working(`copying ${name}`, (work) =>
    snapshotVolume({ db, dataDirectory }, name, copy, Date.now(), work),
  );
  print(`${copy}\n`);
}

/** `robur volume rm`. Prints the names of those that are gone. */
export async function remove(
  dataDirectory: string,
  texts: readonly string[],
  { yes, keepFile }: { yes: boolean; keepFile: boolean },
): Promise<void> {
  const names = texts.map(volumeName);
  using db = openDatabase(databasePath(dataDirectory));
  const room = { db, dataDirectory };
  // Those that don't exist are found out before anybody is asked, and before the first is gone.
  const sizes = names.map((name) => `${name} (${formatSize(findVolume(room, name).size)})`);
  const command = `robur volume rm --yes ${names.join(" ")}`;
  const question = `remove ${names.length === 1 ? "volume" : "volumes"} ${sizes.join(", ")} for good?`;
  if (!keepFile && !confirm(question, yes, command)) return abandon();
  for (const name of names) {
    await removeVolume(room, name, { keepFile });
    print(`${name}\n`);
  }
}

/** `robur volume adopt`. Prints the names of those that are volumes now. */
export function adopt(dataDirectory: string, directory: string): void {
  using db = openDatabase(databasePath(dataDirectory));
  const { adopted, skipped } = adoptDirectory({ db, dataDirectory }, directory);
  for (const { path, why } of skipped) say(`${path}: left out, it ${why}`);
  print(adopted.map(({ name }) => `${name}\n`).join(""));
  if (adopted.length > 0) say("albatross must not run while robur uses them: it doesn't lock them");
}

/** Opens what --from names, and closes it again. */
async function withSource<T>(
  room: VolumeRoom,
  from: string,
  decompress: boolean | undefined,
  use: (source: Source) => Promise<T>,
): Promise<T> {
  if (from.startsWith("volume:")) {
    const volume = findFile(room, volumeName(from.slice("volume:".length)));
    return withLocked(volume, "shared", (fd) => use(volumeSource(volume.name, fd, volume.size)));
  }
  const source = openSource(from, decompress);
  if (source.looksPacked !== undefined) {
    say(`this looks like ${source.looksPacked} and is taken as it is (--decompress unpacks it)`);
  }
  try {
    return await use(source);
  } finally {
    source.close();
  }
}

/** Long work: with a bar, and ended by Ctrl-C in good order. A second Ctrl-C ends it at once. */
async function working<T>(label: string, work: (options: WorkOptions) => Promise<T>): Promise<T> {
  const called = new AbortController();
  const callOff = () => called.abort();
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.once(signal, callOff);
  try {
    return await withProgress(label, (onProgress) => work({ onProgress, signal: called.signal }));
  } finally {
    for (const signal of signals) process.off(signal, callOff);
  }
}

/** A volume may be larger than the disk; its guest learns that when the disk is full. */
function warnOfSmallDisk({ name, path, size, allocated }: Volume): void {
  const { bavail, bsize } = statfsSync(path);
  const free = bavail * bsize;
  if (size - allocated <= free) return;
  say(`warning: volume ${name} may grow to ${formatSize(size)}, and the disk has ${formatSize(free)} left`);
}

function abandon(): void {
  say("nothing was changed");
  process.exitCode = 1;
}
