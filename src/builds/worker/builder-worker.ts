/** A worker of a builder-server, by the original protocol: one connection a job, and no way back once it breaks. */
import { connect } from "node:net";
import { RoburError } from "../../lib/errors.ts";
import { LARGEST_FRAME } from "../../protocols/builder/framing.ts";
import { writeJobFinished } from "../../protocols/builder/finished-writer.ts";
import { type Message, WORKER_VERSION } from "../../protocols/builder/messages.ts";
import { ocamlSignal } from "../../protocols/builder/results.ts";
import { type Assignment, type BuildId, type BuildResult, type RunId } from "../api.ts";
import type { Sandboxes } from "../sandbox/api.ts";
import { DEFAULT_SETTINGS, readJobName, readPlatform } from "../schedule/settings.ts";
import { Peer, PeerError } from "../wire/peer.ts";
import { readOutput } from "./collect.ts";
import { runJob } from "./run-job.ts";

export interface BuilderWorkerOptions {
  readonly remote: { readonly host: string; readonly port: number };
  readonly platform: string;
  readonly sandboxes: Sandboxes;
  readonly isOnce: boolean;
  readonly stop: AbortSignal;
  readonly abort: AbortSignal;
  readonly say: (text: string) => void;
}

export class BuilderWorkerError extends RoburError<"no-server" | "refused"> {}

const PAUSE_MS = 2000;
const CONNECT_MS = 10_000;
/** A server that takes longer to say hello is none. */
const HELLO_MS = 60_000;
const KEPT_SANDBOXES_MS = 24 * 3_600_000;

/** Works until it is to stop. Throws BuilderWorkerError before it has been greeted, and with `isOnce`. */
export async function builderWorker(options: BuilderWorkerOptions): Promise<void> {
  await options.sandboxes.sweep(KEPT_SANDBOXES_MS);
  for (let wasGreeted = false; !options.stop.aborted;) {
    try {
      await oneJob(options, () => (wasGreeted = true));
    } catch (error) {
      if (options.stop.aborted && !options.abort.aborted) return;
      if (!(error instanceof RoburError) || options.isOnce || !wasGreeted) throw error;
      options.say(error.message);
      await Bun.sleep(PAUSE_MS);
    }
    if (options.isOnce) return;
  }
}

async function oneJob(
  { remote, platform, sandboxes, stop, abort, say }: BuilderWorkerOptions,
  onGreeted: () => void,
): Promise<void> {
  const peer = await connectTo(remote);
  const leave = () => peer.close();
  stop.addEventListener("abort", leave, { once: true });
  try {
    await peer.send({ type: "client-hello", role: "worker", version: WORKER_VERSION });
    await expectMessage(peer, "server-hello", HELLO_MS);
    onGreeted();
    await peer.send({ type: "job-requested", platform });
    const { uuid, job } = await expectMessage(peer, "job-schedule");
    stop.removeEventListener("abort", leave);
    const assignment = assignmentOf(uuid, job);
    say(`${process.pid} received job uuid ${uuid}: name ${job.name} on ${job.platform}`);
    // The server says no more: when it sends anything, or ends, it has given the job up.
    const signal = AbortSignal.any([abort, peer.ended]);
    const write = async (lines: readonly { readonly text: Uint8Array }[]) => {
      for (const { text } of lines)
        await peer.send({ type: "output", uuid, output: text, timestamp: undefined });
    };
    await runJob(assignment, { sandboxes, write, signal }, async ({ result, directory, files }) => {
      const sent = files.map((file) => ({ ...file, bytes: () => asStream(readOutput(directory, file)) }));
      const { size, stream } = writeJobFinished({ uuid, result: wireResult(result) }, sent);
      await peer.sendLarge(size, stream());
    });
    // Until the server has taken it all.
    await Promise.race([ended(peer), Bun.sleep(60_000)]);
    peer.close();
  } catch (error) {
    peer.drop();
    throw error;
  } finally {
    stop.removeEventListener("abort", leave);
  }
}

async function* asStream(pieces: Iterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  yield* pieces;
}

function ended({ ended }: Peer): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (ended.aborted) resolve();
  ended.addEventListener("abort", () => resolve(), { once: true });
  return promise;
}

function assignmentOf(
  uuid: string,
  job: { readonly name: string; readonly script: string; readonly platform: string },
): Assignment {
  const name = readJobName(job.name);
  const platform = readPlatform(job.platform);
  if (!name.ok) throw new BuilderWorkerError("refused", name.refusal.message);
  if (!platform.ok) throw new BuilderWorkerError("refused", platform.refusal.message);
  const { timeoutMs, limits, network } = DEFAULT_SETTINGS;
  return {
    ...{ run: 0 as RunId, uuid: uuid as BuildId, job: name.value, platform: platform.value },
    ...{ script: job.script, timeoutMs, limits, network },
  };
}

function wireResult(result: BuildResult): BuildResult {
  return result.kind === "signalled" ? { ...result, signal: ocamlSignal(result.signal) } : result;
}

async function expectMessage<Type extends Message["type"]>(
  peer: Peer,
  type: Type,
  ms?: number,
): Promise<Extract<Message, { readonly type: Type }>> {
  const message = await peer.read(ms);
  if (message.type === type) return message as Extract<Message, { readonly type: Type }>;
  const why = message.type === "failure" ? message.message : `it said ${message.type} where ${type} was due`;
  throw new PeerError("bad-frame", `the builder-server: ${why}`);
}

/** Throws BuilderWorkerError no-server. */
export async function connectTo({ host, port }: BuilderWorkerOptions["remote"]): Promise<Peer> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const socket = connect({ host, port });
  const fail = (why: string) =>
    reject(new BuilderWorkerError("no-server", `no builder-server answers on ${host}:${port}`, { why }));
  const timer = setTimeout(() => fail("time-out"), CONNECT_MS);
  const onError = (error: Error) => fail(error.message);
  socket.once("error", onError);
  socket.once("connect", () => resolve());
  try {
    await promise;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    socket.removeListener("error", onError);
  }
  return new Peer(socket, LARGEST_FRAME);
}
