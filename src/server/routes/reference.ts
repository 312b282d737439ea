/** The API's description for programs; the page for people is made of the same document. */
import { toOpenAPISchema } from "@elysiajs/openapi/openapi";
import { type AnyElysia, Elysia } from "elysia";
import { VERSION } from "../../lib/version.ts";
import { ROUTES } from "../access/route-table.ts";

interface Operation {
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly security?: readonly unknown[];
  readonly [more: string]: unknown;
}

export interface ApiDocument {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: Readonly<Record<string, unknown>>;
}

const ERROR_ANSWER = {
  description: "an error",
  content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
};

const text = { type: "string" };
const ERROR_SCHEMA = {
  type: "object",
  required: ["error"],
  properties: {
    error: {
      type: "object",
      required: ["code", "message", "id"],
      properties: { code: text, message: text, why: text, hint: text, id: text },
    },
  },
};

/** The document of all API routes of an app, whose table of rules says who may use each. */
export function describeApi(app: AnyElysia): ApiDocument {
  const described = toOpenAPISchema(app) as unknown as { paths: ApiDocument["paths"] };
  const paths: Record<string, Record<string, Operation>> = {};
  for (const [path, methods] of Object.entries(described.paths)) {
    if (!/^\/(api|healthz|readyz|metrics)/.test(path)) continue;
    for (const [method, operation] of Object.entries(methods)) {
      const rule = ROUTES[`${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`];
      if (rule === undefined) continue;
      const responses = { "200": { description: "as asked" }, default: ERROR_ANSWER };
      const security =
        rule.need === "anybody"
          ? []
          : rule.need === "person"
            ? [{ session: [] }]
            : [{ token: [] }, { session: [] }];
      (paths[path] ??= {})[method] = { ...operation, responses, security, "x-robur-need": rule.need };
    }
  }
  return {
    openapi: "3.0.3",
    info: {
      title: "robur",
      version: VERSION,
      description:
        "Everything that pages and command line do. Who asks: a token (Authorization: Bearer robur_…), a session's cookie, or whoever may open the Unix socket.",
    },
    paths,
    components: {
      schemas: { Error: ERROR_SCHEMA },
      securitySchemes: {
        token: { type: "http", scheme: "bearer" },
        session: { type: "apiKey", in: "cookie", name: "robur_session" },
      },
    },
  };
}

/** `document` is asked for once all routes are there. */
export function referenceRoutes(document: () => ApiDocument) {
  return new Elysia({ name: "reference" }).get("/openapi.json", () => document(), { detail: { hide: true } });
}
