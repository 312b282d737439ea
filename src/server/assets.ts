/** The browser's files: in the program, under names that change with their content. */
import { Elysia } from "elysia";
import { bundleWeb } from "../../web/bundle.ts" with { type: "macro" };
import { notFound } from "./http/http-error.ts";

export const BUNDLE = bundleWeb();

const TYPES: Readonly<Record<string, string>> = {
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml; charset=utf-8",
};

/** Compressed when first asked for, and kept: there are a dozen small files. */
const compressed = new Map<string, Uint8Array<ArrayBuffer>>();

function serveFile(request: Request, name: string, cacheControl: string): Response {
  const text = Object.hasOwn(BUNDLE.files, name) ? BUNDLE.files[name] : undefined;
  if (text === undefined) throw notFound("such file");
  const headers = new Headers({
    "content-type": TYPES[name.slice(name.lastIndexOf(".") + 1)] ?? "application/octet-stream",
    "cache-control": cacheControl,
    vary: "accept-encoding",
  });
  if (!/\bgzip\b/.test(request.headers.get("accept-encoding") ?? "")) return new Response(text, { headers });
  let bytes = compressed.get(name);
  if (bytes === undefined) {
    bytes = Bun.gzipSync(Buffer.from(text), { level: 9 });
    compressed.set(name, bytes);
  }
  headers.set("content-encoding", "gzip");
  return new Response(bytes, { headers });
}

/** Where builder-web has its logo: other pages show it from there, and take what type comes. */
const LOGOS = ["/img/robur-logo.png", "/img/robur-logo-black-writing.png"] as const;

export function assetRoutes() {
  const hide = { detail: { hide: true } };
  const app = new Elysia({ name: "assets" });
  for (const path of LOGOS) {
    app.get(path, ({ request }) => serveFile(request, BUNDLE.icon, "public, max-age=86400"), hide);
  }
  return app
    .get(
      "/assets/:file",
      ({ request, params }) => serveFile(request, params.file, "public, max-age=31536000, immutable"),
      hide,
    )
    .get("/favicon.ico", ({ request }) => serveFile(request, BUNDLE.icon, "public, max-age=86400"), hide);
}
