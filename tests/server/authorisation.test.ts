/**
 * Every route and everybody who may come: what is allowed is written down here once more, on its own, so that a
 * change of the server's table is a change of this one as well.
 */
import { describe, expect, test } from "bun:test";
import { ROUTES } from "../../src/server/access/route-table.ts";
import { changeUser } from "../../src/server/accounts/users.ts";
import { writeSetting } from "../../src/server/settings.ts";
import { ID, RECORD } from "./builds/vector.ts";
import { SHA } from "./fake-orchestrator.ts";
import { type Harness, createHarness } from "./harness.ts";

type Need = "anybody" | "person" | "builds" | "read" | "operate" | "write" | "metrics" | "worker" | "admin";

/** What each route needs; `own`: it is about one unikernel, which who is of another path must not find. */
const EXPECTED: Readonly<Record<string, Need | `${"read" | "operate" | "write"} own`>> = {
  "GET /healthz": "anybody",
  "GET /readyz": "anybody",
  "GET /metrics": "metrics",
  "GET /openapi.json": "anybody",
  "GET /assets/:file": "anybody",
  "GET /favicon.ico": "anybody",
  "GET /img/robur-logo.png": "anybody",
  "GET /img/robur-logo-black-writing.png": "anybody",
  "GET /install.sh": "anybody",
  "GET /RELEASE": "anybody",
  "GET /SHA256SUMS": "anybody",
  "GET /SHA256SUMS.sig": "anybody",
  "GET /robur-linux-x64.gz": "anybody",
  "GET /robur-linux-arm64.gz": "anybody",
  "GET /:version/:file": "anybody",
  "GET /robots.txt": "anybody",
  "GET /api/v1/system": "read",
  "GET /api/v1/session": "anybody",
  "POST /api/v1/session": "anybody",
  "DELETE /api/v1/session": "person",
  "GET /api/v1/sessions": "person",
  "DELETE /api/v1/sessions/:session": "person",
  "PUT /api/v1/password": "person",
  "POST /api/v1/setup": "anybody",
  "GET /api/v1/tokens": "person",
  "POST /api/v1/tokens": "person",
  "DELETE /api/v1/tokens/:token": "person",
  "GET /api/v1/users": "admin",
  "POST /api/v1/users": "admin",
  "PATCH /api/v1/users/:user": "admin",
  "PUT /api/v1/users/:user/password": "admin",
  "DELETE /api/v1/users/:user": "admin",
  "GET /api/v1/users/:user/tokens": "admin",
  "POST /api/v1/users/:user/tokens": "admin",
  "DELETE /api/v1/users/:user/tokens/:token": "admin",
  "GET /api/v1/audit": "admin",
  "GET /api/v1/settings": "admin",
  "PUT /api/v1/settings/:key": "admin",
  "DELETE /api/v1/settings/:key": "admin",
  "GET /api/v1/hooks": "admin",
  "POST /api/v1/hooks": "admin",
  "PATCH /api/v1/hooks/:hook": "admin",
  "DELETE /api/v1/hooks/:hook": "admin",
  "POST /api/v1/hooks/:hook/test": "admin",
  "GET /api/v1/hooks/:hook/deliveries": "admin",
  "POST /api/v1/hooks/:hook/deliveries/:delivery/replay": "admin",
  "GET /api/v1/trust/own": "anybody",
  "GET /api/v1/trust/keys": "read",
  "POST /api/v1/trust/keys": "admin",
  "DELETE /api/v1/trust/keys/:key": "admin",
  "GET /api/v1/attestations": "anybody",
  "POST /api/v1/attestations": "admin",
  "GET /api/v1/reproductions": "anybody",
  "POST /api/v1/reproductions": "admin",
  "GET /job/:job/build/:build/attestations": "anybody",
  "GET /job/:job/build/:build/buildinfo": "anybody",
  "GET /api/v1/images": "read",
  "POST /api/v1/images": "write",
  "POST /api/v1/images/from-build": "write",
  "GET /api/v1/images/:sha256": "read",
  "GET /api/v1/images/:sha256/content": "read",
  "GET /api/v1/store": "read",
  "POST /api/v1/store/collect": "admin",
  "POST /api/v1/store/verify": "admin",
  "POST /api/v1/store/vacuum": "admin",
  "GET /api/v1/store/retention": "admin",
  "PUT /api/v1/store/retention": "admin",
  "POST /api/v1/uploads": "write",
  "GET /api/v1/uploads/:upload": "write",
  "PATCH /api/v1/uploads/:upload": "write",
  "DELETE /api/v1/uploads/:upload": "write",
  "GET /api/v1/unikernels": "read",
  "POST /api/v1/unikernels": "write",
  "POST /api/v1/deploy": "write",
  "GET /api/v1/unikernels/:name": "read own",
  "PATCH /api/v1/unikernels/:name": "write own",
  "DELETE /api/v1/unikernels/:name": "write own",
  "POST /api/v1/unikernels/:name/start": "operate own",
  "POST /api/v1/unikernels/:name/stop": "operate own",
  "POST /api/v1/unikernels/:name/restart": "operate own",
  "POST /api/v1/unikernels/:name/rename": "write own",
  "GET /api/v1/unikernels/:name/console": "read own",
  "GET /api/v1/unikernels/:name/console/stream": "read own",
  "GET /api/v1/unikernels/:name/stats": "read own",
  "GET /api/v1/stats": "read",
  "GET /api/v1/stats/stream": "read",
  "GET /api/v1/events": "read",
  "GET /api/v1/events/stream": "read",
  "GET /api/v1/policies": "read",
  "PUT /api/v1/policies/:path": "admin",
  "DELETE /api/v1/policies/:path": "admin",
  "GET /api/v1/networks": "read",
  "GET /api/v1/volumes": "read",
  "GET /api/v1/unreproducible": "anybody",
  "GET /deb": "anybody",
  "GET /deb/robur.asc": "anybody",
  "GET /deb/dists/:platform/*": "anybody",
  "GET /deb/pool/:platform/:file": "anybody",
  "POST /api/v1/imports": "admin",
  "GET /api/v1/remotes": "read",
  "POST /api/v1/remotes": "admin",
  "PUT /api/v1/remotes/:remote/default": "admin",
  "DELETE /api/v1/remotes/:remote": "admin",
  "GET /api/v1/schedule": "read",
  "POST /api/v1/schedule": "admin",
  "GET /api/v1/schedule/:job": "read",
  "PATCH /api/v1/schedule/:job": "admin",
  "DELETE /api/v1/schedule/:job": "admin",
  "PUT /api/v1/schedule/:job/enabled": "admin",
  "PUT /api/v1/schedule/:job/next": "admin",
  "POST /api/v1/schedule/:job/start": "operate",
  "GET /api/v1/runs": "builds",
  "GET /api/v1/runs/:run": "builds",
  "GET /api/v1/runs/:run/wait": "read",
  "POST /api/v1/runs/:run/abort": "admin",
  "POST /api/v1/runs/:run/move": "admin",
  "GET /api/v1/runs/:run/console": "builds",
  "GET /api/v1/runs/:run/console/stream": "builds",
  "GET /api/v1/queue": "builds",
  "POST /api/v1/queue/:platform/drop": "admin",
  "POST /api/v1/queue/:platform/undrop": "admin",
  "GET /api/v1/workers": "read",
  "GET /queue": "builds",
  "GET /api/v1/builds/:build/sandbox": "admin",
  "GET /api/v1/builds/:build/shell": "admin",
  "GET /runs/:run": "builds",
  "GET /runs/:run/console": "builds",
  "POST /runs/:run/abort": "admin",
  "POST /runs/:run/move": "admin",
  "GET /jobs/new": "admin",
  "POST /jobs/new": "admin",
  "GET /jobs/:job/settings": "admin",
  "POST /jobs/:job/settings": "admin",
  "POST /jobs/:job/start": "operate",
  "POST /jobs/:job/enabled": "admin",
  "POST /jobs/:job/forget": "admin",
  "POST /api/v1/worker/take": "worker",
  "POST /api/v1/worker/lines": "worker",
  "POST /api/v1/worker/finish": "worker",
  "GET /": "builds",
  "GET /api/v1/search": "builds",
  "GET /compare/:left/:right": "builds",
  "GET /compare": "builds",
  "GET /search": "builds",
  "GET /api/v1/users/:user/uploads": "admin",
  "PUT /api/v1/users/:user/uploads/:job": "admin",
  "DELETE /api/v1/users/:user/uploads/:job": "admin",
  "GET /api/v1/jobs": "builds",
  "GET /api/v1/jobs/:job": "builds",
  "DELETE /api/v1/jobs/:job": "admin",
  "GET /api/v1/jobs/:job/builds": "builds",
  "POST /api/v1/jobs/:job/builds": "write",
  "GET /api/v1/builds": "builds",
  "GET /api/v1/builds/:build": "builds",
  "GET /api/v1/compare/:left/:right": "builds",
  "DELETE /api/v1/builds/:build": "admin",
  "PUT /api/v1/builds/:build/pin": "admin",
  "GET /all-builds": "builds",
  "GET /failed-builds": "builds",
  "GET /hash": "builds",
  "GET /job": "builds",
  "GET /job/:job": "builds",
  "GET /job/:job/failed": "builds",
  "GET /job/:job/feed": "builds",
  "GET /job/:job/badge.svg": "builds",
  "GET /job/:job/build": "builds",
  "GET /job/:job/build/latest": "builds",
  "GET /job/:job/build/latest/*": "builds",
  "GET /job/:job/build/:build": "builds",
  "GET /job/:job/build/:build/log": "builds",
  "GET /job/:job/build/:build/shell": "admin",
  "POST /job/:job/build/:build/pin": "admin",
  "POST /job/:job/build/:build/remove": "admin",
  "GET /job/:job/build/:build/f/*": "builds",
  "GET /job/:job/build/:build/script": "builds",
  "GET /job/:job/build/:build/console": "builds",
  "GET /job/:job/build/:build/exec": "builds",
  "GET /job/:job/build/:build/viztreemap": "builds",
  "GET /job/:job/build/:build/vizdependencies": "builds",
  "GET /job/:job/build/:build/main-binary": "builds",
  "GET /job/:job/build/:build/all.tar": "builds",
  "GET /job/:job/build/:build/all.tar.gz": "builds",
  "POST /upload": "write",
  "POST /job/:job/platform/:platform/upload": "write",
  "GET /reference": "anybody",
  "GET /setup": "anybody",
  "POST /setup": "anybody",
  "GET /sign-in": "anybody",
  "POST /sign-in": "anybody",
  "POST /sign-out": "person",
  "POST /theme": "anybody",
  "GET /unikernels": "read",
  "GET /unikernels/:name": "read own",
  "GET /unikernels/:name/console": "read own",
  "GET /unikernels/:name/remove": "write own",
  "POST /unikernels/:name/start": "operate own",
  "POST /unikernels/:name/stop": "operate own",
  "POST /unikernels/:name/restart": "operate own",
  "POST /unikernels/:name/remove": "write own",
  "GET /deploy": "write",
  "POST /deploy": "write",
  "POST /deploy/sample": "write",
  "GET /deploy/:sha256": "write",
  "POST /deploy/:sha256": "write",
};

