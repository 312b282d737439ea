import { describe, expect, test } from "bun:test";
import type { ApiDocument } from "../../src/server/routes/reference.ts";
import { ROUTES } from "../../src/server/access/route-table.ts";
import { createHarness } from "./harness.ts";

describe("the API's description", () => {
  const harness = createHarness();
  const document = async () => (await (await harness.ask("/openapi.json")).json()) as ApiDocument;

  test("has every route of the API, each with a summary and what it needs", async () => {
    const { openapi, paths } = await document();
    expect(openapi).toBe("3.0.3");
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`),
    );
    const wanted = Object.keys(ROUTES).filter((route) => / \/(api\/|healthz|readyz|metrics)/.test(route));
    expect(described.sort()).toEqual(wanted.sort());
    for (const methods of Object.values(paths)) {
      for (const operation of Object.values(methods)) {
        expect(operation.summary).toBeString();
        expect(operation["x-robur-need"]).toBeString();
      }
    }
  });

  test("has no reference that leads nowhere, and every part of a path is a parameter", async () => {
    const whole = await document();
    for (const [, name] of JSON.stringify(whole).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)) {
      expect(whole.components["schemas"]).toHaveProperty(name!);
    }
    for (const [path, methods] of Object.entries(whole.paths)) {
      const wanted = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
      for (const [method, { parameters = [] }] of Object.entries(methods)) {
        const names = (parameters as { name: string; in: string }[])
          .filter((p) => p.in === "path")
          .map((p) => p.name);
        expect([`${method} ${path}`, names.sort()]).toEqual([`${method} ${path}`, wanted.sort()]);
      }
    }
  });

  test("is a page as well, which loads nothing from elsewhere", async () => {
    const text = await (await harness.ask("/reference", { page: true })).text();
    expect(text).toContain("/api/v1/unikernels/{name}/console/stream");
    for (const [, address] of text.matchAll(/(?:src|href)="([^"]*)"/g)) expect(address).toMatch(/^[/#]/);
  });
});
