/** A shell in the sandbox that a failed build left, over a WebSocket: one terminal a connection, ended with it. */
import { Elysia, t } from "elysia";
import type { KeptRecord } from "../../builds/sandbox/kept.ts";
import { keptOf } from "../../builds/sandbox/kept.ts";
import { openSandboxes } from "../../builds/sandbox/sandboxes.ts";
import { type ShellSession, type TerminalSize, openShell } from "../../builds/shell/shell-session.ts";
import { RoburError } from "../../lib/errors.ts";
import type { Build } from "../../store/api.ts";
import { visitOf } from "../access/visit.ts";
import { existingBuild } from "../builds/find.ts";
import type { ServerContext } from "../context.ts";
import { problemOf } from "../http/error-response.ts";
import { HttpError } from "../http/http-error.ts";
import type { Socket, SocketHandlers } from "../http/web-socket.ts";

const tags = ["builds"];
const Size = t.Optional(t.Integer({ minimum: 1, maximum: 1000 }));
const OneBuild = t.Object({ build: t.String({ maxLength: 36 }) });

/** Nothing typed and nothing written for so long: nobody is there. */
const IDLE_MS = 30 * 60_000;
/** Reasons of a WebSocket's close (RFC 6455 7.4.1). */
const NORMAL = 1000;
const GOING_AWAY = 1001;
const POLICY = 1008;
const FAULT = 1011;

/** Throws HttpError 404. */
function kept({ dataDirectory }: ServerContext, { id, worker }: Build): KeptRecord {
  const record = keptOf(dataDirectory, id);
  if (record !== undefined) return record;
  const where = worker === undefined ? "" : `; it was built by ${worker}`;
  throw new HttpError(404, "missing", "no sandbox of this build is kept here", {
    why: `only the newest failed build of a job leaves one, for a while, on the machine that built it${where}`,
  });
}

export function shellRoutes(context: ServerContext) {
  return new Elysia({ name: "shell", prefix: "/api/v1" })
    .get(
      "/builds/:build/sandbox",
      ({ params }) => {
        const { build, keptAt, bytes } = kept(context, existingBuild(context, params.build));
        return { build, keptAt, bytes };
      },
      { params: OneBuild, detail: { tags, summary: "The sandbox that a failed build left, if it did" } },
    )
    .get(
      "/builds/:build/shell",
      ({ request, params, query: { cols = 80, rows = 24 } }) => {
        const { id } = existingBuild(context, params.build);
        const { peer } = visitOf(request);
        if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") {
          throw new HttpError(426, "no-web-socket", "this is for WebSockets", {
            hint: `robur build shell ${id}`,
          });
        }
        kept(context, existingBuild(context, id));
        if (peer.upgrade?.(new ShellConnection(context, id, { cols, rows })) !== true) {
          throw new HttpError(400, "no-web-socket", "this connection can't become a WebSocket");
        }
        return new Response(null, { status: 101 });
      },
      {
        params: OneBuild,
        query: t.Object({ cols: Size, rows: Size }),
        detail: {
          tags,
          summary: "A shell in the sandbox that a failed build left (WebSocket)",
          description:
            "Binary messages are what is typed and what is shown. Text messages are JSON: {resize: [cols, rows]} and " +
            "{taken: bytes} to the server, which sends no more than 256 KiB that weren't taken; {ended: status} and " +
            "{error: {code, message, hint}} from it.",
        },
      },
    );
}

class ShellConnection implements SocketHandlers {
  readonly #context: ServerContext;
  readonly #build: string;
  #size: TerminalSize;
  #socket: Socket | undefined;
  #session: ShellSession | undefined;
  #isClosed = false;
  #idle: ReturnType<typeof setTimeout> | undefined;
  readonly #onStop = () => this.#end(GOING_AWAY, "the server stops");

  constructor(context: ServerContext, build: string, size: TerminalSize) {
    this.#context = context;
    this.#build = build;
    this.#size = size;
  }

  open(socket: Socket): void {
    this.#socket = socket;
    this.#context.stopping.addEventListener("abort", this.#onStop, { once: true });
    this.#stir();
    void this.#begin(socket);
  }

  async #begin(socket: Socket): Promise<void> {
    const { dataDirectory, log } = this.#context;
    try {
      const session = await openShell(openSandboxes({ dataDirectory }), this.#build, this.#size, {
        output: (bytes) => {
          this.#stir();
          socket.send(new Uint8Array(bytes));
        },
        ended: ({ exitCode, signal }) => {
          socket.send(JSON.stringify({ ended: signal === 0 ? exitCode : 128 + signal }));
          this.#end(NORMAL, "the shell has ended");
        },
      });
      if (session === undefined) throw new HttpError(404, "missing", "the sandbox is gone");
      this.#session = session;
      session.resize(this.#size);
      if (this.#isClosed) await session[Symbol.asyncDispose]();
    } catch (error) {
      if (!(error instanceof RoburError))
        log("error", "a shell failed", { build: this.#build, why: String(error) });
      const { code, message, why, hint } = problemOf(error);
      socket.send(JSON.stringify({ error: { code, message, why, hint } }));
      this.#end(FAULT, "no shell");
    }
  }

  message(data: string | Uint8Array): void {
    this.#stir();
    if (typeof data !== "string") {
      if (this.#session?.input(data) === false) this.#end(POLICY, "more was typed than the shell takes");
      return;
    }
    const { resize, taken } = readControl(data);
    if (taken !== undefined) this.#session?.taken(taken);
    if (resize === undefined) return;
    this.#size = resize;
    this.#session?.resize(resize);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#idle);
    this.#context.stopping.removeEventListener("abort", this.#onStop);
    const { log } = this.#context;
    this.#session
      ?.[Symbol.asyncDispose]()
      .catch((error: unknown) =>
        log("error", "a shell could not be ended", { build: this.#build, why: String(error) }),
      );
  }

  #end(code: number, reason: string): void {
    this.#socket?.close(code, reason);
    this.close();
  }

  #stir(): void {
    clearTimeout(this.#idle);
    if (!this.#isClosed)
      this.#idle = setTimeout(() => this.#end(POLICY, "nobody was there for half an hour"), IDLE_MS);
  }
}

interface Control {
  readonly resize: TerminalSize | undefined;
  readonly taken: number | undefined;
}

/** What can't be read says nothing. Pure. */
function readControl(text: string): Control {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { resize: undefined, taken: undefined };
  }
  const { resize, taken } = (value ?? {}) as { readonly resize?: unknown; readonly taken?: unknown };
  const [cols, rows] = Array.isArray(resize) ? (resize as readonly unknown[]) : [];
  return {
    resize: isCount(cols) && isCount(rows) ? { cols, rows } : undefined,
    taken: isCount(taken) ? taken : undefined,
  };
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0;
}
