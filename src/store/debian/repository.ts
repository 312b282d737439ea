/**
 * Packages for apt: one distribution for each platform, with the newest package of each job that builds packages there.
 * Everything is made when it is asked for and remembered until a build changes it; the newest build takes the place of
 * the one before. What was published just before is still given, by names that have a hash in them: whoever has read
 * one list isn't disappointed because the next one is there already.
 */
import type { Database } from "bun:sqlite";
import { dirname } from "node:path";
import { gzipSync } from "node:zlib";
import { write } from "../../db/open.ts";
import { sha256Of } from "../../lib/sha256-of.ts";
import type { BuildStore, BuildSummary, ContentStore, Platform, Sha256 } from "../api.ts";
import { DebianError } from "./debian-error.ts";
import { type SigningKey, armoredKey, clearSigned, detachedSignature, fingerprint } from "./openpgp.ts";
import { type PublishedPackage, publishPackage } from "./package.ts";
import { publishedSince } from "./publications.ts";

export interface RepositoryOptions {
  readonly db: Database;
  readonly builds: BuildStore;
  readonly contents: ContentStore;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Told once of each package that can't be published, and why. */
  readonly refuse: (build: BuildSummary, error: DebianError) => void;
}

export interface DebianRepository {
  /** Those that have packages, in order. */
  platforms(): Platform[];
  /** A file by its path below dists/PLATFORM/; undefined where there is none. */
  file(platform: Platform, path: string): Promise<Uint8Array | undefined>;
  /** By its file name in pool/PLATFORM/. */
  package(platform: Platform, filename: string): Promise<PublishedPackage | undefined>;
  /** For /etc/apt/keyrings. */
  publicKey(): { readonly armored: string; readonly fingerprint: string };
}

/** What is published of a platform at a time. */
interface Distribution {
  /** Milliseconds since 1970: the newer, the later. */
  readonly at: number;
  /** By their paths below dists/PLATFORM/. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** By their file names in pool/PLATFORM/. */
  readonly packages: ReadonlyMap<string, PublishedPackage>;
}

interface Published {
  readonly mark: string;
  readonly made: Promise<Distribution>;
  /** Newest first. */
  readonly former: readonly Distribution[];
}

/** Packages and refusals that are remembered, by their contents. */
const REMEMBERED = 500;
/** How many of those before are still given. */
const FORMER = 3;
/** apt takes nothing that is dated later than its own clock says. */
const SLOW_CLOCK_MS = 5 * 60_000;

export function openRepository(options: RepositoryOptions): DebianRepository {
  const packages = new Map<string, Promise<PublishedPackage | undefined>>();
  const platforms = new Map<Platform, Published>();

  const packageOf = (candidate: Candidate) => {
    const key = `${candidate.main} ${candidate.builtAt}`;
    const known = packages.get(key) ?? publish(options, candidate);
    // The least recently used goes first.
    packages.delete(key);
    packages.set(key, known);
    known.catch(() => packages.delete(key));
    for (const old of packages.keys()) if (packages.size > REMEMBERED) packages.delete(old);
    return known;
  };

  /** What is published now, and the ones before; none where no package is. */
  const published = async (platform: Platform): Promise<readonly Distribution[]> => {
    const candidates = candidatesOf(options, platform);
    if (candidates.length === 0) return [];
    const mark = candidates.map(({ main, builtAt }) => `${main} ${builtAt}`).join("\n");
    const before = platforms.get(platform);
    if (before?.mark !== mark) platforms.set(platform, next(before, mark, platform, candidates));
    const { made, former } = platforms.get(platform)!;
    const newest = await made;
    return newest.packages.size === 0 ? [] : [newest, ...former];
  };

  const next = (
    before: Published | undefined,
    mark: string,
    platform: Platform,
    candidates: readonly Candidate[],
  ): Published => {
    const former: Distribution[] = [];
    const made = (async () => {
      // Who fell down making the one before is no reason to fall down as well.
      const last = await before?.made.catch(() => undefined);
      former.push(...[...(last === undefined ? [] : [last]), ...(before?.former ?? [])].slice(0, FORMER));
      return makeDistribution(options, platform, candidates, { packageOf, after: last?.at });
    })();
    made.catch(() => platforms.delete(platform));
    return { mark, made, former };
  };

  return {
    platforms: () => {
      const found = options.builds.overview().flatMap(({ latest }) => latest.filter(isPackage));
      return [...new Set(found.map(({ platform }) => platform))].sort();
    },
    async file(platform, path) {
      const [newest, ...former] = await published(platform);
      const isByHash = path.includes("/by-hash/");
      return (
        newest?.files.get(path) ??
        (isByHash ? former.find(({ files }) => files.has(path))?.files.get(path) : undefined)
      );
    },
    async package(platform, filename) {
      const found = (await published(platform)).find(({ packages: all }) => all.has(filename));
      const one = found?.packages.get(filename);
      return one?.isThere() === true ? one : undefined;
    },
    publicKey: () => {
      const key = signingKey(options.db, options.now());
      return { armored: armoredKey(key), fingerprint: fingerprint(key) };
    },
  };
}

interface Candidate {
  readonly build: BuildSummary;
  readonly main: Sha256;
  /** When this output was built. */
  readonly builtAt: number;
}

