/**
 * A large record to a server that takes uploads in parts (robur does): where the connection breaks or the server is
 * started anew, it goes on with what the server hasn't yet.
 */

export interface PartsRequest {
  readonly method: "GET" | "POST" | "PATCH";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: ReadableStream<Uint8Array>;
}

export interface PartsTarget {
  /** Throws what the two below know. */
  readonly send: (path: string, request: PartsRequest) => Promise<Response>;
  /** The server has no such thing, or doesn't know the route. */
  readonly isMissing: (error: unknown) => boolean;
  /** No connection, or one that broke: worth trying again. */
  readonly isBroken: (error: unknown) => boolean;
}

export interface PartsSource {
  /** The build's id, by which it is seen whether the last answer was lost only. */
  readonly uuid: string;
  readonly size: number;
  /** All bytes, from the first on. */
  readonly open: () => ReadableStream<Uint8Array>;
}

/** Milliseconds; a server that is started anew is there within one of them. */
const WAITS_MS = [500, 1000, 2000, 4000, 8000, 15_000, 15_000];

/** False: the server takes no parts, and nothing was sent. Throws what `send` throws. */
export async function sendInParts(target: PartsTarget, source: PartsSource): Promise<boolean> {
  const begun = await begin(target, source.size);
  if (begun === undefined) return false;
  const path = `/api/v1/uploads/${begun}`;
  let [offset, failures]: [number | undefined, number] = [0, 0];
  for (;;) {
    try {
      offset ??= await offsetOf(target, path);
      const headers = { "upload-offset": String(offset), "content-length": String(source.size - offset) };
      await target.send(path, { method: "PATCH", headers, body: from(source.open(), offset) });
      return true;
    } catch (error) {
      if (failures > 0 && target.isMissing(error) && (await isStored(target, source.uuid))) return true;
      const wait = WAITS_MS[failures];
      if (!target.isBroken(error) || wait === undefined) throw error;
      failures += 1;
      // What is there is asked for; who gets further has its tries anew.
      await Bun.sleep(wait);
      offset = undefined;
    }
  }
}

async function begin(target: PartsTarget, size: number): Promise<string | undefined> {
  try {
    const response = await target.send("/api/v1/uploads", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: new Blob([JSON.stringify({ purpose: { kind: "exec" }, size })]).stream(),
    });
    const { id } = (await response.json()) as { id?: unknown };
    return typeof id === "string" && /^[\w-]{1,100}$/.test(id) ? id : undefined;
  } catch (error) {
    if (target.isMissing(error)) return undefined;
    throw error;
  }
}

async function offsetOf(target: PartsTarget, path: string): Promise<number> {
  const response = await target.send(path, { method: "GET" });
  await response.body?.cancel();
  const text = response.headers.get("upload-offset") ?? "";
  return /^\d{1,15}$/.test(text) ? Number(text) : 0;
}

async function isStored(target: PartsTarget, uuid: string): Promise<boolean> {
  try {
    const response = await target.send(`/api/v1/builds/${uuid}`, { method: "GET" });
    await response.body?.cancel();
    return true;
  } catch (error) {
    if (target.isMissing(error)) return false;
    throw error;
  }
}

/** The stream without its first bytes. */
function from(stream: ReadableStream<Uint8Array>, offset: number): ReadableStream<Uint8Array> {
  let left = offset;
  return stream.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(piece, controller) {
        const skipped = Math.min(left, piece.length);
        left -= skipped;
        if (skipped < piece.length) controller.enqueue(piece.subarray(skipped));
      },
    }),
  );
}