/** Bodies that pass the check of their form, for routes about one unikernel: otherwise that would be complained of first. */
const BODIES: Readonly<Record<string, unknown>> = {
  "PATCH /api/v1/unikernels/:name": { config: { memoryMb: 64 } },
  "POST /api/v1/unikernels/:name/rename": { to: "alice:other" },
};

const VISITORS = [
  "anonymous",
  "other path",
  "own path",
  "token read",
  "token operate",
  "token write",
  "token metrics",
  "token worker",
  "token admin",
  "admin",
  "socket",
] as const;
type Visitor = (typeof VISITORS)[number];

type Answer = "allowed" | "sign in" | "forbidden" | "hidden";

const SCOPES: Record<Visitor, readonly string[]> = {
  anonymous: [],
  "other path": ["read", "operate", "write", "metrics"],
  "own path": ["read", "operate", "write", "metrics"],
  "token read": ["read"],
  "token operate": ["operate"],
  "token write": ["write"],
  "token metrics": ["metrics"],
  "token worker": ["worker"],
  "token admin": ["admin"],
  admin: ["read", "operate", "write", "metrics", "worker", "admin"],
  socket: ["read", "operate", "write", "metrics", "worker", "admin"],
};

function expected(route: string, visitor: Visitor): Answer {
  const [need = "", own] = EXPECTED[route]!.split(" ");
  if (need === "anybody" || need === "builds") return "allowed";
  if (visitor === "anonymous") return "sign in";
  if (need === "person")
    return ["other path", "own path", "admin"].includes(visitor) ? "allowed" : "forbidden";
  if (!SCOPES[visitor].includes(need)) return "forbidden";
  return own !== undefined && visitor === "other path" ? "hidden" : "allowed";
}

