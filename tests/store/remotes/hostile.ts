/** A server of builds that lies, each job in a way of its own. */
import { sha256Of } from "../../../src/lib/sha256-of.ts";
import { writeRecord } from "../../../src/protocols/builder/record-writer.ts";

export const BINARY = Buffer.alloc(300_000, "robur");
export const UUID = "08455214-8a9b-413a-b116-a65353dc0743";

/** What was asked for, with the ranges. */
export interface Asked {
  readonly path: string;
  readonly range: string | null;
  readonly authorization: string | null;
}

export function hostileServer() {
  const asked: Asked[] = [];
  let cuts = 0;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const { pathname } = new URL(request.url);
      const range = request.headers.get("range");
      asked.push({ path: pathname, range, authorization: request.headers.get("authorization") });
      const [, , job = "", build, , what] = pathname.split("/");
      if (pathname === "/all-builds")
        return Response.json({ jobs: ["good", { name: "liar" }, 7, null, { name: "../x" }] });
      if (pathname.startsWith("/loop")) return Response.redirect(`${request.url}x`, 302);
      if (job === "loops" && what === "main-binary") return Response.redirect("/loop", 302);
      if (job === "away" && what === "main-binary") return Response.redirect("file:///etc/passwd", 302);
      if (build === "build" && pathname.endsWith("/latest")) {
        return new Response(null, { status: 307, headers: { location: `/job/${job}/build/${UUID}` } });
      }
      if (what === "main-binary") return binary(job, range);
      if (what === "exec") return exec(job);
      if (build === "build") {
        return Response.json({ job, uuid: UUID, platform: "debian-12", main_binary: true });
      }
      return Response.json({ builds: [{ uuid: UUID, main_binary: announced(job) }] });
    },
  });

  function announced(job: string) {
    const size = job === "huge" ? 1000 : BINARY.length;
    const filename = job === "escape" ? "../escape" : `${job}.hvt`;
    return { filename, sha256: sha256Of(BINARY), size };
  }

  function binary(job: string, range: string | null): Response {
    if (job === "liar") return new Response(Buffer.alloc(BINARY.length, "liar"));
    if (job === "huge") return new Response(endless());
    if (job === "short") return new Response(BINARY.subarray(0, 1000));
    const start = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
    if (job === "cut" && cuts++ === 0) return new Response(BINARY.subarray(0, 100_000));
    if (start === 0) return new Response(BINARY);
    return new Response(BINARY.subarray(start), {
      status: 206,
      headers: { "content-range": `bytes ${start}-${BINARY.length - 1}/${BINARY.length}` },
    });
  }

  return { origin: server.url.origin, asked, [Symbol.asyncDispose]: () => server.stop(true) };
}

function exec(job: string): Response {
  if (job === "endless") return new Response(endless());
  if (job === "swapped") return record(job, UUID, Buffer.from("something else"));
  if (job === "renamed") return record(job, UUID.replace(/^0/, "1"), BINARY);
  return new Response("no record");
}

/** A record that is all right, if only it were the announced one. */
function record(name: string, uuid: string, bytes: Uint8Array): Response {
  const times = { startedAt: 1_700_000_000_000, finishedAt: 1_700_000_001_000 };
  const about = { ...times, name, uuid, platform: "debian-12", script: new Uint8Array(0) };
  const files = [{ path: "bin/x.hvt", size: bytes.length, bytes: () => new Blob([bytes]).stream() }];
  const { stream } = writeRecord({ ...about, result: { kind: "exited", code: 0 } }, [], files);
  return new Response(stream());
}

function endless(): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(Buffer.alloc(65_536, "x"));
    },
  });
}
