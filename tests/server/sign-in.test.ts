import { describe, expect, test } from "bun:test";
import { createHarness, errorOf, PASSWORD } from "./harness.ts";
import { createSetupSecret } from "../../src/server/accounts/setup-links.ts";
import { findUser, isSetUp } from "../../src/server/accounts/users.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

function sessionOf(response: Response): string {
  const header = response.headers.get("set-cookie") ?? "";
  return header.split(";")[0]!;
}

describe("signing in", () => {
  test("the cookie is for this host only, out of reach of scripts, and secure behind TLS", async () => {
    const harness = createHarness();
    harness.user("root", "admin");
    const form = { user: "root", password: PASSWORD };
    const plain = await harness.ask("/sign-in", { form, page: true });
    expect(plain.status).toBe(303);
    expect(plain.headers.get("set-cookie")).toMatch(
      /^robur_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax; Max-Age=2592000$/,
    );
    const secure = await harness.ask("/sign-in", { form, headers: { "x-forwarded-proto": "https" } });
    expect(secure.headers.get("set-cookie")).toEndWith("; Secure");
  });

  test("what is kept of a session doesn't open it", async () => {
    const harness = createHarness();
    const cookie = harness.cookie(harness.user("root", "admin"));
    const secret = cookie.slice("robur_session=".length);
    const [row] = harness.context.db.query<{ hash: string }, []>("SELECT hash FROM session").all();
    expect(row?.hash).not.toContain(secret);
    expect((await harness.ask("/api/v1/system", { cookie })).status).toBe(200);
    expect((await harness.ask("/api/v1/system", { cookie: `robur_session=${row?.hash}` })).status).toBe(401);
  });

  test("a session ends by signing out, after a week without use, and after a month at the latest", async () => {
    const harness = createHarness();
    const root = harness.user("root", "admin");
    const signedOut = harness.cookie(root);
    expect((await harness.ask("/sign-out", { method: "POST", cookie: signedOut })).status).toBe(303);
    expect((await harness.ask("/api/v1/system", { cookie: signedOut })).status).toBe(401);

    const idle = harness.cookie(root);
    harness.now += 6 * DAY;
    expect((await harness.ask("/api/v1/system", { cookie: idle })).status).toBe(200);
    harness.now += 8 * DAY;
    expect((await harness.ask("/api/v1/system", { cookie: idle })).status).toBe(401);

    const old = harness.cookie(root);
    for (let day = 0; day < 29; day += 5) {
      harness.now += 5 * DAY;
      const { status } = await harness.ask("/api/v1/system", { cookie: old });
      expect(status).toBe(day + 5 < 30 ? 200 : 401);
    }
  });

  test("signing in again ends the session that the browser had", async () => {
    const harness = createHarness();
    const cookie = harness.cookie(harness.user("root", "admin"));
    const again = await harness.ask("/sign-in", { form: { user: "root", password: PASSWORD }, cookie });
    expect((await harness.ask("/api/v1/system", { cookie })).status).toBe(401);
    expect((await harness.ask("/api/v1/system", { cookie: sessionOf(again) })).status).toBe(200);
  });

  test("a new password ends all sessions but the one that set it", async () => {
    const harness = createHarness();
    const root = harness.user("root", "admin");
    const [here, there] = [harness.cookie(root), harness.cookie(root)];
    const json = { old: PASSWORD, new: "a quite different one" };
    const changed = await harness.ask("/api/v1/password", { method: "PUT", json, cookie: here });
    expect(changed.status).toBe(200);
    expect((await harness.ask("/api/v1/system", { cookie: there })).status).toBe(401);
    expect((await harness.ask("/api/v1/system", { cookie: here })).status).toBe(401);
    expect((await harness.ask("/api/v1/system", { cookie: sessionOf(changed) })).status).toBe(200);
    const wrong = await harness.ask("/api/v1/session", { json: { user: "root", password: PASSWORD } });
    expect(wrong.status).toBe(401);
  });

  test("a wrong password and a user who isn't there look the same", async () => {
    const harness = createHarness();
    harness.user("root", "admin");
    const answers = await Promise.all(
      ["root", "nobody"].map((user) =>
        harness.ask("/api/v1/session", { json: { user, password: "wrong one here" } }),
      ),
    );
    const [first, second] = await Promise.all(
      answers.map(async (answer) => [answer.status, await errorOf(answer)] as const),
    );
    expect(first?.[0]).toBe(401);
    expect(second?.[0]).toBe(401);
    expect(first?.[1].message).toBe(second?.[1].message ?? "");
  });

  test("ten wrong passwords from one address are enough, and the right one has to wait as well", async () => {
    const harness = createHarness();
    harness.user("root", "admin");
    const attempt = (password: string, address: string) =>
      harness.ask("/api/v1/session", { json: { user: "root", password }, address });
    for (let i = 0; i < 10; i++) expect((await attempt("wrong one here", "192.0.2.1")).status).toBe(401);
    const late = await attempt(PASSWORD, "192.0.2.1");
    expect(late.status).toBe(429);
    expect(Number(late.headers.get("retry-after"))).toBeGreaterThan(0);
    expect((await attempt(PASSWORD, "192.0.2.2")).status).toBe(200);
    harness.now += 5 * MINUTE;
    expect((await attempt(PASSWORD, "192.0.2.1")).status).toBe(200);
  });

  test("guessing one user's password from many addresses ends, too", async () => {
    const harness = createHarness();
    harness.user("root", "admin");
    const statuses = new Set<number>();
    for (let i = 0; i < 21; i++) {
      const json = { user: "ROOT", password: "wrong one here" };
      statuses.add((await harness.ask("/api/v1/session", { json, address: `192.0.2.${i}` })).status);
    }
    expect([...statuses]).toEqual([401, 429]);
  });

  test("where a form leads afterwards is never another site", async () => {
    const harness = createHarness();
    harness.user("root", "admin");
    for (const next of [
      "//evil.example/",
      "https://evil.example/",
      "/\\evil.example",
      "javascript:alert(1)",
      "",
    ]) {
      const form = { user: "root", password: PASSWORD, next };
      const answer = await harness.ask("/sign-in", { form });
      expect(answer.headers.get("location")).toBe("/");
    }
    const form = { user: "root", password: PASSWORD, next: "/unikernels/a%3Ab?course=day" };
    expect((await harness.ask("/sign-in", { form })).headers.get("location")).toBe(
      "/unikernels/a%3Ab?course=day",
    );
  });
});