/** Credentials of a visitor, made anew: the routes sign out, and remove tokens. */
function credentials(harness: Harness, visitor: Visitor) {
  const alice = harness.user("alice");
  const root = harness.user("root", "admin");
  if (visitor === "anonymous") return {};
  if (visitor === "socket") return { socket: true };
  if (visitor === "admin") return { cookie: harness.cookie(root) };
  if (visitor === "own path") return { cookie: harness.cookie(alice) };
  if (visitor === "other path") return { cookie: harness.cookie(harness.user("bob")) };
  const scope = visitor.slice("token ".length);
  return { token: harness.token(scope === "admin" || scope === "worker" ? root : alice, scope) };
}

const PARAMETERS: Readonly<Record<string, string>> = {
  name: "alice%3Aweb",
  user: "victim",
  token: "000000000000",
  session: "000000000000",
  key: "some.key",
  hook: "1",
  delivery: "1",
  sha256: SHA,
  file: "none.js",
  path: "alice",
  job: "hello",
  remote: "none",
  platform: "debian-12",
  run: "hello%3A1",
  upload: "00000000000000000000000000000000",
  left: ID,
  right: ID,
};

async function answer(harness: Harness, route: string, visitor: Visitor): Promise<Answer> {
  harness.user("victim");
  changeUser(harness.context.db, harness.user("alice").name, { uploads: "any" });
  changeUser(harness.context.db, harness.user("bob").name, { uploads: "any" });
  // Made anew: some routes remove it.
  await harness.ask("/upload", { method: "POST", body: RECORD, socket: true });
  const [method = "", pattern = ""] = route.split(" ");
  const build = pattern.startsWith("/api/v1/b") || pattern.startsWith("/job/") ? ID : "x";
  const path = pattern
    .replaceAll(/:(\w+)/g, (_, name: string) => (name === "build" ? build : (PARAMETERS[name] ?? "")))
    .replace("*", "bin/hello.hvt");
  const isPage = !pattern.startsWith("/api/");
  const body = BODIES[route];
  const response = await harness.ask(path, {
    ...credentials(harness, visitor),
    method,
    page: isPage,
    ...(body === undefined ? {} : { json: body }),
  });
  const { status } = response;
  await response.body?.cancel();
  if (status === 401) return isWrongPassword(route) ? "allowed" : "sign in";
  if (
    status === 303 &&
    response.headers.get("location")?.startsWith("/sign-in") &&
    !response.headers.has("set-cookie")
  ) {
    return "sign in";
  }
  if (status === 403) return "forbidden";
  if (status === 404 && pattern.includes(":name")) return "hidden";
  return "allowed";
}

