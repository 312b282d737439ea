/** A builder-web of either generation, as far as others take builds from it and give them to it. */
import { ID, RECORD, SHA, TAG } from "../../server/builds/vector.ts";

export type Generation = "first" | "second";

/** A failed build beside the good one. */
export const FAILED = "11111111-8a9b-413a-b116-a65353dc0743";

export interface Upload {
  readonly path: string;
  readonly authorization: string | null;
  readonly bytes: number;
  /** Neither generation reads anything else than a body with a length. */
  readonly length: string | null;
}

export function originalServer(generation: Generation) {
  const uploads: Upload[] = [];
  const isFirst = generation === "first";
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname, origin } = new URL(request.url);
      if (request.method === "POST") {
        const bytes = (await request.bytes()).length;
        const { headers } = request;
        const authorization = headers.get("authorization");
        uploads.push({ path: pathname, authorization, bytes, length: headers.get("content-length") });
        if (pathname !== "/upload") return notThere();
        return new Response(null, { status: isFirst ? 200 : 201 });
      }
      const json = request.headers.get("accept")?.startsWith("application/json") === true;
      const to = (path: string, status: number) =>
        new Response(null, {
          status: isFirst ? 303 : status,
          headers: { location: isFirst ? `${origin}${path}` : path },
        });
      switch (pathname) {
        case "/all-builds":
          return Response.json(
            isFirst
              ? { jobs: ["hello"] }
              : {
                  jobs: [
                    { name: "hello", synopsis: null },
                    { name: "a b", synopsis: null },
                  ],
                },
          );
        case "/job/hello":
        case "/job/hello/failed": {
          const main = { filename: "hello.hvt", sha256: SHA, size: 4 };
          const failed = pathname.endsWith("/failed") ? [{ uuid: FAILED, main_binary: null }] : [];
          return Response.json({ builds: [{ uuid: ID, main_binary: main }, ...failed] });
        }
        case "/job/hello/build/latest":
          return to(`/job/hello/build/${ID}`, 307);
        case `/job/hello/build/${ID}`:
          return json && !isFirst
            ? Response.json({ job: "hello", uuid: ID, platform: "debian-12", main_binary: true })
            : new Response("<html>", { headers: { "content-type": "text/html" } });
        case `/job/hello/build/${ID}/main-binary`:
          return to(`/job/hello/build/${ID}/f/bin/hello.hvt`, 302);
        case `/job/hello/build/${ID}/f/bin/hello.hvt`:
          return new Response("\x7fELF", { headers: { etag: TAG } });
        case `/job/hello/build/${ID}/exec`:
          return new Response(RECORD, { headers: { "content-type": "application/octet-stream" } });
        default:
          return notThere();
      }
    },
  });
  return { origin: server.url.origin, uploads, [Symbol.asyncDispose]: () => server.stop(true) };
}

const notThere = () => new Response("<html>", { status: 404, headers: { "content-type": "text/html" } });
