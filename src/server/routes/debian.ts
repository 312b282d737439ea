/** The packages among the builds, for apt: `deb [signed-by=…] https://SERVER/deb PLATFORM main`. */
import { Elysia } from "elysia";
import { type Platform, parsePlatform } from "../../store/api.ts";
import { type DebianRepository, openRepository } from "../../store/debian/repository.ts";
import { aptCommands } from "../builds/run-commands.ts";
import { originOf } from "../builds/origin.ts";
import type { ServerContext } from "../context.ts";
import { notFound } from "../http/http-error.ts";

const hide = { detail: { hide: true } };
const TEXT = "text/plain; charset=utf-8";

export function debianRoutes(context: ServerContext) {
  const { db, builds, contents, now, log } = context;
  const repository = openRepository({
    ...{ db, builds, contents, now },
    refuse: ({ job, id }, { message, why, hint }) =>
      log("warning", "package left out", {
        ...{ job, build: id, why: why === undefined ? message : `${message}: ${why}` },
        ...(hint === undefined ? {} : { hint }),
      }),
  });
  return new Elysia({ name: "debian" })
    .get("/deb", ({ request }) => text(howTo(repository, originOf(request)), TEXT), hide)
    .get("/deb/robur.asc", () => text(repository.publicKey().armored, "application/pgp-keys"), hide)
    .get(
      "/deb/dists/:platform/*",
      async ({ params }) => {
        const bytes = await repository.file(platformOf(params.platform), params["*"]);
        if (bytes === undefined) throw notFound(`such file in the repository for ${params.platform}`);
        return text(bytes, params["*"].endsWith(".gz") ? "application/gzip" : TEXT);
      },
      hide,
    )
    .get(
      "/deb/pool/:platform/:file",
      async ({ params, request }) => {
        const found = await repository.package(platformOf(params.platform), decodeURIComponent(params.file));
        if (found === undefined) throw notFound("such package any more");
        return new Response(request.method === "HEAD" ? null : found.read(), {
          headers: {
            "content-type": "application/vnd.debian.binary-package",
            "content-length": String(found.size),
            "cache-control": "public, max-age=31536000, immutable",
            etag: `"${found.sha256}"`,
          },
        });
      },
      hide,
    );
}

/** For whoever opens the address to see what is there. */
function howTo(repository: DebianRepository, origin: string): string {
  const platforms = repository.platforms();
  if (platforms.length === 0) {
    return "No packages yet: builds whose main binary is a .deb file are offered here to apt.\n";
  }
  const parts = platforms.map((platform) => `${platform}\n\n${aptCommands(origin, platform)}\n`);
  const print = repository.publicKey().fingerprint.replaceAll(/.{4}(?=.)/g, "$& ");
  return `Packages that were built here, for apt. The key that signs them is\n${print}\n\n${parts.join("\n")}`;
}

function platformOf(name: string): Platform {
  const platform = parsePlatform(name);
  if (platform === undefined) throw notFound(`package for ${name}`);
  return platform;
}

function text(body: Uint8Array | string, type: string): Response {
  const bytes = typeof body === "string" ? Buffer.from(body, "utf8") : body;
  return new Response(new Uint8Array(bytes), {
    headers: { "content-type": type, "content-length": String(bytes.length), "cache-control": "no-cache" },
  });
}