describe("setting up", () => {
  test("before it every page says how, and none is a form to sign in", async () => {
    const harness = createHarness();
    for (const path of ["/", "/unikernels", "/sign-in", "/deploy"]) {
      const answer = await harness.ask(path, { page: true });
      expect(answer.status).toBe(503);
      const text = await answer.text();
      expect(text).toContain("robur setup-url");
      expect(text).not.toContain('type="password"');
    }
  });

  test("the link makes one administrator, once, and signs in", async () => {
    const harness = createHarness();
    const secret = createSetupSecret(harness.context.db, harness.now);
    const form = { secret, user: "Hannes", password: PASSWORD };
    const answer = await harness.ask("/setup", { form, page: true });
    expect(answer.status).toBe(303);
    expect(findUser(harness.context.db, "hannes")?.role).toBe("admin");
    expect((await harness.ask("/api/v1/users", { cookie: sessionOf(answer) })).status).toBe(200);
    const again = await harness.ask("/api/v1/setup", { json: { ...form, user: "mallory" } });
    expect(again.status).toBe(409);
    expect(findUser(harness.context.db, "mallory")).toBeUndefined();
  });

  test("two at once make one administrator", async () => {
    const harness = createHarness();
    const secret = createSetupSecret(harness.context.db, harness.now);
    const answers = await Promise.all(
      ["ann", "ben"].map((user) =>
        harness.ask("/api/v1/setup", { json: { secret, user, password: PASSWORD } }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
  });

  test("a link is void after half an hour, and when there is a newer one", async () => {
    const harness = createHarness();
    const { db } = harness.context;
    const old = createSetupSecret(db, harness.now);
    const secret = createSetupSecret(db, harness.now);
    const attempt = (text: string) =>
      harness.ask("/api/v1/setup", { json: { secret: text, user: "ann", password: PASSWORD } });
    expect((await attempt(old)).status).toBe(403);
    harness.now += 30 * MINUTE;
    expect((await attempt(secret)).status).toBe(403);
    expect(isSetUp(db)).toBe(false);
  });

  test("a weak password doesn't use the link up", async () => {
    const harness = createHarness();
    const secret = createSetupSecret(harness.context.db, harness.now);
    const attempt = (password: string) =>
      harness.ask("/setup", { form: { secret, user: "ann", password }, page: true });
    const weak = await attempt("short");
    expect(weak.status).toBe(422);
    const page = await weak.text();
    expect(page).toContain(secret);
    expect(page).toContain("at least 10 characters");
    expect((await attempt(PASSWORD)).status).toBe(303);
  });

  test("guessing links ends", async () => {
    const harness = createHarness();
    createSetupSecret(harness.context.db, harness.now);
    const statuses = new Set<number>();
    for (let i = 0; i < 11; i++) {
      const json = { secret: `guess${i}`, user: "ann", password: PASSWORD };
      statuses.add((await harness.ask("/api/v1/setup", { json })).status);
    }
    expect([...statuses]).toEqual([403, 429]);
  });
});

describe("tokens", () => {
  test("one that expired, was removed or is not whole is refused, not taken for nobody", async () => {
    const harness = createHarness();
    const { db } = harness.context;
    const alice = harness.user("alice");
    const token = harness.token(alice, "read");
    expect((await harness.ask("/api/v1/unikernels", { token })).status).toBe(200);
    for (const wrong of [token.slice(0, -1), `${token.slice(0, -1)}_`, "robur_", "Bearer"]) {
      expect((await harness.ask("/healthz", { token: wrong })).status).toBe(401);
    }
    db.run("UPDATE token SET expires_at = 1");
    expect((await harness.ask("/api/v1/unikernels", { token })).status).toBe(401);
  });

  test("a token never can more than its user can now", async () => {
    const harness = createHarness();
    const root = harness.user("root", "admin");
    harness.user("other", "admin");
    const token = harness.token(root, "admin", "read");
    expect((await harness.ask("/api/v1/users", { token })).status).toBe(200);
    const change = { method: "PATCH", json: { role: "user", path: "bob" }, socket: true };
    expect((await harness.ask("/api/v1/users/root", change)).status).toBe(200);
    expect((await harness.ask("/api/v1/users", { token })).status).toBe(403);
    const list = (await (await harness.ask("/api/v1/unikernels", { token })).json()) as {
      unikernels: { name: string }[];
    };
    expect(list.unikernels.map(({ name }) => name)).toEqual(["bob:web"]);
  });

  test("its secret is shown once, and the user's path bounds it", async () => {
    const harness = createHarness();
    const cookie = harness.cookie(harness.user("alice"));
    const json = { name: "ci", scopes: ["read"], path: "alice:ci" };
    const made = (await (await harness.ask("/api/v1/tokens", { json, cookie })).json()) as { secret: string };
    expect(made.secret).toMatch(/^robur_[0-9a-f]{12}_[\w-]{43}$/);
    expect(await (await harness.ask("/api/v1/tokens", { cookie })).text()).not.toContain(
      made.secret.slice(19),
    );
    const beyond = { name: "more", scopes: ["read"], path: "bob" };
    expect((await harness.ask("/api/v1/tokens", { json: beyond, cookie })).status).toBe(422);
    const admin = { name: "more", scopes: ["admin"] };
    expect((await harness.ask("/api/v1/tokens", { json: admin, cookie })).status).toBe(422);
  });
});

describe("users", () => {
  test("the last administrator stays", async () => {
    const harness = createHarness();
    harness.user("root", "admin");
    expect((await harness.ask("/api/v1/users/root", { method: "DELETE", socket: true })).status).toBe(409);
    const json = { role: "user" };
    expect((await harness.ask("/api/v1/users/root", { method: "PATCH", json, socket: true })).status).toBe(
      409,
    );
    harness.user("other", "admin");
    expect((await harness.ask("/api/v1/users/root", { method: "DELETE", socket: true })).status).toBe(200);
  });

  test("password hashes leave the server by no route", async () => {
    const harness = createHarness();
    const cookie = harness.cookie(harness.user("root", "admin"));
    for (const path of [
      "/api/v1/users",
      "/api/v1/session",
      "/api/v1/sessions",
      "/api/v1/tokens",
      "/api/v1/audit",
    ]) {
      const text = await (await harness.ask(path, { cookie })).text();
      expect(text).not.toMatch(/argon2|password_?hash/i);
    }
  });
});
