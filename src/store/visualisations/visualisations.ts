/**
 * Pictures of builds: where the bytes of the binary go, and what it depends on. Each is made when somebody first looks,
 * by a thread of its own, once for all who look at that moment, and kept by what it was made from.
 */
import type { Database } from "bun:sqlite";
import { basename } from "node:path";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { write } from "../../db/open.ts";
import type { ElfComparison } from "../../image/elf-comparison.ts";
import { sha256Bytes } from "../../lib/sha256.ts";
import { MIB, formatSize } from "../../lib/units.ts";
import type { Artifact, Build, BuildStore, Content, ContentStore, Sha256 } from "../api.ts";
import { DrawingError, DrawingThread } from "./drawing-thread.ts";
import type { DrawingTask } from "./messages.ts";
import {
  type DependencyPicture,
  type NoPicture,
  PICTURE_VERSION,
  type PictureKind,
  type PictureOf,
  type TreemapPicture,
} from "./pictures.ts";
import { spool } from "./spool.ts";

export type PictureOutcome<P> =
  { readonly ok: true; readonly picture: P; readonly input: Artifact } | ({ readonly ok: false } & NoPicture);

export interface Visualisations extends AsyncDisposable {
  /** From the unstripped binary where the build has one, else from the main binary. */
  treemap(build: Build): Promise<PictureOutcome<TreemapPicture>>;
  /** From the switch export. */
  dependencies(build: Build): Promise<PictureOutcome<DependencyPicture>>;
  /** Of the unstripped binaries where both have one and these differ, else of the main binaries. */
  comparison(left: Build, right: Build): Promise<ComparisonOutcome>;
}

export type ComparisonOutcome =
  | {
      readonly ok: true;
      readonly comparison: ElfComparison;
      readonly inputs: { readonly left: Artifact; readonly right: Artifact };
    }
  | ({ readonly ok: false } & NoPicture);

export interface VisualisationOptions {
  /** Milliseconds since 1970. Default: the clock. */
  readonly now?: () => number;
}

type PictureTask = Extract<DrawingTask, { readonly kind: PictureKind }>;

/** Beyond this a file isn't looked at. */
const LARGEST: Readonly<Record<PictureKind, number>> = { treemap: 512 * MIB, dependencies: 16 * MIB };
const LARGEST_PICTURE = 64 * MIB;
/** Results in memory. */
const MOST_KEPT = 8;
/** `used_at` is for collection, which thinks in months. */
const USED_EACH_MS = 86_400_000;

/** The whole of them for one server. The caller disposes of it before the stores. */
export function openVisualisations(
  db: Database,
  builds: BuildStore,
  contents: ContentStore,
  { now = Date.now }: VisualisationOptions = {},
): Visualisations {
  const thread = new DrawingThread();
  const pictures = new Once<PictureOf[PictureKind]>();
  const comparisons = new Once<ElfComparison>();

  const pictureOf = async <K extends PictureKind>(
    kind: K,
    build: Build,
    input: Artifact | undefined,
    missing: string,
  ): Promise<PictureOutcome<PictureOf[K]>> => {
    const found = openInput(builds, build, input, missing, LARGEST[kind]);
    if (!found.ok) return found;
    const { sha256 } = found.input;
    const outcome = await pictures.get(`${kind} ${sha256}`, async () => {
      const kept = readPicture(db, kind, sha256, now());
      if (kept !== undefined) return kept;
      using file = await spool(contents, found.content);
      const picture = await thread.draw({ kind, file } as PictureTask);
      keepPicture(db, kind, sha256, picture, now());
      return picture;
    });
    return outcome.ok
      ? { ok: true, picture: outcome.value as PictureOf[K], input: found.input }
      : { ok: false, ...outcome.why };
  };

  return {
    treemap: (build) =>
      pictureOf("treemap", build, debugArtifact(build) ?? build.main, "the build has no binary"),
    dependencies: (build) =>
      pictureOf(
        "dependencies",
        build,
        build.artifacts.find(({ path }) => path === "opam-switch"),
        "the build has no record of its packages (opam-switch)",
      ),
    async comparison(left, right) {
      const debug = { left: debugArtifact(left), right: debugArtifact(right) };
      // Where they are the same, what differs is in the others.
      const both =
        debug.left !== undefined && debug.right !== undefined && debug.left.sha256 !== debug.right.sha256;
      const missing = "one of the builds has no binary";
      const a = openInput(builds, left, both ? debug.left : left.main, missing, LARGEST.treemap);
      const b = openInput(builds, right, both ? debug.right : right.main, missing, LARGEST.treemap);
      if (!a.ok) return a;
      if (!b.ok) return b;
      const outcome = await comparisons.get(`${a.input.sha256} ${b.input.sha256}`, async () => {
        using files = new DisposableStack();
        const task = {
          kind: "comparison" as const,
          left: files.use(await spool(contents, a.content)),
          right: files.use(await spool(contents, b.content)),
        };
        return await thread.draw(task);
      });
      return outcome.ok
        ? { ok: true, comparison: outcome.value, inputs: { left: a.input, right: b.input } }
        : { ok: false, ...outcome.why };
    },
    [Symbol.asyncDispose]: () => thread[Symbol.asyncDispose](),
  };
}

