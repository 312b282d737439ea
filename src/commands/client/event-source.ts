/**
 * Server-sent events as the server gives them: one line of JSON each. A connection that breaks is made again where
 * it broke, as a browser does, so that a server's restart costs a follower nothing.
 */
import { type Client, type RequestOptions } from "./connect.ts";
import { ClientError } from "./client-error.ts";

export interface ServerEvent {
  readonly id: string | undefined;
  readonly event: string;
  readonly data: unknown;
}

export interface FollowOptions {
  readonly signal?: AbortSignal;
  /** Told when the connection was lost, and when it is back. */
  readonly onConnection?: (isThere: boolean) => void;
}

const AGAIN_MS = 1000;
/** A server that stays away for longer than this isn't just being restarted. */
const GIVE_UP_MS = 60_000;

/** The events behind `path`, until `signal`, or until the server ends the stream for good. Throws ClientError. */
export async function* follow(
  client: Client,
  path: string,
  { signal, onConnection }: FollowOptions = {},
): AsyncGenerator<ServerEvent, void> {
  let last: string | undefined;
  let response = await request(client, path, last, signal);
  for (;;) {
    try {
      for await (const event of readEvents(response.body)) {
        last = event.id ?? last;
        yield event;
      }
    } catch (error) {
      if (isAborted(signal)) return;
      if (!isBroken(error)) throw error;
    }
    if (isAborted(signal)) return;
    onConnection?.(false);
    const again = await reconnect(client, path, last, signal);
    if (again === undefined) return;
    response = again;
    onConnection?.(true);
  }
}

async function reconnect(
  client: Client,
  path: string,
  last: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Response | undefined> {
  const end = performance.now() + GIVE_UP_MS;
  for (;;) {
    await Bun.sleep(AGAIN_MS);
    if (isAborted(signal)) return undefined;
    try {
      return await request(client, path, last, signal);
    } catch (error) {
      if (!(error instanceof ClientError) || error.code !== "no-server" || performance.now() > end)
        throw error;
    }
  }
}

function request(
  client: Client,
  path: string,
  last: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const headers = last === undefined ? {} : { "last-event-id": last };
  const options: RequestOptions = { headers, ...(signal === undefined ? {} : { signal }) };
  return client.request(path, options);
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

/** What fetch throws when the other side goes away. */
function isBroken(error: unknown): boolean {
  return (
    error instanceof Error && !("exitStatus" in error) && ("code" in error || error.name === "TypeError")
  );
}

/** Splits a stream into events (https://html.spec.whatwg.org/#event-stream-interpretation). */
export async function* readEvents(body: AsyncIterable<Uint8Array> | null): AsyncGenerator<ServerEvent, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body ?? []) {
    const blocks = (rest + decoder.decode(chunk, { stream: true })).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const event = parseEvent(block);
      if (event !== undefined) yield event;
    }
  }
}

function parseEvent(block: string): ServerEvent | undefined {
  let id: string | undefined;
  let event = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    const value = line.slice(colon + 1).replace(/^ /, "");
    const field = line.slice(0, Math.max(colon, 0));
    if (field === "id") id = value;
    else if (field === "event") event = value;
    else if (field === "data") data.push(value);
  }
  return data.length === 0 ? undefined : { id, event, data: JSON.parse(data.join("\n")) };
}
