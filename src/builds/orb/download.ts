/**
 * Fetching the sources that a unikernel's lock file names, as opam does: from a cache first, every hash checked before
 * anything is unpacked, the archive's only top directory taken off; git sources at the recorded commit.
 */
import {
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readSync,
  readdirSync,
  renameSync,
  rmSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { once } from "node:events";
import type { SourceHash, VendoredSource } from "../../opam/duniverse.ts";
import { OrbError } from "./orb-error.ts";

/** No source of anything is larger. */
const SIZE_MAX = 4 * 1024 ** 3;
/** A server that says nothing for so long has died. */
const SILENCE_MS = 60_000;
/** As many as opam has by default. */
const AT_ONCE = 3;

/** Fetches all sources into their directories below `target`. Throws OrbError failed. */
export async function fetchAll(
  sources: Iterable<VendoredSource>,
  target: string,
  cache: string | undefined,
): Promise<void> {
  const waiting = [...sources];
  const work = async () => {
    for (let source = waiting.shift(); source !== undefined; source = waiting.shift()) {
      await fetchInto(source, directoryBelow(target, source.directory), cache);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/** Throws OrbError failed for a name that leads elsewhere. */
function directoryBelow(target: string, name: string): string {
  const parts = name.split("/");
  if (parts.some((part) => part === "" || part === "." || part === "..") || name.includes("\0")) {
    throw new OrbError("failed", `the lock file names a directory that can't be: ${JSON.stringify(name)}`);
  }
  return join(target, name);
}

/** Fetches one source; the directory is made, whole or not at all. Throws OrbError failed. */
export async function fetchInto(
  { url, hashes }: VendoredSource,
  directory: string,
  cache: string | undefined,
): Promise<void> {
  mkdirSync(dirname(directory), { recursive: true });
  const scratch = mkdtempSync(join(dirname(directory), ".fetch-"));
  try {
    const tree = join(scratch, "tree");
    mkdirSync(tree);
    const git = gitSource(url);
    if (git === undefined) {
      const archive = join(scratch, "archive");
      await download(url, hashes, cache, archive);
      await unpack(archive, tree, url);
      renameSync(withoutTop(tree), directory);
    } else {
      await checkOut(git, tree);
      renameSync(tree, directory);
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

interface GitSource {
  readonly url: string;
  readonly commit: string;
}

/** Undefined for other kinds of URLs. Throws OrbError failed for a git URL without a commit. */
export function gitSource(url: string): GitSource | undefined {
  const isGit = url.startsWith("git+") || url.startsWith("git://") || /\.git(#|$)/.test(url);
  if (!isGit) return undefined;
  const [place = "", commit = ""] = url.replace(/^git\+/, "").split("#", 2);
  if (!/^(https?|git|ssh):\/\//.test(place))
    throw new OrbError("failed", `${url} is no URL that git sources have`);
  // What isn't a commit may be something else tomorrow.
  if (/^[0-9a-f]{7,64}$/.test(commit)) return { url: place, commit };
  throw new OrbError("failed", `${url} names no commit`, { why: "without one nobody can know what it was" });
}

async function checkOut({ url, commit }: GitSource, tree: string): Promise<void> {
  const git = async (...args: string[]) => {
    const child = Bun.spawn(["git", "-C", tree, "-c", "advice.detachedHead=false", ...args], {
      stdio: ["ignore", "ignore", "pipe"],
      env: {
        PATH: process.env["PATH"] ?? "",
        GIT_TERMINAL_PROMPT: "0",
        GIT_CONFIG_NOSYSTEM: "1",
        HOME: tree,
      },
    });
    const [stderr, status] = await Promise.all([child.stderr.text(), child.exited]);
    return { isDone: status === 0, stderr };
  };
  await git("init", "-q");
  // Not every server gives a commit by its name.
  const short = await git("fetch", "-q", "--depth", "1", "--", url, commit);
  const fetched = short.isDone ? short : await git("fetch", "-q", "--tags", "--", url, "+refs/*:refs/orb/*");
  const done = fetched.isDone ? await git("checkout", "-q", "--detach", commit, "--") : fetched;
  if (!done.isDone)
    throw new OrbError("failed", `${url} has no commit ${commit}`, { why: done.stderr.trim() });
  await git("submodule", "update", "-q", "--init", "--recursive");
  rmSync(join(tree, ".git"), { recursive: true, force: true });
}

/** Where an archive cache keeps a file: MIRROR/KIND/HH/HEX. */
export const cachePath = ({ kind, value }: SourceHash) => `${kind}/${value.slice(0, 2)}/${value}`;

async function download(
  url: string,
  hashes: readonly SourceHash[],
  cache: string | undefined,
  to: string,
): Promise<void> {
  if (!/^https?:\/\//.test(url)) throw new OrbError("failed", `${url} is no http URL`);
  if (hashes.length === 0)
    throw new OrbError("failed", `${url} has no hash`, { why: "it could be anything" });
  const mirror = cache?.replace(/\/+$/, "");
  const places =
    mirror === undefined ? [url] : [...hashes.map((hash) => `${mirror}/${cachePath(hash)}`), url];
  let last: OrbError | undefined;
  for (const place of places) {
    try {
      await downloadFrom(place, hashes, to);
      return;
    } catch (error) {
      if (!(error instanceof OrbError)) throw error;
      last = error;
    }
  }
  throw last!;
}

async function downloadFrom(url: string, hashes: readonly SourceHash[], to: string): Promise<void> {
  const failed = (why: string) => new OrbError("failed", `${url} could not be fetched`, { why });
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  const hashers = hashes.map(({ kind }) => new Bun.CryptoHasher(kind));
  const file = createWriteStream(to);
  try {
    const response = await fetch(url, { signal: silence.signal, headers: { accept: "*/*" } });
    if (!response.ok || response.body === null) throw failed(`the server answers ${response.status}`);
    let size = 0;
    for await (const piece of response.body) {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      size += piece.length;
      if (size > SIZE_MAX) throw failed(`it is larger than ${SIZE_MAX} bytes`);
      for (const hasher of hashers) hasher.update(piece);
      if (!file.write(piece)) await once(file, "drain");
    }
  } catch (error) {
    if (error instanceof OrbError) throw error;
    throw failed(error instanceof Error ? error.message : String(error));
  } finally {
    clearTimeout(timer);
    file.end();
    await once(file, "close");
  }
  for (const [i, { kind, value }] of hashes.entries()) {
    const found = hashers[i]!.digest("hex");
    if (found !== value) throw failed(`its ${kind} is ${found}, not ${value}`);
  }
}

/** zip by its first bytes; all else is for tar, which knows compression by itself. */
async function unpack(archive: string, tree: string, url: string): Promise<void> {
  const first = new Uint8Array(4);
  const fd = openSync(archive, "r");
  readSync(fd, first, 0, 4, 0);
  closeSync(fd);
  const isZip = first[0] === 0x50 && first[1] === 0x4b && first[2] === 3 && first[3] === 4;
  const argv = isZip
    ? ["unzip", "-q", archive, "-d", tree]
    : ["tar", "-xf", archive, "-C", tree, "--no-same-owner", "--no-same-permissions"];
  const child = Bun.spawn(argv, { stdio: ["ignore", "ignore", "pipe"] });
  const [stderr, status] = await Promise.all([child.stderr.text(), child.exited]);
  if (status === 0) return;
  const why = stderr.trim().split("\n").slice(-3).join("\n");
  throw new OrbError("failed", `${url} can't be unpacked`, {
    why: why || `${argv[0]} ended with status ${status}`,
  });
}

/** The only directory in a tree, or the tree itself. */
function withoutTop(tree: string): string {
  const [first, ...others] = readdirSync(tree, { withFileTypes: true });
  return first?.isDirectory() === true && others.length === 0 ? join(tree, first.name) : tree;
}
