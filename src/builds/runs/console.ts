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
/** Of a run's console no more is kept, a line counted with what it costs beside its text: short ones cost the most. */
export const CONSOLE_MAX = 64 * 1024 * 1024;
const LINE_COST = 64;
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

/**
 * Those lines that still fit behind `before` bytes, and once the notice that the others are missing. `bytes` is above
 * CONSOLE_MAX from then on.
 */
export function withinLimit(
  lines: readonly SentLine[],
  before: number,
): { lines: SentLine[]; bytes: number } {
  const kept: SentLine[] = [];
  let bytes = before;
  for (const line of lines) {
    if (bytes > CONSOLE_MAX) break;
    bytes += LINE_COST + line.text.length;
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
    size += LINE_COST + line.text.length;
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

/** Lines that are made of bytes at a time: whoever follows a run and stalls holds no more than a batch's bytes. */
const SLICE = 100;

/**
 * Lines of a run from `from` up to `end`, some together: of the batch in which `from` is, so at least one where there
 * is one. The texts are views of the batch.
 */
export function* readLines(
  db: Database,
  run: RunId,
  from: number,
  end = Number.MAX_SAFE_INTEGER,
): Generator<readonly ConsoleLine[], void> {
  // The batch in which the line is begins at or before it.
  const row = db
    .query<BatchRow, [number, number]>(
      `SELECT first_line, lines, content FROM run_console WHERE run = ? AND first_line <= ?
       ORDER BY first_line DESC LIMIT 1`,
    )
    .get(run, from);
  if (row === null) return;
  const { content } = row;
  const view = new DataView(content.buffer, content.byteOffset, content.length);
  const last = Math.min(end, row.first_line + row.lines);
  let slice: ConsoleLine[] = [];
  for (let index = row.first_line, at = 0; index < last; index++) {
    const start = at + LINE_HEADER;
    const next = start + view.getUint32(at + 8);
    if (index >= from) {
      slice.push({ index, delta: view.getBigInt64(at), text: content.subarray(start, next) });
    }
    at = next;
    if (slice.length < SLICE) continue;
    yield slice;
    slice = [];
  }
  if (slice.length > 0) yield slice;
}

/** All lines from `from` up to `end` that are there, oldest first, one batch in memory at a time. */
export function* linesBetween(
  db: Database,
  run: RunId,
  from: number,
  end = Number.MAX_SAFE_INTEGER,
): Generator<readonly ConsoleLine[], void> {
  for (let next = from; ;) {
    const first = next;
    for (const lines of readLines(db, run, next, end)) {
      yield lines;
      next += lines.length;
    }
    if (next === first) return;
  }
}
