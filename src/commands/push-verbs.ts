/** What `robur push` does: a record is made, whose bytes are the files' own, and uploaded the way builder does it. */
import { randomUUID } from "node:crypto";
import { statSync } from "node:fs";
import { basename } from "node:path";
import { UsageError } from "../lib/errors.ts";
import { MIB } from "../lib/units.ts";
import { print, printError } from "../linux/libc.ts";
import { readRecord } from "../protocols/builder/record.ts";
import { DerError } from "../protocols/der/der-error.ts";
import { type RecordFile, writeRecord } from "../protocols/builder/record-writer.ts";
import { parseJobName, parsePlatform } from "../store/api.ts";
import { artifactPathFor } from "../store/import/names.ts";
import type { RemoteAddress } from "../store/remotes/remote-address.ts";
import { RemoteError } from "../store/remotes/remote-error.ts";
import { askRemote } from "../store/remotes/remote-request.ts";
import { type PartsSource, type PartsTarget, sendInParts } from "../store/remotes/send-in-parts.ts";
import { ClientError } from "./client/client-error.ts";
import { connect } from "./client/connect.ts";
import { chooseOther } from "./client/remotes.ts";
import { withProgress } from "./progress.ts";

export interface PushFlags {
  readonly host: string | undefined;
  readonly to: string | undefined;
}

/** Bytes beyond which an interruption would cost too much. */
const IN_PARTS = 8 * MIB;
const SCRIPT = "# These files were built elsewhere\n";

/** Prints the new build's id. */
export async function pushFiles(
  text: string,
  files: readonly string[],
  flags: PushFlags & { readonly platform: string; readonly main: string | undefined },
): Promise<void> {
  const name = parseJobName(text);
  const platform = parsePlatform(flags.platform);
  if (name === undefined || platform === undefined) {
    throw new UsageError(
      `${name === undefined ? `${text} can't be a job's` : `${flags.platform} can't be a platform's`} name`,
      {
        why: "a name has letters, digits and . _ + -, the first a letter or digit",
      },
    );
  }
  const now = Date.now();
  const uuid = randomUUID();
  const record = writeRecord(
    {
      ...{ name, platform, uuid, startedAt: now, finishedAt: now },
      script: new TextEncoder().encode(SCRIPT),
      result: { kind: "exited", code: 0 },
    },
    [],
    recordFiles(files, flags.main),
  );
  const label = `${name} ${uuid.slice(0, 8)}`;
  await send({ label, uuid, size: record.size, open: () => streamOf(record.stream()) }, flags);
  print(`${uuid}\n`);
}

/** Prints the build's id. One that the other server has already counts as pushed. */
export async function pushRecord(path: string, flags: PushFlags): Promise<void> {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isFile() !== true) throw new ClientError(3, "not-found", `there is no file ${path}`);
  const uuid = await uuidOf(path);
  try {
    await send({ label: path, uuid, size: stat.size, open: () => Bun.file(path).stream() }, flags);
  } catch (error) {
    const isThere =
      (error instanceof RemoteError && error.code === "exists") ||
      (error instanceof ClientError && error.exitStatus === 4);
    if (!isThere) throw error;
    printError("this build is there already\n");
  }
  print(`${uuid}\n`);
}

/** Reads as far as the build's identity: what isn't a record isn't sent. */
async function uuidOf(path: string): Promise<string> {
  try {
    for await (const part of readRecord(Bun.file(path).stream()))
      if (part.kind === "identity") return part.uuid;
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
  }
  throw new UsageError(`${path} is no record of a build`, {
    hint: "robur push JOB FILE --platform PLATFORM",
  });
}

function recordFiles(texts: readonly string[], main: string | undefined): RecordFile[] {
  const files = texts.map((text) => {
    const [, path, file = text] = /^([^=]+)=(.+)$/.exec(text) ?? [];
    const stat = statSync(file, { throwIfNoEntry: false });
    if (stat?.isFile() !== true) throw new ClientError(3, "not-found", `there is no file ${file}`);
    return { path, file, size: stat.size };
  });
  if (main !== undefined && !files.some(({ path, file }) => path === undefined && basename(file) === main)) {
    throw new UsageError(`--main ${main}: no file has this name`);
  }
  if (
    main === undefined &&
    files.length > 1 &&
    !files.some(({ path }) => path?.startsWith("bin/") === true)
  ) {
    throw new UsageError("which of the files is the main binary?", {
      hint: `--main ${basename(files[0]!.file)}`,
    });
  }
  const named = files.map(({ path, file, size }) => {
    const name = basename(file);
    const isMain = files.length === 1 || name === main;
    const wanted = path ?? (isMain ? `bin/${name}` : name);
    const place = artifactPathFor(wanted);
    if (place === undefined) throw new UsageError(`${wanted} can't be a file's path in a build`);
    return { path: place, size, bytes: () => Bun.file(file).stream() };
  });
  const twice = named.find(({ path }, i) => named.findIndex((other) => other.path === path) < i);
  if (twice !== undefined) throw new UsageError(`two files would be ${twice.path}`, { hint: "PATH=FILE" });
  return named;
}

function streamOf(pieces: AsyncGenerator<Uint8Array, void, void>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await pieces.next();
      if (next.done === true) controller.close();
      else if (next.value.length > 0) controller.enqueue(next.value);
    },
    cancel: async () => void (await pieces.return()),
  });
}

interface Source extends PartsSource {
  readonly label: string;
}

async function send(source: Source, { to, host }: PushFlags): Promise<void> {
  const target = to === undefined ? ownServer(host) : otherServer((await chooseOther(to, host)).address);
  await withProgress(`sending ${source.label}`, async (onProgress) => {
    const open = () => {
      let done = 0;
      return source.open().pipeThrough(
        new TransformStream<Uint8Array, Uint8Array>({
          transform(piece, controller) {
            onProgress((done += piece.length), source.size);
            controller.enqueue(piece);
          },
        }),
      );
    };
    if (source.size > IN_PARTS && (await sendInParts(target, { ...source, open }))) return;
    const headers = { "content-length": String(source.size), "content-type": "application/octet-stream" };
    await target.send("/upload", { method: "POST", headers, body: open() });
  });
}

function ownServer(host: string | undefined): PartsTarget {
  const client = connect(host);
  return {
    send: (path, request) => client.request(path, request),
    isMissing: (error) => error instanceof ClientError && error.exitStatus === 3,
    isBroken: (error) => error instanceof ClientError && error.code === "no-server",
  };
}

function otherServer(remote: RemoteAddress): PartsTarget {
  return {
    send: (path, request) => askRemote(remote, path, request),
    // An old server, or a proxy before it, has no such address, or says so in another way.
    isMissing: (error) => error instanceof RemoteError && ["missing", "refused"].includes(error.code),
    isBroken: (error) =>
      error instanceof RemoteError && (error.code === "unreachable" || error.code === "truncated"),
  };
}
