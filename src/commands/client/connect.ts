/**
 * The way to a server: its API by Eden, whose types are the server's own routes, and plain requests for what streams.
 * Over the Unix socket the socket's file mode is the permission; over HTTP it is a token.
 */
import { treaty } from "@elysiajs/eden/treaty2";
import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { App } from "../../server/app.ts";
import { W_OK, access, readSmallFile } from "../../linux/libc.ts";
import { ClientError, refusalOf } from "./client-error.ts";
import { type Target, chooseTarget, nameOfTarget } from "./target.ts";

type Api = ReturnType<typeof treaty<App>>["api"]["v1"];

export interface Client {
  readonly target: Target;
  readonly api: Api;
  /** An answer that is read as it comes. `path` begins with a slash. Throws ClientError. */
  request(path: string, options?: RequestOptions): Promise<Response>;
}

export interface RequestOptions {
  readonly method?: string;
  readonly body?: ReadableStream<Uint8Array>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** What Bun's fetch takes beside the standard. */
interface Extras {
  readonly unix?: string;
  readonly timeout?: false;
}

/** Nothing is sent yet. Throws UsageError for a host that is none. */
export function connect(host: string | undefined): Client {
  const target = chooseTarget(host, process.env, process.getuid?.() === 0);
  const origin = target.kind === "socket" ? "http://localhost" : target.origin;
  // Whoever waits for a start or a console waits for as long as it takes.
  const extras: Extras =
    target.kind === "socket" ? { unix: target.path, timeout: false } : { timeout: false };
  const headers: Record<string, string> =
    target.kind === "http" && target.token !== undefined ? { authorization: `Bearer ${target.token}` } : {};
  const send = async (url: string | URL | Request, init?: RequestInit): Promise<Response> => {
    try {
      return await fetch(url as string, { ...init, ...extras });
    } catch (error) {
      throw explain(error, target);
    }
  };
  const { api } = treaty<App>(origin, { fetcher: send as typeof fetch, headers, parseDate: false });
  return {
    target,
    api: api.v1,
    async request(path, options = {}) {
      const response = await send(`${origin}${path}`, {
        ...options,
        // A refusal in JSON, also at addresses that have pages; what is fetched there is what it is.
        headers: { accept: "application/json, */*", ...headers, ...options.headers },
      });
      if (response.ok) return response;
      throw refusalOf(response.status, await jsonOf(response), nameOfTarget(target));
    },
  };
}

/** An answer of Eden's, or its error as a ClientError. */
export async function ask<T>(
  client: Client,
  answer: Promise<{
    readonly data: T | null;
    readonly error: { readonly value: unknown } | null;
    readonly status: number;
  }>,
): Promise<T> {
  const { data, error, status } = await answer;
  if (error === null) return data as T;
  // Eden makes an answer out of whatever fetch throws.
  if (error.value instanceof ClientError) throw error.value;
  throw refusalOf(status, error.value, nameOfTarget(client.target));
}

async function jsonOf(response: Response): Promise<unknown> {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return text;
    throw error;
  }
}

function explain(error: unknown, target: Target): unknown {
  if (!(error instanceof Error) || error.name === "AbortError") return error;
  if (target.kind === "http") {
    return new ClientError(1, "no-server", `can't reach ${target.origin}`, {
      why: error.message,
      cause: error,
    });
  }
  const { path, isChosen } = target;
  if (access(path, W_OK) === -13 || access(dirname(path), 0) === -13) {
    const group = groupOf(path);
    return new ClientError(5, "not-permitted", `${path}: permission denied`, {
      why: `the server's socket is for root${group === undefined ? "" : ` and the group ${group}`}`,
      hint:
        group === undefined
          ? "the same command with sudo"
          : `sudo usermod --append --groups ${group} $USER, and log in again`,
      cause: error,
    });
  }
  return new ClientError(1, "no-server", "no server runs here", {
    why: existsSync(path) ? `nobody listens on ${path}` : `there is no ${path}`,
    hint: isChosen
      ? "another --host"
      : "robur serve, or sudo systemctl start robur; another machine's: --host https://…",
    cause: error,
  });
}

/** The name of the group that a socket belongs to, if it isn't root's. */
function groupOf(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined || stat.gid === 0) return undefined;
  const line = (readSmallFile("/etc/group") ?? "")
    .split("\n")
    .find((line) => line.split(":")[2] === String(stat.gid));
  return line?.split(":", 1)[0];
}
