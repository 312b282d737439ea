/**
 * Puts an executable in the place of the one that is there, by one rename: there is always a whole robur, the old
 * one or the new, and processes that run the old one (the server, and the tenders, which never notice) keep it. The
 * old one stays beside it as robur.prev.
 */
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { randomBytes } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { createGunzip } from "node:zlib";
import { Readable } from "node:stream";
import { ReleaseError, UNCHANGED, explainPlacing } from "./release-error.ts";
import { type Release, notGenuine, request, unreachable } from "./fetch-release.ts";

/** A robur of any version is smaller, packed or not. */
const SIZE_MAX = 1024 * 1024 * 1024;
/** A download that stands still for this long has broken off. */
const STALL_MS = 60_000;

export interface DownloadWork {
  readonly onProgress?: (done: number, total: number | undefined) => void;
  readonly signal?: AbortSignal;
}

/** Where the executable before is kept. */
export function previousPath(target: string): string {
  return `${target}.prev`;
}

/**
 * Downloads a release's executable beside `target`, checks it, tries it, and puts it in place. Throws ReleaseError;
 * nothing was changed then.
 */
export async function installRelease(
  release: Release,
  target: string,
  work: DownloadWork = {},
): Promise<void> {
  const staged = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString("hex")}`);
  try {
    await download(release, staged, work);
    chmodSync(staged, 0o755);
    const answer = versionOf(staged);
    if (!answer.startsWith(`robur ${release.version} (`)) {
      throw new ReleaseError(
        "does-not-run",
        `robur ${release.version} does not run on this machine; ${UNCHANGED}`,
        {
          why: `its answer to --version is: ${answer}`,
          hint: "robur doctor; a release may need a CPU with AVX2, and nothing runs from a disk mounted noexec",
        },
      );
    }
    keepPrevious(target);
    renameSync(staged, target);
    syncDirectory(dirname(target));
  } catch (error) {
    throw explainPlacing(error, target);
  } finally {
    rmSync(staged, { force: true });
  }
}

/** Exchanges the executable and the one before it; answers what is in place now. Throws ReleaseError. */
export function rollBack(target: string): string {
  const previous = previousPath(target);
  if (!existsSync(previous)) {
    throw new ReleaseError("missing", `there is no ${previous} to go back to`, {
      hint: "robur upgrade --version X",
    });
  }
  const answer = versionOf(previous);
  if (!answer.startsWith("robur ")) {
    throw new ReleaseError("does-not-run", `${previous} does not run any more; ${UNCHANGED}`, {
      why: `its answer to --version is: ${answer}`,
    });
  }
  const aside = join(dirname(target), `.${basename(target)}.${randomBytes(6).toString("hex")}`);
  try {
    secondName(target, aside);
    renameSync(previous, target);
    renameSync(aside, previous);
    syncDirectory(dirname(target));
  } catch (error) {
    throw explainPlacing(error, target);
  } finally {
    rmSync(aside, { force: true });
  }
  return answer;
}

/** What an executable says of itself, or how it ended. */
export function versionOf(path: string): string {
  try {
    const { stdout, exitCode, signalCode } = Bun.spawnSync([path, "--version"], {
      env: { ...process.env, BUN_BE_BUN: undefined, BUN_OPTIONS: undefined },
      stdin: "ignore",
      stderr: "ignore",
    });
    const text = stdout.toString().trim();
    return exitCode === 0 ? text : `${text} (${signalCode ?? `exit status ${exitCode}`})`.trim();
  } catch (error) {
    // It can't even be started.
    if (error instanceof Error) return error.message;
    throw error;
  }
}

async function download(release: Release, path: string, work: DownloadWork): Promise<void> {
  const url = `${release.address}/${release.file}`;
  const stall = new AbortController();
  const signal = AbortSignal.any([stall.signal, ...(work.signal === undefined ? [] : [work.signal])]);
  let timer = setTimeout(() => stall.abort(), STALL_MS);
  const fd = openSync(path, "wx", 0o700);
  try {
    const response = await request(url, signal);
    const length = Number(response.headers.get("content-length") ?? Number.NaN);
    const total = Number.isSafeInteger(length) ? length : undefined;
    const packed = new Bun.CryptoHasher("sha256");
    let done = 0;
    const counted = async function* () {
      for await (const chunk of response.body ?? []) {
        clearTimeout(timer);
        timer = setTimeout(() => stall.abort(), STALL_MS);
        packed.update(chunk);
        done += chunk.length;
        if (done > SIZE_MAX) throw notGenuine(url, "it is far too large");
        work.onProgress?.(done, total);
        yield chunk;
      }
    };
    const unpacked = await unpackInto(fd, counted(), url);
    if (packed.digest("hex") !== release.packedSha256) {
      throw notGenuine(url, "its SHA-256 is not the one that was signed");
    }
    if (unpacked !== release.sha256) throw notGenuine(url, "what it unpacks to is not what was signed");
    fsyncSync(fd);
  } catch (error) {
    if (work.signal?.aborted === true) throw new ReleaseError("failed", `interrupted; ${UNCHANGED}`);
    throw stall.signal.aborted ? unreachable(url, "nothing came for a minute") : error;
  } finally {
    clearTimeout(timer);
    closeSync(fd);
  }
}

/** Writes what the bytes unpack to; answers its SHA-256. */
async function unpackInto(fd: number, packed: AsyncIterable<Uint8Array>, url: string): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  const source = Readable.from(packed);
  const unpacking = source.pipe(createGunzip());
  source.once("error", (error) => unpacking.destroy(error));
  let length = 0;
  try {
    for await (const chunk of unpacking as AsyncIterable<Uint8Array>) {
      length += chunk.length;
      if (length > SIZE_MAX) throw notGenuine(url, "it is far too large");
      hash.update(chunk);
      for (let done = 0; done < chunk.length;) done += writeSync(fd, chunk, done);
    }
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (code.startsWith("Z_")) throw notGenuine(url, "it can't be unpacked");
    throw code === "" || code.startsWith("E") || error instanceof ReleaseError
      ? error
      : unreachable(url, error);
  }
  return hash.digest("hex");
}

/** The old one stays under its name until the new one takes it. */
function keepPrevious(target: string): void {
  if (!existsSync(target)) return;
  const aside = `${previousPath(target)}.${randomBytes(6).toString("hex")}`;
  try {
    secondName(target, aside);
    renameSync(aside, previousPath(target));
  } finally {
    rmSync(aside, { force: true });
  }
}

function secondName(path: string, name: string): void {
  try {
    linkSync(path, name);
  } catch (error) {
    // File systems without second names.
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code !== "EPERM" && code !== "EOPNOTSUPP") throw error;
    copyFileSync(path, name);
  }
}

function syncDirectory(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