const isPackage = ({ main }: BuildSummary) => main?.path.endsWith(".deb") === true && main.isKept;

/** The newest good build of each job, where that is a package. */
function candidatesOf({ db, builds }: RepositoryOptions, platform: Platform): Candidate[] {
  return builds.jobs().flatMap((job) => {
    const build = builds.latest(job, platform);
    if (build?.main === undefined || !isPackage(build)) return [];
    const main = build.main.sha256;
    return [{ build, main, builtAt: publishedSince(db, builds, build, main) }];
  });
}

async function publish(
  { builds, contents, refuse }: RepositoryOptions,
  { build, builtAt }: Candidate,
): Promise<PublishedPackage | undefined> {
  const content = build.main === undefined ? undefined : builds.artifact(build.id, build.main.path)?.content;
  if (content === undefined) return undefined;
  try {
    return await publishPackage(contents, content, builtAt);
  } catch (error) {
    if (!(error instanceof DebianError)) throw error;
    refuse(build, error);
    return undefined;
  }
}

interface Making {
  readonly packageOf: (candidate: Candidate) => Promise<PublishedPackage | undefined>;
  /** When the one before was made. */
  readonly after: number | undefined;
}

async function makeDistribution(
  { db, now }: RepositoryOptions,
  platform: Platform,
  candidates: readonly Candidate[],
  { packageOf, after = 0 }: Making,
): Promise<Distribution> {
  const packages = new Map<string, PublishedPackage>();
  const taken = new Set<string>();
  // Two jobs may build packages of one name: the newest is it.
  for (const candidate of candidates.toSorted((a, b) => b.builtAt - a.builtAt)) {
    const found = await packageOf(candidate);
    const name = found === undefined ? "" : `${found.control.name} ${found.control.architecture}`;
    if (found === undefined || taken.has(name)) continue;
    taken.add(name);
    packages.set(found.filename, found);
  }
  // Not the newest build's time: where that is removed the list is older, and apt would go on with the one that it has.
  const at = Math.max(after + 1000, now() - SLOW_CLOCK_MS);
  return { at, packages, files: indexFiles(signingKey(db, now()), platform, [...packages.values()], at) };
}

/** `deb …/deb PLATFORM main` reads these: https://wiki.debian.org/DebianRepository/Format */
function indexFiles(
  key: SigningKey,
  platform: Platform,
  packages: readonly PublishedPackage[],
  at: number,
): ReadonlyMap<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const own = new Set(packages.map(({ control }) => control.architecture).filter((name) => name !== "all"));
  const architectures = own.size === 0 ? ["amd64", "arm64"] : [...own].sort();
  for (const architecture of architectures) {
    const text = packages
      .filter(({ control }) => control.architecture === architecture || control.architecture === "all")
      .toSorted((a, b) => (a.filename < b.filename ? -1 : 1))
      .map(({ stanza }) => stanza(`pool/${platform}`))
      .join("\n");
    const bytes = Buffer.from(text, "utf8");
    files.set(`main/binary-${architecture}/Packages`, bytes);
    files.set(`main/binary-${architecture}/Packages.gz`, gzipSync(bytes, { level: 9 }));
  }
  const lists = [...files].map(([path, bytes]) => ({ path, bytes, sha256: sha256Of(bytes) }));
  for (const { path, bytes, sha256 } of lists) files.set(`${dirname(path)}/by-hash/SHA256/${sha256}`, bytes);
  const sums = lists.map(({ path, bytes, sha256 }) => ` ${sha256} ${bytes.length} ${path}\n`);
  const release = [
    ...["Origin: robur\n", "Label: robur\n", `Suite: ${platform}\n`, `Codename: ${platform}\n`],
    ...[
      `Date: ${new Date(at).toUTCString().replace("GMT", "UTC")}\n`,
      `Architectures: ${architectures.join(" ")}\n`,
    ],
    ...["Components: main\n", "Description: Packages that were built here\n", "Acquire-By-Hash: yes\n"],
    ...["SHA256:\n", ...sums],
  ].join("");
  // A signature must not be older than its key.
  const signedAt = Math.max(at, key.createdAt);
  files.set("Release", Buffer.from(release, "utf8"));
  files.set("Release.gpg", Buffer.from(detachedSignature(key, Buffer.from(release, "utf8"), signedAt)));
  files.set("InRelease", Buffer.from(clearSigned(key, release, signedAt), "utf8"));
  return files;
}

interface KeyRow {
  readonly seed: Uint8Array;
  readonly name: string;
  readonly created_at: number;
}

/** The repository's key, made when it is first wanted. */
function signingKey(db: Database, now: number): SigningKey {
  const find = () => db.query<KeyRow, []>("SELECT seed, name, created_at FROM repository_key").get();
  const row =
    find() ??
    write(db, () => {
      db.query(
        "INSERT INTO repository_key (id, seed, name, created_at) VALUES (1, ?, ?, ?) ON CONFLICT DO NOTHING",
      ).run(
        crypto.getRandomValues(new Uint8Array(32)),
        "robur package repository",
        Math.floor(now / 1000) * 1000,
      );
      return find();
    })!;
  return { seed: row.seed, name: row.name, createdAt: row.created_at };
}
