import { describe, expect, test } from "bun:test";
import { ROUTES } from "../../src/server/access/route-table.ts";
import { BODY_LIMIT } from "../../src/server/http/limit-body.ts";
import { SHA } from "./fake-orchestrator.ts";
import { BASE, createHarness, errorOf } from "./harness.ts";

describe("requests of other sites", () => {
  const start = "/api/v1/unikernels/alice:web/start";

  test("a browser's request from elsewhere changes nothing", async () => {
    const harness = createHarness();
    const cookie = harness.cookie(harness.user("alice"));
    for (const origin of [
      "http://evil.example",
      "null",
      `${BASE}1`,
      "http://robur.test.evil.example:8080",
      BASE.replace("8080", "8081"),
    ]) {
      const answer = await harness.ask(start, { method: "POST", cookie, origin });
      expect(answer.status).toBe(403);
      expect((await errorOf(answer)).code).toBe("other-origin");
    }
    for (const site of ["cross-site", "same-site"]) {
      const headers = { "sec-fetch-site": site };
      expect((await harness.ask(start, { method: "POST", cookie, headers })).status).toBe(403);
    }
    expect(harness.orchestrator.asked).toEqual([]);
  });

  test("with a cookie and no origin at all it doesn't either", async () => {
    const harness = createHarness();
    const cookie = harness.cookie(harness.user("alice"));
    expect((await harness.ask(start, { method: "POST", cookie, origin: null })).status).toBe(403);
  });

  test("one's own pages may, also behind a proxy with TLS, and programs with a token may from anywhere", async () => {
    const harness = createHarness();
    const alice = harness.user("alice");
    const cookie = harness.cookie(alice);
    expect((await harness.ask(start, { method: "POST", cookie })).status).toBe(200);
    const tls = BASE.replace("http:", "https:");
    expect((await harness.ask(start, { method: "POST", cookie, origin: tls })).status).toBe(200);
    const token = harness.token(alice, "operate");
    expect((await harness.ask(start, { method: "POST", token, origin: "http://evil.example" })).status).toBe(
      200,
    );
  });

  test("nobody is signed in or set up by another site's form", async () => {
    const harness = createHarness();
    harness.user("root", "admin");
    const form = { user: "root", password: "x" };
    expect((await harness.ask("/sign-in", { form, origin: "http://evil.example" })).status).toBe(403);
  });
});

describe("how much may be asked", () => {
  test("a visitor who asks too much is told when to come back; the socket is not counted", async () => {
    const harness = createHarness();
    const statuses = new Set<number>();
    for (let i = 0; i < 1201; i++) statuses.add((await harness.ask("/healthz")).status);
    expect([...statuses]).toEqual([200, 429]);
    expect((await harness.ask("/healthz", { socket: true })).status).toBe(200);
    expect((await harness.ask("/healthz", { address: "192.0.2.99" })).status).toBe(200);
  });

  test("one home's IPv6 addresses count together", async () => {
    const harness = createHarness();
    let last = 0;
    for (let i = 0; i < 1201; i++) {
      last = (await harness.ask("/healthz", { address: `2001:db8:1:2::${i.toString(16)}` })).status;
    }
    expect(last).toBe(429);
    expect((await harness.ask("/healthz", { address: "2001:db8:1:3::1" })).status).toBe(200);
  });

  test("X-Forwarded-For counts only where a proxy of one's own is in front", async () => {
    const headers = { "x-forwarded-for": "203.0.113.5, 198.51.100.9" };
    const actorOf = async (trustProxy: boolean) => {
      const harness = createHarness({ trustProxy });
      harness.user("root", "admin");
      await harness.ask("/api/v1/session", { json: { user: "root", password: "wrong one here" }, headers });
      const { entries } = (await (await harness.ask("/api/v1/audit", { socket: true })).json()) as {
        entries: { address: string }[];
      };
      return entries[0]?.address;
    };
    expect(await actorOf(false)).toBe("192.0.2.7");
    expect(await actorOf(true)).toBe("198.51.100.9");
  });
});

