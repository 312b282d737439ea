/** `robur build shell`: a shell in the sandbox that a failed build left. */
import { constants } from "node:os";
import { printError } from "../linux/libc.ts";
import { resolveBuild } from "./client/builds.ts";
import { ClientError } from "./client/client-error.ts";
import { type Client, connect } from "./client/connect.ts";
import { showBytes, takeTerminal, terminalSize } from "./local-terminal.ts";

/** Until the shell ends, whose status is this command's. Throws ClientError. */
export async function shell(flags: {
  readonly host: string | undefined;
  readonly build: string;
}): Promise<void> {
  const client = connect(flags.host);
  const build = await buildOf(client, flags.build);
  // Says in words why there is none.
  await client.request(`/api/v1/builds/${build}/sandbox`);
  process.exit(await inTerminal(client, build));
}

/** A run's build, or another build by its name. */
async function buildOf(client: Client, text: string): Promise<string> {
  try {
    const run = await client.request(`/api/v1/runs/${encodeURIComponent(text)}`);
    const { uuid } = (await run.json()) as { readonly uuid: string | null };
    if (uuid !== null) return uuid;
  } catch (error) {
    if (!(error instanceof ClientError) || error.code !== "missing") throw error;
  }
  return (await resolveBuild(client, text)).build.id;
}

interface Ending {
  readonly status: number;
  readonly error?: ClientError;
}

async function inTerminal(client: Client, build: string): Promise<number> {
  const { cols, rows } = terminalSize() ?? { cols: 80, rows: 24 };
  const socket = open(client, `/api/v1/builds/${build}/shell?cols=${cols}&rows=${rows}`);
  const { promise, resolve } = Promise.withResolvers<Ending>();
  const lost = (why: string) =>
    resolve({ status: 1, error: new ClientError(1, "lost", "the connection to the shell is lost", { why }) });
  socket.binaryType = "arraybuffer";
  socket.addEventListener("message", ({ data }: MessageEvent<string | ArrayBuffer>) => {
    if (typeof data === "string") return told(data, resolve);
    if (!showBytes(new Uint8Array(data))) return socket.close();
    socket.send(JSON.stringify({ taken: data.byteLength }));
  });
  socket.addEventListener("error", () => lost("the server didn't take it"));
  socket.addEventListener("close", ({ reason }) => lost(reason === "" ? "the server is gone" : reason));
  socket.addEventListener("open", () =>
    printError(`A shell in the sandbox of ${build}; exit or Ctrl-D ends it.\r\n`),
  );
  const send = (data: Uint8Array | string) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(data);
    else socket.addEventListener("open", () => socket.send(data), { once: true });
  };
  let ending: Ending;
  {
    using _terminal = takeTerminal({
      onInput: (bytes) => {
        for (let at = 0; at < bytes.length; at += PIECE) send(bytes.slice(at, at + PIECE));
      },
      onEnd: () => send(END_OF_FILE),
      onResize: (size) => send(JSON.stringify({ resize: [size.cols, size.rows] })),
      onSignal: (signal) => resolve({ status: 128 + constants.signals[signal] }),
    });
    ending = await promise;
  }
  socket.close();
  if (ending.error !== undefined) throw ending.error;
  return ending.status;
}

/** Bytes of a message. */
const PIECE = 16 * 1024;
/** Ctrl-D */
const END_OF_FILE = new Uint8Array([4]);

function told(text: string, resolve: (ending: Ending) => void): void {
  const { ended, error } = JSON.parse(text) as {
    readonly ended?: number;
    readonly error?: {
      readonly code: string;
      readonly message: string;
      readonly why?: string;
      readonly hint?: string;
    };
  };
  if (ended !== undefined) resolve({ status: ended });
  if (error === undefined) return;
  const { code, message, ...more } = error;
  resolve({ status: 1, error: new ClientError(code === "in-use" ? 4 : 1, code, message, more) });
}

function open({ target }: Client, path: string): WebSocket {
  if (target.kind === "socket") return new WebSocket(`ws+unix://${target.path}:${path}`);
  const { origin, token } = target;
  // The runtime's WebSocket takes headers; its types say so only where there are no browsers' types beside them.
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return new WebSocket(`${origin.replace(/^http/, "ws")}${path}`, { headers } as unknown as string[]);
}
