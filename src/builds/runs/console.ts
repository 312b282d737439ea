/**
 * A run's console while it is the database's: lines in batches, as they came. A batch is written before it is
 * acknowledged. When the build is kept, its console is the store's, and these rows go some time later.
 */
import type { Database } from "bun:sqlite";
import type { ConsoleLine, RunId } from "../api.ts";

/** A line as workers send it. */
export interface SentLine {
  readonly delta: bigint;
  readonly text: Uint8Array;
}

/** Before each line: its nanoseconds (8 bytes), its length (4 bytes), both big endian. */
const LINE_HEADER = 12;
/** The longest line that is taken; a longer one comes in pieces of this length. */
export const LINE_MAX = 1024 * 1024;
/** Of a run's console no more is kept. */
export const CONSOLE_MAX = 64 * 1024 * 1024;
const BATCH_MAX = 256 * 1024;

/** Lines as bytes. */
export function encodeLines(lines: readonly SentLine[]): Uint8Array {
  const size = lines.reduce((sum, { text }) => sum + LINE_HEADER + text.length, 0);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const { delta, text } of lines) {
    view.setBigInt64(at, delta);
    view.setUint32(at + 8, text.length);
    bytes.set(text, at + LINE_HEADER);
    at += LINE_HEADER + text.length;
  }
  return bytes;
}

/** Bytes as lines; undefined where they are none. The texts are views of `bytes`. */
export function decodeLines(bytes: Uint8Array): SentLine[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const lines: SentLine[] = [];
  for (let at = 0; at < bytes.length;) {
    if (bytes.length - at < LINE_HEADER) return undefined;
    const length = view.getUint32(at + 8);
    if (length > LINE_MAX || length > bytes.length - at - LINE_HEADER) return undefined;
    const delta = view.getBigInt64(at);
    at += LINE_HEADER;
    lines.push({ delta: delta < 0n ? 0n : delta, text: bytes.subarray(at, at + length) });
    at += length;
  }
  return lines;
}

/** Puts lines behind those of a run; answers how many the run has then. Within a transaction. */
export function appendLines(db: Database, run: RunId, lines: readonly SentLine[]): number {
  const state = db
    .query<{ lines: number; console_bytes: number }, [number]>(
      "SELECT lines, console_bytes FROM run WHERE id = ?",
    )
    .get(run);
  if (state === null) return 0;
  const kept = withinLimit(lines, state.console_bytes);
  let first = state.lines;
  for (const batch of inBatches(kept.lines)) {
    db.query("INSERT INTO run_console (run, first_line, lines, content) VALUES (?, ?, ?, ?)").run(
      ...([run, first, batch.length, encodeLines(batch)] as const),
    );
    first += batch.length;
  }
  db.query("UPDATE run SET lines = ?, console_bytes = ? WHERE id = ?").run(first, kept.bytes, run);
  return first;
}

/** Those that still fit, and once the notice that the others are missing. */
function withinLimit(lines: readonly SentLine[], before: number): { lines: SentLine[]; bytes: number } {
  const kept: SentLine[] = [];
  let bytes = before;
  for (const line of lines) {
    if (bytes > CONSOLE_MAX) break;
    bytes += LINE_HEADER + line.text.length;
    if (bytes <= CONSOLE_MAX) {
      kept.push(line);
      continue;
    }
    const notice = `[robur: the console is larger than ${CONSOLE_MAX / 1024 / 1024} MiB; what follows is not kept]`;
    kept.push({ delta: line.delta, text: new TextEncoder().encode(notice) });
  }
  return { lines: kept, bytes };
}

function* inBatches(lines: readonly SentLine[]): Generator<SentLine[]> {
  let batch: SentLine[] = [];
  let size = 0;
  for (const line of lines) {
    batch.push(line);
    size += line.text.length;
    if (size < BATCH_MAX) continue;
    yield batch;
    batch = [];
    size = 0;
  }
  if (batch.length > 0) yield batch;
}

interface BatchRow {
  readonly first_line: number;
  readonly lines: number;
  readonly content: Uint8Array;
}

/** A run's lines from `from` on: a batch or a few, at least one line where there is one, up to `end`. */
export function readLines(
  db: Database,
  run: RunId,
  from: number,
  end = Number.MAX_SAFE_INTEGER,
): ConsoleLine[] {
  // The batch in which the line is begins at or before it.
  const start = db
    .query<{ first_line: number }, [number, number]>(
      "SELECT first_line FROM run_console WHERE run = ? AND first_line <= ? ORDER BY first_line DESC LIMIT 1",
    )
    .get(run, from);
  const rows = db
    .query<BatchRow, [number, number, number]>(
      `SELECT first_line, lines, content FROM run_console WHERE run = ? AND first_line >= ? AND first_line < ?
       ORDER BY first_line LIMIT 16`,
    )
    .all(run, start?.first_line ?? from, end);
  return rows.flatMap(({ first_line, content }) =>
    (decodeLines(content) ?? [])
      .map((line, i) => ({ index: first_line + i, ...line }))
      .filter(({ index }) => index >= from && index < end),
  );
}

/** An attempt's lines, oldest first, a few batches in memory at a time. */
export function* linesBetween(db: Database, run: RunId, from: number, end: number): Generator<ConsoleLine> {
  for (let at = from; at < end;) {
    const lines = readLines(db, run, at, end);
    if (lines.length === 0) return;
    yield* lines;
    at = lines.at(-1)!.index + 1;
  }
}
