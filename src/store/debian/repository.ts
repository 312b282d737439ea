/**
 * Packages for apt: one distribution for each platform, with the newest package of each job that builds packages there.
 * Everything is made when it is asked for and remembered until a build changes it; the newest build takes the place of
 * the one before.
 */
import type { Database } from "bun:sqlite";
import { gzipSync } from "node:zlib";
import { write } from "../../db/open.ts";
import { sha256Of } from "../../lib/sha256-of.ts";
import type { BuildStore, BuildSummary, ContentStore, Platform, Sha256 } from "../api.ts";
import { DebianError } from "./debian-error.ts";
import { type SigningKey, armoredKey, clearSigned, detachedSignature } from "./openpgp.ts";
import { type PublishedPackage, publishPackage } from "./package.ts";

export interface RepositoryOptions {
  readonly db: Database;
  readonly builds: BuildStore;
  readonly contents: ContentStore;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Told once of each package that can't be published, and why. */
  readonly refuse: (build: BuildSummary, error: DebianError) => void;
}

/** The files of one distribution, by their paths below dists/PLATFORM/. */
export interface Distribution {
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** By their file names in pool/PLATFORM/. */
  readonly packages: ReadonlyMap<string, PublishedPackage>;
}

export interface DebianRepository {
  /** Undefined where nothing is published. */
  distribution(platform: Platform): Promise<Distribution | undefined>;
  /** For /etc/apt/keyrings. */
  publicKey(): string;
}

/** Packages and refusals that are remembered, by their contents. */
const REMEMBERED = 500;
/** An output that came again and again is as old as the first time, as far back as this. */
const STREAK = 200;

export function openRepository(options: RepositoryOptions): DebianRepository {
  const packages = new Map<string, Promise<PublishedPackage | undefined>>();
  const distributions = new Map<Platform, { readonly mark: string; readonly made: Promise<Distribution> }>();

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

  return {
    async distribution(platform) {
      const candidates = candidatesOf(options.builds, platform);
      if (candidates.length === 0) return undefined;
      const mark = candidates.map(({ main, builtAt }) => `${main} ${builtAt}`).join("\n");
      let known = distributions.get(platform);
      if (known?.mark !== mark) {
        const made = makeDistribution(options, platform, candidates, packageOf);
        known = { mark, made };
        distributions.set(platform, known);
        made.catch(() => distributions.delete(platform));
      }
      const distribution = await known.made;
      return distribution.packages.size === 0 ? undefined : distribution;
    },
    publicKey: () => armoredKey(signingKey(options.db, options.now())),
  };
}

interface Candidate {
  readonly build: BuildSummary;
  readonly main: Sha256;
  /** When this output came first, of those in a row. */
  readonly builtAt: number;
}

/** The newest good build of each job, where that is a package. */
function candidatesOf(builds: BuildStore, platform: Platform): Candidate[] {
  return builds.jobs().flatMap((job) => {
    const build = builds.latest(job, platform);
    if (build?.main === undefined || !build.main.path.endsWith(".deb") || !build.main.isKept) return [];
    const main = build.main.sha256;
    // The same package again is no new one.
    const before = builds.buildsOf(job, { platform, kind: "successful", limit: STREAK });
    const other = before.findIndex((earlier) => earlier.main?.sha256 !== main);
    const first = (other < 0 ? before : before.slice(0, other)).at(-1) ?? build;
    return [{ build, main, builtAt: first.startedAt }];
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

async function makeDistribution(
  { db, now }: RepositoryOptions,
  platform: Platform,
  candidates: readonly Candidate[],
  packageOf: (candidate: Candidate) => Promise<PublishedPackage | undefined>,
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
  const at = Math.max(0, ...candidates.map(({ builtAt }) => builtAt));
  return { packages, files: indexFiles(signingKey(db, now()), platform, [...packages.values()], at) };
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
  const sums = [...files].map(([path, bytes]) => ` ${sha256Of(bytes)} ${bytes.length} ${path}\n`);
  const release = [
    ...["Origin: robur\n", "Label: robur\n", `Suite: ${platform}\n`, `Codename: ${platform}\n`],
    ...[
      `Date: ${new Date(at).toUTCString().replace("GMT", "UTC")}\n`,
      `Architectures: ${architectures.join(" ")}\n`,
    ],
    ...["Components: main\n", "Description: Packages that were built here\n", "SHA256:\n", ...sums],
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
