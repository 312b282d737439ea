/** All files of a build as a tar archive: the same bytes each time, and streamed. */
import { createGzip } from "node:zlib";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type Pack, pack } from "tar-stream";
import { Turns } from "../../lib/turns.ts";
import type { Build, BuildStore, Content, ContentStore } from "../../store/api.ts";
import { StoreError } from "../../store/store-error.ts";

interface Entry {
  readonly name: string;
  readonly mode: number;
  readonly content: Content;
}

export interface ArchiveOptions {
  readonly gzip: boolean;
  /** Script, console and README as well. */
  readonly withLog: boolean;
}

interface Context {
  readonly builds: BuildStore;
  readonly contents: ContentStore;
}

/** The archive. Entries are in the order of their paths, at the time when the build finished; what isn't kept is left out. */
export function archive(context: Context, build: Build, options: ArchiveOptions): ReadableStream<Uint8Array> {
  const seconds = Math.floor(build.finishedAt / 1000);
  const tar = pack();
  void fill(tar, context, build, options.withLog, seconds).catch((error: unknown) =>
    tar.destroy(error instanceof Error ? error : new Error(String(error))),
  );
  if (!options.gzip) return toWeb(tar);
  const zip = createGzip({ level: 6 });
  // What goes wrong reaches the reader through `zip`, which the pipeline destroys with it.
  pipeline(tar, zip).catch(() => undefined);
  return withTime(toWeb(zip), seconds);
}

function toWeb(stream: Readable | Pack): ReadableStream<Uint8Array> {
  return Readable.toWeb(Readable.from(stream as Readable)) as unknown as ReadableStream<Uint8Array>;
}

async function fill(
  tar: Pack,
  { builds, contents }: Context,
  build: Build,
  withLog: boolean,
  seconds: number,
): Promise<void> {
  const mtime = new Date(seconds * 1000);
  const turns = new Turns();
  const put = async ({ name, mode, content }: Entry) => {
    await turns.give();
    const entry = tar.entry({ name, mode, size: content.size, mtime, type: "file" });
    await pipeline(Readable.from(contents.read(content)), entry);
  };
  // All are held from here on: the build may be removed meanwhile.
  await using session = contents.session();
  const files = build.artifacts
    .filter(({ isKept }) => isKept)
    .toSorted((a, b) => (a.path < b.path ? -1 : 1))
    .map(({ path, sha256 }) => ({ path, content: session.find(sha256) }));
  for (const { path, content } of files) {
    if (content === undefined) throw new StoreError("gone", `${path} was removed before it was packed`);
    await put({ name: path, mode: path.startsWith("bin/") ? 0o755 : 0o644, content });
  }
  if (withLog) {
    await put({ name: "script.txt", mode: 0o644, content: build.script });
    await put({ name: "console.txt", mode: 0o644, content: build.console });
    const readme = builds.job(build.job)?.readme;
    if (readme !== undefined) tar.entry({ name: "README.md", mode: 0o644, mtime }, readme);
  }
  tar.finalize();
}

/** Puts the time into gzip's header (RFC 1952 2.3), whose bytes 4 to 7 zlib leaves empty. */
function withTime(stream: ReadableStream<Uint8Array>, seconds: number): ReadableStream<Uint8Array> {
  let at = 0;
  return stream.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(piece, controller) {
        const out = at < 8 ? piece.slice() : piece;
        for (let i = Math.max(4 - at, 0); at + i < 8 && i < out.length; i++) {
          out[i] = (seconds >>> (8 * (at + i - 4))) & 0xff;
        }
        at += out.length;
        controller.enqueue(out);
      },
    }),
  );
}
