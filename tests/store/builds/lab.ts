/** A store over a database of its own, and records to give it. */
import type { Database } from "bun:sqlite";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDatabase } from "../../../src/db/open.ts";
import { writeRecord } from "../../../src/protocols/builder/record-writer.ts";
import type { ConsoleEntry } from "../../../src/protocols/builder/record.ts";
import type { Result } from "../../../src/protocols/builder/result-text.ts";
import type { BuildStore, ContentStore, RecordUpload, UploadOutcome } from "../../../src/store/api.ts";
import { type BuildStoreOptions, openBuildStore } from "../../../src/store/builds/build-store.ts";
import { openContentStore } from "../../../src/store/contents/content-store.ts";

export interface Lab extends AsyncDisposable {
  readonly path: string;
  readonly db: Database;
  readonly contents: ContentStore;
  readonly store: BuildStore;
}

export function openLab(options: BuildStoreOptions = {}): Lab {
  const directory = mkdtempSync(join(tmpdir(), "robur-builds-"));
  const path = join(directory, "robur.db");
  const db = openDatabase(path);
  const contents = openContentStore(db);
  const store = openBuildStore(db, contents, { now: () => Date.UTC(2026, 0, 1), ...options });
  return {
    path,
    db,
    contents,
    store,
    async [Symbol.asyncDispose]() {
      await contents[Symbol.asyncDispose]();
      db.close();
      rmSync(directory, { recursive: true });
    },
  };
}

export interface SampleRecord {
  readonly name: string;
  readonly script: Uint8Array;
  readonly platform: string;
  readonly uuid: string;
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly result: Result;
  /** Oldest first. */
  readonly console: readonly ConsoleEntry[];
  readonly files: readonly (readonly [path: string, text: string | Uint8Array])[];
}

export const utf8 = (text: string) => new TextEncoder().encode(text);

export const SAMPLE: SampleRecord = {
  name: "hello",
  script: utf8("true\n"),
  platform: "debian-12",
  uuid: "08455214-8a9b-413a-b116-a65353dc0743",
  startedAt: Date.UTC(2024, 8, 4, 10, 11, 12, 123),
  finishedAt: Date.UTC(2024, 8, 4, 10, 11, 14),
  result: { kind: "exited", code: 0 },
  console: [{ delta: 250_000_000n, text: utf8("start") }],
  files: [
    ["bin/hello.hvt", "binary"],
    ["opam-switch", 'opam-version: "2.0"\n'],
    ["build-environment", "OS=linux"],
    ["system-packages", "zlib=1.2\n"],
  ],
};

/** A record's bytes. */
export async function recordBytes(sample: Partial<SampleRecord> = {}): Promise<Uint8Array> {
  const { console, files, ...fields } = { ...SAMPLE, ...sample };
  const { stream } = writeRecord(
    fields,
    console,
    files.map(([path, content]) => {
      const bytes = typeof content === "string" ? utf8(content) : content;
      return {
        path,
        size: bytes.length,
        bytes: async function* () {
          yield bytes;
        },
      };
    }),
  );
  const parts: Uint8Array[] = [];
  for await (const part of stream()) parts.push(part.slice());
  return new Uint8Array(Buffer.concat(parts));
}

const ANYBODY: RecordUpload = { mayUpload: () => true, uploadedBy: "tester" };

export async function upload(
  store: BuildStore,
  bytes: Uint8Array,
  options: Partial<RecordUpload> = {},
): Promise<UploadOutcome> {
  return await store.upload(new Blob([bytes]).stream(), { ...ANYBODY, ...options });
}

/** Rows of each table that a build touches, but for contents that nothing refers to. */
export function rowCounts(db: Database): Record<string, number> {
  const tables = ["job", "build", "artifact", "record_file", "package", "switch_package"];
  const counts = tables.map((table) => [
    table,
    db.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${table}`).get()!.n,
  ]);
  return Object.fromEntries(counts) as Record<string, number>;
}

/** A record as the store gives it back. */
export async function recordBack(store: BuildStore, id: string): Promise<Uint8Array> {
  const record = store.record(id as Parameters<BuildStore["record"]>[0]);
  if (record === undefined) throw new Error(`there is no record of ${id}`);
  const bytes = new Uint8Array(await new Response(record.stream()).arrayBuffer());
  if (bytes.length !== record.size)
    throw new Error(`${record.size} bytes were announced, ${bytes.length} came`);
  return bytes;
}