describe("bodies", () => {
  const big = "x".repeat(BODY_LIMIT + 1);

  test("what is no upload is refused when it is large, with and without a length", async () => {
    const harness = createHarness();
    const cookie = harness.cookie(harness.user("root", "admin"));
    const headers = { "content-type": "application/json" };
    const told = await harness.ask("/api/v1/users", {
      method: "POST",
      body: big,
      headers: { ...headers, "content-length": String(big.length) },
      cookie,
    });
    expect(told.status).toBe(413);
    let pulled = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        pulled += 1;
        controller.enqueue(new Uint8Array(65_536).fill(32));
      },
    });
    const untold = await harness.ask("/api/v1/users", { method: "POST", body: endless, headers, cookie });
    expect(untold.status).toBe(413);
    expect(pulled).toBeLessThan(40);
  });

  test("an upload is read as it comes", async () => {
    const harness = createHarness();
    const token = harness.token(harness.user("alice"), "write");
    const pieces = 300;
    let pulled = 0;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        pulled += 1;
        controller.enqueue(new Uint8Array(65_536));
        if (pulled === pieces) controller.close();
      },
    });
    const answer = await harness.ask("/api/v1/images", { method: "POST", body, token });
    expect(answer.status).toBe(201);
    expect(harness.orchestrator.received).toBe(pieces * 65_536);
    // Somebody else's unikernels are not named.
    expect(((await answer.json()) as { usedBy: string[] }).usedBy).toEqual(["alice:web"]);
  });

  test("an upload that is announced as too large isn't begun", async () => {
    const harness = createHarness();
    const token = harness.token(harness.user("alice"), "write");
    const headers = { "content-length": String(5 * 1024 ** 3) };
    const answer = await harness.ask("/api/v1/images", { method: "POST", body: "x", headers, token });
    expect(answer.status).toBe(413);
    expect(harness.orchestrator.asked).toEqual([]);
  });

  test("what can't be read, or isn't as it should be, says so and where", async () => {
    const harness = createHarness();
    const cookie = harness.cookie(harness.user("root", "admin"));
    const headers = { "content-type": "application/json" };
    const broken = await harness.ask("/api/v1/users", { method: "POST", body: "{", headers, cookie });
    expect([broken.status, (await errorOf(broken)).code]).toEqual([400, "unreadable"]);
    const json = { name: "web", image: SHA, config: { memoryMb: "much" } };
    const invalid = await harness.ask("/api/v1/unikernels", { json, cookie });
    expect(invalid.status).toBe(422);
    const { code, why } = await errorOf(invalid);
    expect(code).toBe("invalid");
    expect(why).toContain("config.memoryMb");
  });
});

describe("addresses", () => {
  test("a segment that can't be decoded names nothing, whatever the route", async () => {
    const harness = createHarness();
    for (const route of Object.keys(ROUTES).filter((name) => name.includes("/:"))) {
      const [method = "", pattern = ""] = route.split(" ");
      for (const junk of ["%", "%zz", "%ff"]) {
        const path = pattern.replaceAll(/:[a-z0-9]+/g, junk).replace("*", junk);
        const { status } = await harness.ask(path, { method, socket: true });
        expect([method, path, status]).toEqual([method, path, 404]);
      }
    }
  });

  test("without a Host it is a request all the same; what can't be a host is refused", async () => {
    const harness = createHarness();
    // What the runtime makes of such a request: an address that is no more than the path.
    const request = (host: string | undefined) => {
      const headers = new Headers(host === undefined ? {} : { host });
      const bare = new Request("http://x/healthz?a", { headers });
      Object.defineProperty(bare, "url", { value: "/healthz?a" });
      return bare;
    };
    const peer = { via: "tcp", address: "192.0.2.7", keepOpen: () => undefined } as const;
    expect((await harness.door(request(undefined), peer)).status).toBe(200);
    expect((await harness.door(request(""), peer)).status).toBe(200);
    const refused = await harness.door(request("a b"), peer);
    expect([refused.status, await refused.text()]).toEqual([
      400,
      "the header Host can't be the name of a host\n",
    ]);
  });
});