function isWrongPassword(route: string): boolean {
  return route === "POST /sign-in";
}

describe("who may use what", () => {
  const harness = createHarness();

  test("every route has an entry here, and every entry a route", () => {
    const routes = harness.app.routes.map(({ method, path }) => `${method} ${path}`);
    expect(Object.keys(EXPECTED).sort()).toEqual([...new Set(routes)].sort());
    expect(Object.keys(ROUTES).sort()).toEqual(Object.keys(EXPECTED).sort());
  });

  test("every route that changes something is in the audit log by name", () => {
    const silent = Object.entries(ROUTES).filter(
      ([route, { action }]) => !route.startsWith("GET ") && !action,
    );
    // Workers speak each second; the colours of the page are the visitor's own, in a cookie.
    const known = ["POST /api/v1/worker/take", "POST /api/v1/worker/lines", "POST /theme"];
    expect(silent.map(([route]) => route)).toEqual(known);
  });

  for (const route of Object.keys(EXPECTED)) {
    test(route, async () => {
      const found: Partial<Record<Visitor, Answer>> = {};
      for (const visitor of VISITORS) {
        // So many requests in no time would be too many.
        harness.now += 600_000;
        found[visitor] = await answer(harness, route, visitor);
      }
      const wanted = Object.fromEntries(VISITORS.map((visitor) => [visitor, expected(route, visitor)]));
      expect(found).toEqual(wanted as typeof found);
    });
  }

  test("builds are for who may read, where the owner says so", async () => {
    const closed = createHarness();
    writeSetting(closed.context.db, "builds.public", false);
    closed.user("root", "admin");
    for (const route of Object.keys(EXPECTED).filter((name) => EXPECTED[name] === "builds")) {
      closed.now += 600_000;
      const found = [];
      for (const visitor of ["anonymous", "token operate", "token read", "socket"] as const) {
        found.push(await answer(closed, route, visitor));
      }
      expect([route, ...found]).toEqual([route, "sign in", "forbidden", "allowed", "allowed"]);
    }
  });
});
