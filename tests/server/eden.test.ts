import { expect, test } from "bun:test";
import { treaty } from "@elysiajs/eden";
import type { App } from "../../src/server/app.ts";
import { SHA } from "./fake-orchestrator.ts";
import { BASE, createHarness } from "./harness.ts";

test("the typed client speaks with the server: lists, bodies, parts of addresses, errors, streams", async () => {
  const harness = createHarness();
  const fetcher = (url: string | URL | Request, init?: RequestInit) =>
    harness.door(new Request(url as string, init), { via: "socket", address: "", keepOpen: () => undefined });
  const { api } = treaty<App>(BASE, { fetcher: fetcher as typeof fetch, parseDate: false });

  const list = await api.v1.unikernels.get();
  expect(list.data?.unikernels.map(({ name }) => name as string)).toEqual(["alice:web", "bob:web"]);

  const body = { name: "web", image: SHA as string, config: { memoryMb: 64 } };
  const created = await api.v1.unikernels.post(body);
  expect(created.data?.unikernel.config.memoryMb).toBeNumber();

  const stopped = await api.v1
    .unikernels({ name: "alice:web" })
    .stop.post(undefined, { query: { graceMs: 100 } });
  expect(stopped.data?.name as string).toBe("alice:web");

  const missing = await api.v1.unikernels({ name: "nobody" }).get();
  expect([missing.status, missing.data]).toEqual([404, null]);
  expect(missing.error?.value).toMatchObject({ error: { code: "not-found" } });
});
