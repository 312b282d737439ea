/**
 * Releases of robur itself, for install.sh and `robur upgrade` of other machines: the files that scripts/release.ts
 * puts into `release` in the data directory. They are signed; whoever fetches them checks that, so anybody may.
 */
import { join } from "node:path";
import { Elysia } from "elysia";
import type { ServerContext } from "../context.ts";
import { notFound } from "../http/http-error.ts";

/** The names that a release has, and nothing else of that directory. */
const FILES: Readonly<Record<string, string>> = {
  "install.sh": "text/x-shellscript; charset=utf-8",
  RELEASE: "text/plain; charset=utf-8",
  SHA256SUMS: "text/plain; charset=utf-8",
  "SHA256SUMS.sig": "application/octet-stream",
  "robur-linux-x64.gz": "application/gzip",
  "robur-linux-arm64.gz": "application/gzip",
};
const VERSION = /^v[0-9A-Za-z][0-9A-Za-z.+-]{0,63}$/;

export function releaseRoutes({ dataDirectory }: ServerContext) {
  const serve = async (directory: string, name: string): Promise<Response> => {
    const type = Object.hasOwn(FILES, name) ? FILES[name] : undefined;
    const file = Bun.file(join(dataDirectory, "release", directory, name));
    if (type === undefined || !(await file.exists())) throw notFound(`release file ${name}`);
    return new Response(file, { headers: { "content-type": type, "cache-control": "no-cache" } });
  };
  const app = new Elysia({ name: "releases" });
  for (const name of Object.keys(FILES)) {
    app.get(`/${name}`, () => serve("", name), { detail: { hide: true } });
  }
  // Every address of two parts that nobody else knows comes here.
  return app.get(
    "/:version/:file",
    ({ params: { version, file } }) => {
      if (!VERSION.test(version)) throw notFound("such page");
      return serve(version, file);
    },
    { detail: { hide: true } },
  );
}
