/** A worker of the original protocol: one job a connection, and the connection is all that is known of it. */
import { errorLine, RoburError } from "../../lib/errors.ts";
import type { JobFile } from "../../protocols/builder/job.ts";
import type { Assignment } from "../api.ts";
import { type SentLine, LINE_MAX } from "../runs/console.ts";
import type { CollectedFile } from "../runs/keep.ts";
import { readPlatform } from "../schedule/settings.ts";
import type { BuildService } from "../service.ts";
import { type Peer, PeerError } from "./peer.ts";

const REQUEST_MS = 60_000;
/** The server's own clock for a job, which the original stops at the same moment as its worker. */
const FLUSH_MS = 200;
const FLUSH_LINES = 500;
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
    await takeBuild(service, peer, assignment);
  } catch (error) {
    // What came so far is kept, and the job is tried again.
    desk.lose(uuid, error instanceof RoburError ? errorLine(error) : String(error));
    throw error;
  } finally {
    desk.leave(identity);
  }
}

async function takeBuild(service: BuildService, peer: Peer, { uuid }: Assignment): Promise<void> {
  const { desk } = service;
  const began = process.hrtime.bigint();
  let taken = 0;
  let pending: SentLine[] = [];
  const flush = () => {
    const lines = pending;
    pending = [];
    const outcome = desk.append(uuid, taken, lines);
    taken += lines.length;
    if (!outcome.ok) throw new PeerError("gone", outcome.refusal.message);
    // There is no message for it: the original's worker learns it from the closed connection.
    if (outcome.value.abort !== null) throw new PeerError("gone", `aborted by ${outcome.value.abort}`);
  };
  let failure: unknown;
  const timer = setInterval(() => {
    try {
      flush();
    } catch (error) {
      failure = error;
      peer.close();
    }
  }, FLUSH_MS);
  try {
    for (;;) {
      const message = await peer.read();
      if (message.type === "output" && message.timestamp === undefined) {
        pending.push(...linesOf(message.output, process.hrtime.bigint() - began));
        if (pending.length >= FLUSH_LINES) flush();
        continue;
      }
      if (message.type !== "job-finished") throw new PeerError("bad-frame", `a worker said ${message.type}`);
      clearInterval(timer);
      flush();
      await using session = service.session();
      const files: CollectedFile[] = [];
      for (const { path, bytes } of message.files) {
        if (!isSafe(path)) throw new PeerError("bad-frame", `${JSON.stringify(path)} leads out of the build`);
        files.push({ path, content: await session.put(bytes) });
      }
      const outcome = await desk.finish(uuid, message.result, files);
      if (!outcome.ok) throw new PeerError("gone", outcome.refusal.message);
      return;
    }
  } catch (error) {
    throw failure ?? error;
  } finally {
    clearInterval(timer);
  }
}

/** The original has no limit for a line, and no line end at its end. */
function linesOf(output: Uint8Array, delta: bigint): SentLine[] {
  const lines: SentLine[] = [];
  for (let at = 0; at === 0 || at < output.length; at += LINE_MAX) {
    lines.push({ delta, text: output.slice(at, at + LINE_MAX) });
  }
  return lines;
}

function isSafe(path: JobFile["path"]): boolean {
  return path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}
