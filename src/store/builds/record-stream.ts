/** Gives records back: a frame, with the bytes of the files where they belong. */
import type { Database } from "bun:sqlite";
import { Turns } from "../../lib/turns.ts";
import { ByteInput } from "../../protocols/der/byte-input.ts";
import { StoreError } from "../store-error.ts";
import type { BuildId, Content, ContentStore } from "../api.ts";

/** Rows at a time. */
const ROWS = 1000;

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
  const { files } = db
    .query<{ files: number }, [number]>(
      `SELECT coalesce(sum(c.size), 0) AS files FROM record_file f CROSS JOIN content c ON c.id = f.content
       WHERE f.build = ?`,
    )
    .get(row.id)!;
  return { size: frame.size + files, stream: () => streamOf(pieces(db, contents, row.id, frame)) };
}

async function* pieces(
  db: Database,
  contents: ContentStore,
  build: number,
  frame: Content,
): AsyncGenerator<Uint8Array, void, void> {
  await using input = new ByteInput(contents.read(frame));
  const turns = new Turns();
  let position = 0;
  for (;;) {
    const rows = db
      .query<{ offset: number; content: number }, [number, number, number]>(
        `SELECT offset, content FROM record_file WHERE build = ? AND position >= ? ORDER BY position LIMIT ?`,
      )
      .all(build, position, ROWS);
    for (const { offset, content } of rows) {
      await turns.give();
      yield* input.pass(offset - input.offset);
      const found = contents.byId(content);
      if (found === undefined)
        throw new StoreError("gone", "the build was removed while its record was read");
      yield* contents.read(found);
    }
    position += rows.length;
    if (rows.length < ROWS) break;
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
