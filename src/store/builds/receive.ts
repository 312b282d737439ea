/**
 * Takes builds in, as exec documents or as files. Everything large goes through a session of the contents; one
 * transaction at the end makes a build of it. What ends before leaves nothing but contents that nobody refers to, which
 * the next collection removes.
 */
import type { Database } from "bun:sqlite";
import { Turns } from "../../lib/turns.ts";
import { encodeEntry } from "../../protocols/builder/record-writer.ts";
import { ENTRY, type RecordLimits, type RecordPart, readRecord } from "../../protocols/builder/record.ts";
import { decode } from "../../protocols/der/der.ts";
import { DerError } from "../../protocols/der/der-error.ts";
import {
  type BuildSummary,
  type Content,
  type ContentSession,
  type ContentStore,
  type NewBuild,
  type RecordUpload,
  type UploadRefusal,
  parseBuildId,
  parseJobName,
  parsePlatform,
} from "../api.ts";
import { artifactPath, isOnlyOfRecord } from "./artifact-path.ts";
import { readNotes } from "./build-notes.ts";
import { ConsoleSpool } from "./console-spool.ts";
import { consoleText } from "./console-text.ts";
import { type BuildRows, type KeptRecord, insertBuild, mainBinary } from "./insert-build.ts";
import { describeFiles } from "./job-tags.ts";
import { makeRecord } from "./make-record.ts";
import { PIECE, PieceWriter } from "./piece-writer.ts";

/** What receiving needs to know. */
export interface Reception {
  readonly db: Database;
  readonly contents: ContentStore;
  readonly limits: Partial<RecordLimits>;
  readonly now: () => number;
  /** The build that has a UUID. */
  readonly find: (id: BuildRows["id"]) => BuildSummary | undefined;
}

type Received =
  | { readonly ok: true; readonly id: BuildRows["id"] }
  | { readonly ok: false; readonly refusal: UploadRefusal };

/** Thrown within this file only, to leave it from wherever a record turns out to be unacceptable. */
class Refused extends Error {
  readonly refusal: UploadRefusal;