/** The unstripped binary: named as the main binary is, in any folder. */
export function debugArtifact({ main, artifacts }: Build): Artifact | undefined {
  if (main === undefined) return undefined;
  const name = `${basename(main.path)}.debug`;
  return (
    artifacts.find(({ path, isKept }) => path === name && isKept) ??
    artifacts.find(({ path, isKept }) => basename(path) === name && isKept)
  );
}

function openInput(
  builds: BuildStore,
  build: Build,
  input: Artifact | undefined,
  missing: string,
  largest: number,
):
  | { readonly ok: true; readonly input: Artifact; readonly content: Content }
  | ({ readonly ok: false } & NoPicture) {
  if (input === undefined) return { ok: false, reason: "no-input", message: missing };
  if (input.size > largest) {
    const message = `${input.path} is larger than ${formatSize(largest)}`;
    return { ok: false, reason: "too-large", message };
  }
  const content = builds.artifact(build.id, input.path)?.content;
  if (content === undefined)
    return { ok: false, reason: "no-input", message: `the bytes of ${input.path} are missing` };
  return { ok: true, input, content };
}

type Made<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly why: NoPicture };

/** Makes each thing once, however many ask at the same time, and remembers the last few, failures too. */
class Once<T> {
  readonly #made = new Map<string, Made<T>>();
  readonly #making = new Map<string, Promise<Made<T>>>();

  get(key: string, make: () => Promise<T>): Promise<Made<T>> {
    const made = this.#made.get(key);
    if (made !== undefined) {
      this.#keep(key, made);
      return Promise.resolve(made);
    }
    const running = this.#making.get(key);
    if (running !== undefined) return running;
    const started = this.#try(key, make).finally(() => this.#making.delete(key));
    this.#making.set(key, started);
    return started;
  }

  async #try(key: string, make: () => Promise<T>): Promise<Made<T>> {
    try {
      const made: Made<T> = { ok: true, value: await make() };
      this.#keep(key, made);
      return made;
    } catch (error) {
      // Anything else is a fault, which passes.
      if (!(error instanceof DrawingError) || error.code === "closed") throw error;
      const reason = error.code === "too-slow" ? "too-large" : "unreadable";
      const made: Made<T> = { ok: false, why: { reason, message: error.message } };
      this.#keep(key, made);
      return made;
    }
  }

  /** The one that wasn't used for longest goes. */
  #keep(key: string, made: Made<T>): void {
    this.#made.delete(key);
    this.#made.set(key, made);
    const [oldest] = this.#made.keys();
    if (this.#made.size > MOST_KEPT && oldest !== undefined) this.#made.delete(oldest);
  }
}

function readPicture(
  db: Database,
  kind: PictureKind,
  input: Sha256,
  now: number,
): PictureOf[PictureKind] | undefined {
  const key = [kind, sha256Bytes(input), PICTURE_VERSION[kind]] as const;
  const row = db
    .query<{ picture: Uint8Array; used_at: number }, [string, Uint8Array, number]>(
      "SELECT picture, used_at FROM visualisation WHERE kind = ? AND input = ? AND version = ?",
    )
    .get(...key);
  if (row === null) return undefined;
  if (now - row.used_at > USED_EACH_MS) {
    write(db, () =>
      db
        .query("UPDATE visualisation SET used_at = ? WHERE kind = ? AND input = ? AND version = ?")
        .run(now, ...key),
    );
  }
  const text = zstdDecompressSync(row.picture, { maxOutputLength: LARGEST_PICTURE }).toString();
  return JSON.parse(text) as PictureOf[PictureKind];
}

/** The picture's older versions go with it. */
function keepPicture(
  db: Database,
  kind: PictureKind,
  input: Sha256,
  picture: PictureOf[PictureKind],
  now: number,
): void {
  const bytes = zstdCompressSync(JSON.stringify(picture));
  write(db, () => {
    db.query("DELETE FROM visualisation WHERE kind = ? AND input = ? AND version < ?").run(
      kind,
      sha256Bytes(input),
      PICTURE_VERSION[kind],
    );
    db.query(
      "INSERT OR REPLACE INTO visualisation (kind, version, input, picture, used_at) VALUES (?, ?, ?, ?, ?)",
    ).run(kind, PICTURE_VERSION[kind], sha256Bytes(input), bytes, now);
  });
}
