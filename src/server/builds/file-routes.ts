/** What is downloaded of a build: artifacts, script, console, the exec document, and all files at once. */
import { Elysia } from "elysia";
import { sha256Bytes } from "../../lib/sha256.ts";
import type { Build, Content } from "../../store/api.ts";
import { areBuildsPublic } from "../access/authorise.ts";
import type { ServerContext } from "../context.ts";
import { HttpError, notFound } from "../http/http-error.ts";
import { archive } from "./archive.ts";
import { disposition, typeOfPath } from "./content-types.ts";
import { existingBuild, isOfJob } from "./find.ts";
import { redirect } from "./negotiate.ts";
import { buildPath, decodePath, filePath, restOf } from "./paths.ts";
import { serveResource } from "./serve-content.ts";

/** What is uploaded is not ours: a browser must not run it in this server's name. */
const FOREIGN = {
  "x-content-type-options": "nosniff",
  "content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
};
const PLAIN = { "content-type": "text/plain; charset=utf-8", ...FOREIGN };

interface Asked {
  readonly request: Request;
  readonly params: { readonly job: string; readonly build: string };
}

/** The build of an address, or where it really is: everything below goes along. */
function ofAddress(context: ServerContext, { request, params }: Asked): Build | Response {
  const build = existingBuild(context, params.build);
  return isOfJob(build, params.job) ? build : redirect(302, `${buildPath(build)}/${restOf(request, 4)}`);
}

function keptForEver({ db }: ServerContext) {
  return `${areBuildsPublic(db) ? "public" : "private"}, max-age=31536000, immutable`;
}

function serveArtifact(context: ServerContext, asked: Asked): Response {
  const build = ofAddress(context, asked);
  if (build instanceof Response) return build;
  const path = decodePath(restOf(asked.request, 5));
  const found = path === undefined ? undefined : context.builds.artifact(build.id, path);
  if (found === undefined || path === undefined) throw notFound("such file in this build");
  const { artifact, content } = found;
  if (content === undefined) {
    throw new HttpError(410, "not-kept", `${path} is not kept`, {
      why: "it was damaged or missing where this build was taken over from",
      hint: `its SHA-256 is ${artifact.sha256}`,
    });
  }
  const type = typeOfPath(path);
  return serveResource(asked.request, {
    size: content.size,
    tag: Buffer.from(sha256Bytes(artifact.sha256)).toString("base64"),
    headers: {
      "content-type": type,
      "content-disposition": disposition(path, type),
      "cache-control": keptForEver(context),
      ...FOREIGN,
    },
    read: (range) => context.contents.read(content, range),
  });
}

function serveText(context: ServerContext, asked: Asked, which: (build: Build) => Content): Response {
  const build = ofAddress(context, asked);
  if (build instanceof Response) return build;
  const content = which(build);
  return serveResource(asked.request, {
    size: content.size,
    tag: content.sha256,
    headers: { ...PLAIN, "cache-control": keptForEver(context) },
    read: (range) => context.contents.read(content, range),
  });
}

function serveExec(context: ServerContext, asked: Asked): Response {
  const build = ofAddress(context, asked);
  if (build instanceof Response) return build;
  const record = context.builds.record(build.id);
  if (record === undefined) {
    throw new HttpError(410, "not-kept", "this build's exec document can't be made", {
      why: "some of its files are not kept",
    });
  }
  const headers = {
    "content-type": "application/octet-stream",
    "content-length": String(record.size),
    "content-disposition": `attachment; filename="${build.job}-${build.id}.full"`,
    ...FOREIGN,
  };
  return new Response(asked.request.method === "HEAD" ? null : record.stream(), { headers });
}

function serveArchive(context: ServerContext, asked: Asked, gzip: boolean): Response {
  const build = ofAddress(context, asked);
  if (build instanceof Response) return build;
  const headers = {
    "content-type": gzip ? "application/tar+gzip" : "application/x-tar",
    "content-disposition": `attachment; filename="${build.job}-${build.id}.tar${gzip ? ".gz" : ""}"`,
    ...FOREIGN,
  };
  const withLog = new URL(asked.request.url).searchParams.has("log");
  const body = asked.request.method === "HEAD" ? null : archive(context, build, { gzip, withLog });
  return new Response(body, { headers });
}

export function fileRoutes(context: ServerContext) {
  const hide = { detail: { hide: true } };
  return new Elysia({ name: "build-files" })
    .get("/job/:job/build/:build/f/*", (asked) => serveArtifact(context, asked), hide)
    .get("/job/:job/build/:build/script", (asked) => serveText(context, asked, ({ script }) => script), hide)
    .get(
      "/job/:job/build/:build/console",
      (asked) => serveText(context, asked, (build) => build.console),
      hide,
    )
    .get("/job/:job/build/:build/exec", (asked) => serveExec(context, asked), hide)
    .get("/job/:job/build/:build/all.tar", (asked) => serveArchive(context, asked, false), hide)
    .get("/job/:job/build/:build/all.tar.gz", (asked) => serveArchive(context, asked, true), hide)
    .get(
      "/job/:job/build/:build/main-binary",
      (asked) => {
        const build = ofAddress(context, asked);
        if (build instanceof Response) return build;
        if (build.main === undefined) throw notFound("main binary: this build failed");
        return redirect(302, filePath(build, build.main.path));
      },
      hide,
    );
}
