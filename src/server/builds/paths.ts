/** The original's addresses: /job/NAME/build/UUID and what is below. Pure. */
import type { BuildId, BuildSummary, JobName, Platform } from "../../store/api.ts";
import { parsePlatform } from "../../store/api.ts";

export function jobPath(job: JobName): string {
  return `/job/${encodeURIComponent(job)}`;
}

export function buildPath({ job, id }: Pick<BuildSummary, "job" | "id">): string {
  return `${jobPath(job)}/build/${id}`;
}

/** A file of a build. Each segment is encoded once, so that any path that can be stored can be asked for. */
export function filePath(build: Pick<BuildSummary, "job" | "id">, path: string): string {
  return `${buildPath(build)}/f/${path.split("/").map(encodeURIComponent).join("/")}`;
}

export function comparePath(left: BuildId, right: BuildId): string {
  return `/compare/${left}/${right}`;
}

/** The address's path behind its first `count` segments as it came, without the slash that may end it. */
export function restOf(request: Request, count: number): string {
  const { pathname } = new URL(request.url);
  return pathname
    .split("/")
    .slice(1 + count)
    .join("/")
    .replace(/\/$/, "");
}

/** A path with each segment decoded once; undefined where that can't be. */
export function decodePath(encoded: string): string | undefined {
  try {
    return encoded.split("/").map(decodeURIComponent).join("/");
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

/** What `?platform=` says. An empty one is none; what can't be a platform's name has no builds. */
export type PlatformFilter =
  | { readonly kind: "any" }
  | { readonly kind: "one"; readonly platform: Platform }
  | { readonly kind: "unknown"; readonly text: string };

export function platformFilter(request: Request): PlatformFilter {
  const text = new URL(request.url).searchParams.get("platform") ?? "";
  if (text === "") return { kind: "any" };
  const platform = parsePlatform(text);
  return platform === undefined ? { kind: "unknown", text } : { kind: "one", platform };
}

/** Whether the path is one of the original's, whose errors are in its manner. */
export function isBuildsPath(pathname: string): boolean {
  return /^\/(?:$|(?:job|compare|all-builds|failed-builds|hash|upload|search)(?:\/|$))/.test(pathname);
}
