/** Fetching statements about a file from servers: robur's, and those that speak rebuilderd's API (version 1). */
import type { Sha256 } from "../lib/sha256.ts";
import { RoburError } from "../lib/errors.ts";
import { ENVELOPE_MAX } from "./envelope.ts";
import { type PublicKey, parsePublicKey } from "./keys.ts";

export class SourceError extends RoburError<"unreachable" | "bad-answer"> {}

const LIMIT_MS = 30_000;
/** More packages of one name than any distribution has. */
const PACKAGES_MAX = 1000;

/** The statements that a robur server has about a file, each as JSON. Throws SourceError. */
export async function fetchStatements(origin: string, sha256: Sha256): Promise<string[]> {
  const text = await get(origin, `/api/v1/attestations?sha256=${sha256}`);
  return (text ?? "").split("\n").filter((line) => line.trim() !== "");
}

/**
 * The statements that a rebuilderd has about a package's file, found by the file's name: rebuilderd knows no search
 * by hash. Empty where it knows no such file. Throws SourceError.
 */
export async function fetchFromRebuilderd(origin: string, fileName: string): Promise<string[]> {
  const name = packageName(fileName);
  const found = await get(
    origin,
    `/api/v1/packages/binary?name=${encodeURIComponent(name)}&limit=${PACKAGES_MAX}`,
  );
  const statements: string[] = [];
  for (const { buildId, artifactId } of attestedArtifacts(found ?? "{}", fileName, origin)) {
    const text = await get(origin, `/api/v1/builds/${buildId}/artifacts/${artifactId}/attestation`);
    if (text !== undefined) statements.push(text);
  }
  return statements;
}

/** The key that a robur server signs with now. Throws SourceError, TrustError. */
export async function fetchOwnKey(origin: string): Promise<PublicKey> {
  const value = parse((await get(origin, "/api/v1/trust/own")) ?? "{}", origin);
  const keys: unknown = isRecord(value) ? value["keys"] : undefined;
  const first: unknown = Array.isArray(keys) ? keys[0] : undefined;
  if (isRecord(first) && typeof first["key"] === "string") return parsePublicKey(first["key"]);
  throw new SourceError("bad-answer", `${origin} has no key`, { why: "it isn't a robur server that signs" });
}

/**
 * The name of the package that a file is of: `hello_1.0_amd64.deb`, `hello-1.0-1-x86_64.pkg.tar.zst`. Anything else is
 * its own name.
 */
export function packageName(fileName: string): string {
  const [, debian] = /^([^_]+)_[^_]+_[^_]+\.u?deb$/.exec(fileName) ?? [];
  const [, arch] = /^(.+)-[^-]+-[^-]+-[^-]+\.pkg\.tar(\.\w+)?$/.exec(fileName) ?? [];
  return debian ?? arch ?? fileName;
}

function attestedArtifacts(json: string, fileName: string, origin: string) {
  const value = parse(json, origin);
  const records = isRecord(value) && Array.isArray(value["records"]) ? (value["records"] as unknown[]) : [];
  return records.slice(0, PACKAGES_MAX).flatMap((record) => {
    if (!isRecord(record)) return [];
    const { url, build_id: buildId, artifact_id: artifactId, attestation_log_id: attestation } = record;
    const isIt = typeof url === "string" && url.split("/").at(-1) === fileName;
    if (!isIt || attestation === null || attestation === undefined) return [];
    return Number.isSafeInteger(buildId) && Number.isSafeInteger(artifactId) ? [{ buildId, artifactId }] : [];
  });
}

/** The text of an answer; undefined for 404. Throws SourceError. */
async function get(origin: string, path: string): Promise<string | undefined> {
  const url = `${origin.replace(/\/+$/, "")}${path}`;
  let response: Response;
  try {
    response = await fetch(url, {
      headers: { accept: "application/json" },
      signal: AbortSignal.timeout(LIMIT_MS),
    });
  } catch (error) {
    throw new SourceError("unreachable", `can't reach ${origin}`, {
      why: error instanceof Error ? error.message : String(error),
      cause: error,
    });
  }
  if (response.status === 404) {
    await response.body?.cancel();
    return undefined;
  }
  if (!response.ok) {
    await response.body?.cancel();
    throw new SourceError("bad-answer", `${origin} gave no statements`, {
      why: `it answered ${response.status} to ${path}`,
    });
  }
  return bounded(response, origin);
}

async function bounded(response: Response, origin: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.length;
    if (size > ENVELOPE_MAX) {
      throw new SourceError("bad-answer", `${origin} gave too much`, {
        why: `more than ${ENVELOPE_MAX / 1024 / 1024} MiB of statements about one file`,
      });
    }
    parts.push(part);
  }
  return new TextDecoder().decode(Buffer.concat(parts));
}

function parse(json: string, origin: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new SourceError("bad-answer", `${origin} can't be understood`, { why: "it gave no JSON" });
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
