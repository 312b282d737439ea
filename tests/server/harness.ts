/** A server without sockets and unikernels: its front door, a database in memory, and a clock that stands still. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "bun:test";
import { openBuildService } from "../../src/builds/service.ts";
import { openDatabase } from "../../src/db/open.ts";
import { createLimits } from "../../src/server/access/limits.ts";
import { createApp } from "../../src/server/app.ts";
import type { ServerContext } from "../../src/server/context.ts";
import { type Door, frontDoor } from "../../src/server/front-door.ts";
import { startSession } from "../../src/server/accounts/sessions.ts";
import { createToken } from "../../src/server/accounts/tokens.ts";
import { type User, addUser, findUser } from "../../src/server/accounts/users.ts";
import { openBuildStore } from "../../src/store/builds/build-store.ts";
import { openContentStore } from "../../src/store/contents/content-store.ts";
import { FakeOrchestrator } from "./fake-orchestrator.ts";

export const PASSWORD = "correct horse battery";
/** Hashed once: it takes a while. */
const HASH = await Bun.password.hash(PASSWORD, { algorithm: "argon2id", memoryCost: 8, timeCost: 1 });

export const BASE = "http://robur.test:8080";

const directories: string[] = [];
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

export interface Harness {
  readonly context: ServerContext;
  readonly orchestrator: FakeOrchestrator;
  readonly app: ReturnType<typeof createApp>;
  readonly door: Door;
  /** Milliseconds since 1970; what the server takes for now. */
  now: number;
  /** How often hooks were woken. */
  readonly woken: number;
  readonly stopping: AbortController;
  /** A request by TCP, with a path for its address. */
  ask(path: string, init?: AskOptions): Promise<Response>;
  user(name: string, role?: "admin" | "user", path?: string): User;
  /** The Cookie header of a new session. */
  cookie(user: User): string;
  token(user: User, ...scopes: string[]): string;
}

export interface AskOptions extends RequestInit {
  /** By the Unix socket. */
  readonly socket?: boolean;
  /** A page is wanted. */
  readonly page?: boolean;
  readonly cookie?: string;
  readonly token?: string;
  readonly json?: unknown;
  readonly form?: Record<string, string>;
  /** The Origin header; default: the server's own for requests with a cookie. */
  readonly origin?: string | null;
  readonly address?: string;
}

export function createHarness(more: Partial<ServerContext> = {}): Harness {
  const directory = mkdtempSync(join(tmpdir(), "robur-server-"));
  directories.push(directory);
  const orchestrator = new FakeOrchestrator();
  const clock = { now: 1_700_000_000_000, woken: 0 };
  const stopping = new AbortController();
  const db = openDatabase(":memory:");
  const contents = openContentStore(db, { now: () => clock.now });
  const builds = openBuildStore(db, contents, { now: () => clock.now });
  const context: ServerContext = {
    ...{ db, contents, orchestrator },
    builds,
    buildService: openBuildService({
      ...{ db, contents, builds, now: () => clock.now, report: () => undefined },
      templates: () => "%%OPAM_PACKAGE%%",
    }),
    dataDirectory: directory,
    now: () => clock.now,
    log: () => undefined,
    trustProxy: false,
    wakeHooks: () => void (clock.woken += 1),
    stopping: stopping.signal,
    ...more,
  };
  const limits = createLimits();
  const app = createApp(context, limits);
  const door = frontDoor(context, limits, (request) => app.fetch(request));
  let count = 0;
  const harness: Harness = {
    ...{ context, orchestrator, app, door, stopping },
    get now() {
      return clock.now;
    },
    set now(now) {
      clock.now = now;
    },
    get woken() {
      return clock.woken;
    },
    ask: (path, options = {}) => {
      const { socket = false, address = "192.0.2.7" } = options;
      const peer = { via: socket ? "socket" : "tcp", address: socket ? "" : address } as const;
      return door(makeRequest(path, options), { ...peer, keepOpen: () => undefined });
    },
    user: (name, role = "user", path = name) =>
      findUser(context.db, name) ??
      addUser(context.db, { name, role, path, passwordHash: HASH }, harness.now),
    cookie: (user) =>
      `robur_session=${startSession(context.db, user, { address: "", agent: "" }, harness.now)}`,
    token: (user, ...scopes) =>
      createToken(context.db, user, { name: `t${(count += 1)}`, scopes }, harness.now).secret,
  };
  return harness;
}

function makeRequest(path: string, options: AskOptions): Request {
  const { cookie, token, json, form, page, origin, method, body } = options;
  const headers = new Headers(options.headers);
  if (page) headers.set("accept", "text/html");
  if (cookie !== undefined) headers.set("cookie", cookie);
  if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
  headers.set("host", new URL(BASE).host);
  const ownOrigin = cookie === undefined && form === undefined ? null : BASE;
  const from = origin === undefined ? ownOrigin : origin;
  if (from !== null) headers.set("origin", from);
  if (json !== undefined) headers.set("content-type", "application/json");
  const content =
    json === undefined ? (form === undefined ? body : new URLSearchParams(form)) : JSON.stringify(json);
  const hasContent = content !== undefined && content !== null;
  const how = method ?? (hasContent ? "POST" : "GET");
  const request = new Request(
    `${BASE}${path}`,
    hasContent ? { method: how, headers, body: content } : { method: how, headers },
  );
  return request;
}

/** The error of a JSON answer. */
export async function errorOf(response: Response) {
  const { error } = (await response.json()) as {
    error: { code: string; message: string; why?: string; hint?: string; id: string };
  };
  return error;
}