  constructor(refusal: UploadRefusal) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

interface ReceivedFile {
  readonly path: string;
  readonly content: Content;
  readonly offset: number;
}

/** Takes an exec document. Throws what the stream and the contents throw; nothing is kept then. */
export async function receiveRecord(
  reception: Reception,
  record: ReadableStream<Uint8Array>,
  upload: RecordUpload,
): Promise<Received> {
  await using session = reception.contents.session();
  try {
    return await receive(reception, session, record, upload);
  } catch (error) {
    if (error instanceof Refused) return { ok: false, refusal: error.refusal };
    if (!(error instanceof DerError)) throw error;
    return error.code === "too-large"
      ? refusal("too-large", `the build is too large: ${error.message}`)
      : refusal("bad-record", `this is no record of a build: ${error.message}`);
  }
}

async function receive(
  reception: Reception,
  session: ContentSession,
  record: ReadableStream<Uint8Array>,
  upload: RecordUpload,
): Promise<Received> {
  const { contents, limits } = reception;
  await using frame = new PieceWriter(session.writer());
  await using spool = new ConsoleSpool(contents, session);
  const fields: Partial<Pick<BuildRows, "job" | "id" | "platform" | "startedAt" | "finishedAt" | "result">> =
    {};
  let script: Content | undefined;
  let console: Content | undefined;
  const files = new FileList();
  const turns = new Turns();
  for await (const part of readRecord(record, { limits, frame: (bytes) => frame.add(bytes) })) {
    await frame.flush(PIECE);
    await turns.give();
    switch (part.kind) {
      case "name":
        Object.assign(fields, { job: acceptJob(part.name, upload) });
        break;
      case "script":
        script = await session.put(part.script);
        break;
      case "identity":
        Object.assign(fields, acceptIdentity(reception, part, upload));
        break;
      case "console":
        for (const entry of part.encoded) {
          await spool.push(entry);
          if (turns.isDue) await turns.give();
        }
        break;
      case "end": {
        const { startedAt, finishedAt, result } = part;
        Object.assign(fields, { startedAt, finishedAt, result });
        console = await putConsole(session, spool);
        break;
      }
      case "file": {
        const path = files.accept(part.path);
        files.add({ path, offset: part.offset, content: await putFile(session, part) });
      }
    }
  }
  await frame.flush(0);
  acceptMain(files.files, upload);
  return await finish(reception, {
    ...(fields as Required<typeof fields>),
    script: script!,
    console: console!,
    files: files.files,
    frame: await frame.finish(),
    uploadedBy: upload.uploadedBy,
    worker: upload.worker,
  });
}

/** Takes a build as files, and makes its record. Throws DerError for text and times that no record can have. */
export async function receiveFiles(reception: Reception, build: NewBuild): Promise<Received> {
  await using session = reception.contents.session();
  try {
    acceptId(reception, build.id);
    await using spool = new ConsoleSpool(reception.contents, session);
    await using text = new PieceWriter(session.writer());
    const turns = new Turns();
    for await (const entry of build.console) {
      await spool.push(encodeEntry(entry));
      text.add(consoleText(entry.delta, entry.text));
      await text.flush(PIECE);
      if (turns.isDue) await turns.give();
    }
    await text.flush(0);
    const files = new FileList();
    const named = build.files.map(({ path, content }) => ({ path: files.accept(path), content }));
    const record = await makeRecord(session, { ...build, name: build.job, uuid: build.id }, spool, named);
    return await finish(reception, {
      ...build,
      script: await session.put(build.script),
      console: await text.finish(),
      files: named.map((file, i) => ({ ...file, offset: record.files[i]!.offset })),
      frame: record.frame,
      worker: build.worker,
    });
  } catch (error) {
    if (error instanceof Refused) return { ok: false, refusal: error.refusal };
    throw error;
  }
}

async function finish(
  { db, contents, now, find }: Reception,
  build: Omit<BuildRows, "artifacts" | "solo5" | "record" | "tags" | "packages" | "receivedAt"> & {
    readonly files: readonly ReceivedFile[];
    readonly frame: Content;
  },
): Promise<Received> {
  const artifacts = build.files
    .filter(({ path }) => !isOnlyOfRecord(path))
    .map(({ path, content }) => ({ path, sha256: content.sha256, size: content.size, content }));
  const main = mainBinary(artifacts);
  const solo5 = main === undefined ? undefined : await readNotes(contents, main.content);
  const record: KeptRecord = { frame: build.frame, files: build.files };
  const described = await describeFiles(contents, build.files);
  const isNew = insertBuild(db, { ...build, ...described, artifacts, solo5, record, receivedAt: now() });
  return isNew ? { ok: true, id: build.id } : exists(build.id, find(build.id));
}

function acceptJob(name: string, upload: RecordUpload): BuildRows["job"] {
  const job = parseJobName(name);
  if (job === undefined) throw bad(`${JSON.stringify(name)} can't be a job's name`);
  if (upload.mayUpload(job)) return job;
  throw new Refused({
    code: "not-permitted",
    message: `${upload.uploadedBy} may not upload builds of ${job}`,
  });
}

function acceptIdentity(
  reception: Reception,
  part: Extract<RecordPart, { kind: "identity" }>,
  { announced }: RecordUpload,
): Pick<BuildRows, "id" | "platform"> {
  const platform = parsePlatform(part.platform);
  if (platform === undefined) throw bad(`${JSON.stringify(part.platform)} can't be a platform's name`);
  const id = parseBuildId(part.uuid);
  if (id === undefined) throw bad(`${part.uuid} is no UUID`);
  if (announced !== undefined && announced.id !== id)
    throw otherwise(`this is build ${id}, not ${announced.id}`);
  acceptId(reception, id);
  return { id, platform };
}

function acceptMain(files: readonly ReceivedFile[], { announced }: RecordUpload): void {
  const main = announced?.main;
  if (main === undefined || files.some(({ content }) => content.sha256 === main)) return;
  throw otherwise(`the announced main binary, with the SHA-256 ${main}, is not in it`);
}

function otherwise(message: string): Refused {
  return new Refused({ code: "wrong-hash", message });
}

function acceptId({ find }: Reception, id: BuildRows["id"]): void {
  const existing = find(id);
  if (existing !== undefined) throw new Refused(exists(id, existing).refusal);
}

function exists(
  id: BuildRows["id"],
  existing: BuildSummary | undefined,
): { readonly ok: false; readonly refusal: UploadRefusal } {
  const message =
    existing === undefined ? `there is a build ${id}` : `there is a build ${id} of ${existing.job}`;
  return { ok: false, refusal: { code: "exists", message, ...(existing === undefined ? {} : { existing }) } };
}

async function putConsole(session: ContentSession, spool: ConsoleSpool): Promise<Content> {
  await using text = new PieceWriter(session.writer());
  const turns = new Turns();
  for await (const entries of spool.reversed()) {
    for (const entry of entries) {
      const { delta, text: bytes } = decode(ENTRY, entry);
      text.add(consoleText(delta, bytes));
      if (turns.isDue) await turns.give();
    }
    await text.flush(PIECE);
  }
  await text.flush(0);
  return await text.finish();
}

async function putFile(
  session: ContentSession,
  { size, bytes }: Extract<RecordPart, { kind: "file" }>,
): Promise<Content> {
  await using writer = session.writer();
  for await (const piece of bytes()) await writer.write(piece);
  return await writer.finish({ size });
}

/** A build's files, whose paths are all different. */
class FileList {
  readonly files: ReceivedFile[] = [];
  readonly #paths = new Set<string>();

  /** The path in its shortest form. Throws Refused. */
  accept(text: string): string {
    const path = artifactPath(text);
    if (!path.ok) throw bad(`the file ${JSON.stringify(text)} can't be kept: ${path.why}`);
    if (this.#paths.has(path.path)) throw bad(`the file ${JSON.stringify(path.path)} is there twice`);
    this.#paths.add(path.path);
    return path.path;
  }

  add(file: ReceivedFile): void {
    this.files.push(file);
  }
}

function bad(message: string): Refused {
  return new Refused({ code: "bad-record", message });
}

function refusal(
  code: UploadRefusal["code"],
  message: string,
): { readonly ok: false; readonly refusal: UploadRefusal } {
  return { ok: false, refusal: { code, message } };
}
