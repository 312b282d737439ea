/** Makes the record of a build that didn't come as one: its frame is kept, and where its files belong in it. */
import { type RecordFields, recordFrame } from "../../protocols/builder/record-writer.ts";
import type { Content, ContentSession } from "../api.ts";
import type { ConsoleSpool } from "./console-spool.ts";
import type { KeptRecord } from "./insert-build.ts";
import { PIECE, PieceWriter } from "./piece-writer.ts";

/**
 * `spool`: the console's entries, oldest first; nothing is left in it. `files`: in the record's order, held by the
 * session. Throws DerError for text and times that no record can have.
 */
export async function makeRecord(
  session: ContentSession,
  build: Omit<RecordFields, "consoleSize" | "files">,
  spool: ConsoleSpool,
  files: readonly { readonly path: string; readonly content: Content }[],
): Promise<KeptRecord> {
  const { head, tail, holes } = recordFrame({
    ...build,
    consoleSize: spool.size,
    files: files.map(({ path, content }) => ({ path, size: content.size })),
  });
  await using frame = new PieceWriter(session.writer());
  frame.add(head);
  for await (const entries of spool.reversed()) {
    for (const entry of entries) frame.add(entry);
    await frame.flush(PIECE);
  }
  frame.add(tail);
  await frame.flush(0);
  return {
    frame: await frame.finish(),
    files: files.map(({ content }, i) => ({ content, offset: holes[i]! })),
  };
}
