/** A worker of the original protocol: one job a connection, and the connection is all that is known of it. */
import { RoburError, errorLine } from "../../lib/errors.ts";
import { GIB, MIB } from "../../lib/units.ts";
import { decodeMessage } from "../../protocols/builder/messages.ts";
import { largeMessage, readJobFinished, readOutput } from "../../protocols/builder/record.ts";
import type { BuildId, BuildResult } from "../api.ts";
import type { CollectedFile } from "../runs/keep.ts";
import { readPlatform } from "../schedule/settings.ts";
import type { BuildService } from "../service.ts";
import { ConsoleTaker } from "./console-taker.ts";
import { type Peer, PeerError } from "./peer.ts";

const REQUEST_MS = 60_000;
/** Messages up to this size are held, larger ones pass through. */
const SMALL_MAX = MIB;
/** Of a build with all of its files. */
const BUILD_MAX = 4 * GIB;
let count = 0;

/** Hands out a job, and takes what comes of it. Throws PeerError, DerError, StoreError. */
export async function serveWorker(service: BuildService, peer: Peer, stopping: AbortSignal): Promise<void> {
  const request = await peer.read(REQUEST_MS);
  if (request.type !== "job-requested") throw new PeerError("bad-frame", `a worker said ${request.type}`);
  const platform = readPlatform(request.platform);
  // The original's process ends here by an exception: the name becomes a part of a path.
  if (!platform.ok) throw new PeerError("bad-frame", platform.refusal.message);
  count += 1;
  const name = `builder-${count}@${peer.address}`;
  const { desk } = service;
  const signal = AbortSignal.any([peer.ended, stopping]);
  const identity = { name, platforms: [platform.value], link: "builder" as const, address: peer.address };
  const assignment = await desk.take(identity, { signal });
  if (assignment === undefined) return desk.leave(identity);
  const { uuid, job, script } = assignment;
  try {
    await peer.send({ type: "job-schedule", uuid, job: { name: job, script, platform: platform.value } });
    peer.allow(BUILD_MAX);
    await takeBuild(service, peer, uuid);
  } catch (error) {
    // What came so far is kept, and the job is tried again.
    desk.lose(uuid, error instanceof RoburError ? errorLine(error) : String(error));
    throw error;
  } finally {
    desk.leave(identity);
  }
}

async function takeBuild(service: BuildService, peer: Peer, uuid: BuildId): Promise<void> {
  using lines = new ConsoleTaker(service.desk, peer, uuid);
  try {
    for (;;) {
      const message = await nextMessage(peer);
      if (message.kind === "output") await lines.take(message.text);
      else return await takeEnd(service, uuid, lines, message.payload);
    }
  } catch (error) {
    lines.rescue();
    throw lines.failure ?? error;
  }
}

type Bytes = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

type WorkerMessage =
  | { readonly kind: "output"; readonly text: Bytes }
  | { readonly kind: "job-finished"; readonly payload: Bytes };

/** A message of a worker that has a job. Throws PeerError, DerError. */
async function nextMessage(peer: Peer): Promise<WorkerMessage> {
  const { length, bytes, stream } = await peer.open();
  if (length <= SMALL_MAX) return smallMessage(await bytes(SMALL_MAX));
  const payload = stream();
  const { value: first } = await payload.next();
  const kind = largeMessage(first?.[0]);
  if (first === undefined || kind === undefined) {
    throw new PeerError("bad-frame", `${length} bytes that are neither a line nor a job's end`);
  }
  const whole = behind(first, payload);
  return kind === "output" ? { kind, text: readOutput(whole) } : { kind, payload: whole };
}

function smallMessage(payload: Uint8Array): WorkerMessage {
  if (largeMessage(payload[0]) === "job-finished") return { kind: "job-finished", payload: [payload] };
  const message = decodeMessage(payload);
  if (message.type === "output" && message.timestamp === undefined) {
    return { kind: "output", text: [message.output] };
  }
  throw new PeerError("bad-frame", `a worker said ${message.type}`);
}

async function* behind(first: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  yield first;
  yield* rest;
}

/** Puts a job's files into the store as they come. Throws PeerError, DerError, StoreError. */
async function takeEnd(
  service: BuildService,
  uuid: BuildId,
  lines: ConsoleTaker,
  payload: Bytes,
): Promise<void> {
  await using session = service.session();
  const files: CollectedFile[] = [];
  let result: BuildResult | undefined;
  for await (const part of readJobFinished(asStream(payload), { limits: { total: BUILD_MAX } })) {
    if (part.kind === "end") {
      result = part.result;
      continue;
    }
    if (!isSafe(part.path)) {
      throw new PeerError("bad-frame", `${JSON.stringify(part.path)} leads out of the build`);
    }
    await using writer = session.writer();
    for await (const piece of part.bytes()) await writer.write(piece);
    files.push({ path: part.path, content: await writer.finish({ size: part.size }) });
  }
  if (result === undefined) throw new PeerError("bad-frame", "a job's end says no result");
  lines.end();
  const outcome = await service.desk.finish(uuid, result, files);
  if (!outcome.ok) throw new PeerError("gone", outcome.refusal.message);
}

async function* asStream(bytes: Bytes): AsyncGenerator<Uint8Array, void> {
  yield* bytes;
}

function isSafe(path: string): boolean {
  return path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}
