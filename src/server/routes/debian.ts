/** The packages among the builds, for apt: `deb [signed-by=…] https://SERVER/deb PLATFORM main`. */
import { Elysia } from "elysia";
import { type Platform, parsePlatform } from "../../store/api.ts";
import { type DebianRepository, type Distribution, openRepository } from "../../store/debian/repository.ts";
import type { ServerContext } from "../context.ts";
import { notFound } from "../http/http-error.ts";

const hide = { detail: { hide: true } };

export function debianRoutes(context: ServerContext) {
  const repository = openRepository({
    ...{ db: context.db, builds: context.builds, contents: context.contents, now: context.now },
    refuse: (build, error) =>
      context.log("warning", "package left out", { job: build.job, build: build.id, why: error.message }),
  });
  return new Elysia({ name: "debian" })
    .get("/deb/robur.asc", () => text(repository.publicKey(), "application/pgp-keys"), hide)
    .get(
      "/deb/dists/:platform/*",
      async ({ params }) => {
        const { files } = await distributionOf(repository, params.platform);
        const bytes = files.get(params["*"]);
        if (bytes === undefined) throw notFound("such file in this repository");
        return text(bytes, params["*"].endsWith(".gz") ? "application/gzip" : "text/plain; charset=utf-8");
      },
      hide,
    )
    .get(
      "/deb/pool/:platform/:file",
      async ({ params, request }) => {
        const { packages } = await distributionOf(repository, params.platform);
        const found = packages.get(decodeURIComponent(params.file));
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

async function distributionOf(repository: DebianRepository, name: string): Promise<Distribution> {
  const platform: Platform | undefined = parsePlatform(name);
  const found = platform === undefined ? undefined : await repository.distribution(platform);
  if (found === undefined) throw notFound(`package for ${name}`);
  return found;
}

function text(body: Uint8Array | string, type: string): Response {
  const bytes = typeof body === "string" ? Buffer.from(body, "utf8") : body;
  return new Response(new Uint8Array(bytes), {
    headers: { "content-type": type, "content-length": String(bytes.length), "cache-control": "no-cache" },
  });
}
