/** Gives records back: a frame, with the bytes of the files where they belong. */
import type { Database } from "bun:sqlite";
import { sha256Text } from "../../lib/sha256.ts";
import { Turns } from "../../lib/turns.ts";
import { ByteInput } from "../../protocols/der/byte-input.ts";
import { StoreError } from "../store-error.ts";
import type { BuildId, Content, ContentStore, Sha256 } from "../api.ts";

/** A file of a record, and where its bytes belong in the frame. */
interface Hole {
  readonly offset: number;
  readonly sha256: Sha256;
  readonly size: number;
}

/** A build's exec document, or undefined where the build is unknown or has none. */
export function recordOf(
  db: Database,
  contents: ContentStore,
  id: BuildId,
): { readonly size: number; readonly stream: () => ReadableStream<Uint8Array> } | undefined {
  const row = db
    .query<{ id: number; record: number | null }, [string]>("SELECT id, record FROM build WHERE uuid = ?")
    .get(id);
  if (row === null || row.record === null) return undefined;
  const frame = contents.byId(row.record);
  if (frame === undefined) return undefined;
  const holes = db
    .query<{ offset: number; sha256: Uint8Array; size: number }, [number]>(
      `SELECT f.offset, c.sha256, c.size FROM record_file f CROSS JOIN content c ON c.id = f.content
       WHERE f.build = ? ORDER BY f.position`,
    )
    .all(row.id)
    .map(({ sha256, ...hole }): Hole => ({ ...hole, sha256: sha256Text(sha256) }));
  const size = holes.reduce((sum, hole) => sum + hole.size, frame.size);
  return { size, stream: () => streamOf(pieces(contents, frame, holes)) };
}

async function* pieces(
  contents: ContentStore,
  frame: Content,
  holes: readonly Hole[],
): AsyncGenerator<Uint8Array, void, void> {
  // All are held from here on: the build may be removed meanwhile.
  await using session = contents.session();
  const find = (sha256: Sha256): Content => {
    const content = session.find(sha256);
    if (content !== undefined) return content;
    throw new StoreError("gone", "the build was removed before its record was read");
  };
  const files = holes.map(({ offset, sha256 }) => ({ offset, content: find(sha256) }));
  await using input = new ByteInput(contents.read(find(frame.sha256)));
  const turns = new Turns();
  for (const { offset, content } of files) {
    await turns.give();
    yield* input.pass(offset - input.offset);
    yield* contents.read(content);
  }
  yield* input.pass(frame.size - input.offset);
}

/** A chunk when somebody wants one; none is held back. */
function streamOf(chunks: AsyncGenerator<Uint8Array, void, void>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await chunks.next();
        if (done === true) controller.close();
        else controller.enqueue(value.slice());
      },
      async cancel() {
        await chunks.return();
      },
    },
    { highWaterMark: 0 },
  );
}