describe("settings", () => {
  test("that nobody could read aren't taken", async () => {
    const harness = createHarness();
    const set = (key: string, json: unknown) =>
      harness.ask(`/api/v1/settings/${key}`, { method: "PUT", json, socket: true });
    for (const [key, json] of [
      ["anything", {}],
      ["builds.public", { value: "no" }],
      ["store.retention", { value: { keepSuccessful: 0 } }],
      ["store.retention", { value: [] }],
    ] as const) {
      expect([key, json, (await set(key, json)).status]).toEqual([key, json, 422]);
    }
    expect((await set("builds.public", { value: false })).status).toBe(200);
    expect((await set("store.retention", { value: { keepSuccessful: 3 } })).status).toBe(200);
  });
});

describe("answers", () => {
  test("carry the headers that keep pages safe, whatever they are", async () => {
    const harness = createHarness();
    harness.user("root", "admin");
    for (const path of [
      "/healthz",
      "/sign-in",
      "/nothing",
      "/api/v1/unikernels",
      "/reference",
      "/favicon.ico",
    ]) {
      const { headers } = await harness.ask(path, { page: true });
      const policy = headers.get("content-security-policy") ?? "";
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toContain("unsafe");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("referrer-policy")).toBe("same-origin");
      expect(headers.get("x-request-id")).toMatch(/^[0-9a-f]{12}$/);
    }
  });

  test("errors are JSON for programs and pages for people, with the request's id in both", async () => {
    const harness = createHarness();
    harness.user("root", "admin");
    const json = await harness.ask("/nothing");
    expect([json.status, json.headers.get("content-type")]).toEqual([404, "application/json;charset=utf-8"]);
    expect((await errorOf(json)).id).toBe(json.headers.get("x-request-id")!);
    const page = await harness.ask("/nothing", { page: true });
    expect([page.status, page.headers.get("content-type")]).toEqual([404, "text/html; charset=utf-8"]);
    expect(await page.text()).toContain(page.headers.get("x-request-id")!);
    // The API doesn't change its tongue for a browser.
    const api = await harness.ask("/api/v1/nothing", { page: true });
    expect(api.headers.get("content-type")).toStartWith("application/json");
  });

  test("a fault of robur's own tells nothing of itself but its id", async () => {
    const harness = createHarness();
    harness.orchestrator.list = () => {
      throw new Error("the secret inside");
    };
    const answer = await harness.ask("/api/v1/unikernels", { socket: true });
    const text = await answer.text();
    expect(answer.status).toBe(500);
    expect(text).not.toContain("secret");
    expect(text).toContain(answer.headers.get("x-request-id")!);
  });

  test("what the orchestrator refuses has a status of its own", async () => {
    const harness = createHarness();
    const token = harness.token(harness.user("alice"), "write");
    const json = { name: "alice:web", image: SHA };
    const status = async (refusal: typeof harness.orchestrator.refusal) => {
      harness.orchestrator.refusal = refusal;
      return (await harness.ask("/api/v1/unikernels", { json, token })).status;
    };
    expect(await status({ code: "conflict", message: "taken" })).toBe(409);
    expect(await status({ code: "bad-config", message: "no" })).toBe(422);
    expect(await status({ code: "image-missing", message: "no" })).toBe(404);
    expect(await status({ code: "no-resources", resource: "memory", message: "no" })).toBe(507);
    expect(await status(undefined)).toBe(201);
  });
});

describe("the audit log", () => {
  test("has every change with who, what, from where and its outcome, also what was refused", async () => {
    const harness = createHarness();
    const alice = harness.user("alice");
    const cookie = harness.cookie(alice);
    await harness.ask("/api/v1/unikernels/alice:web/start", { method: "POST", cookie });
    await harness.ask("/api/v1/unikernels/bob:web/stop", {
      method: "POST",
      token: harness.token(alice, "operate"),
    });
    await harness.ask("/api/v1/users/alice", { method: "DELETE", cookie });
    await harness.ask("/api/v1/unikernels", { cookie });
    const { entries } = (await (await harness.ask("/api/v1/audit", { socket: true })).json()) as {
      entries: { actor: string; action: string; target: string; status: number; address: string }[];
    };
    expect(entries.map(({ actor, action, target, status }) => [actor, action, target, status])).toEqual([
      ["alice", "user.remove", "alice", 403],
      ["alice by token t1", "unikernel.stop", "bob:web", 404],
      ["alice", "unikernel.start", "alice:web", 200],
    ]);
    expect(entries[0]?.address).toBe("192.0.2.7");
  });
});
