/** What a build was allowed and what it ran in, out of the statement that its server signed. Pure. */
import { type Sha256, parseSha256 } from "../../lib/sha256.ts";
import { sha256Of } from "../../lib/sha256-of.ts";
import { parseEnvelope } from "../../trust/envelope.ts";
import { PROVENANCE, parseStatement } from "../../trust/statement.ts";
import { TrustError } from "../../trust/trust-error.ts";
import { BASE_PACKAGES } from "../attestations/attest.ts";
import type { JobLimits, JobNetwork } from "../sandbox/api.ts";

export interface RecordedSettings {
  readonly network: JobNetwork | undefined;
  readonly limits: JobLimits | undefined;
  readonly timeoutMs: number | undefined;
  /** SHA-256 over the packages of the root file system. */
  readonly base: Sha256 | undefined;
  /** These packages, NAME:ARCHITECTURE=VERSION a line, where the build has no file that tells of them. */
  readonly basePackages: string | undefined;
}

const NOTHING: RecordedSettings = {
  network: undefined,
  limits: undefined,
  timeoutMs: undefined,
  base: undefined,
  basePackages: undefined,
};

/**
 * From a server's statements about a build, a line each; members that none of them tells are undefined. To be asked of
 * one's own server only: a network is a right.
 */
export function recordedSettings(lines: string): RecordedSettings {
  for (const line of lines.split("\n")) {
    if (line.trim() === "") continue;
    try {
      const { predicateType, predicate } = parseStatement(parseEnvelope(line).payload);
      if (predicateType === PROVENANCE) return settingsIn(predicate);
    } catch (error) {
      // Somebody else's statement about the build may be of a kind that isn't understood.
      if (!(error instanceof TrustError)) throw error;
    }
  }
  return NOTHING;
}

function settingsIn(predicate: Readonly<Record<string, unknown>>): RecordedSettings {
  const definition = recordIn(predicate, "buildDefinition");
  const internal = recordIn(definition, "internalParameters");
  const seconds = internal["timeoutSeconds"];
  const dependencies = definition["resolvedDependencies"];
  const base = (Array.isArray(dependencies) ? (dependencies as unknown[]) : [])
    .filter(isRecord)
    .find(({ name }) => name === BASE_PACKAGES);
  const { sha256 } = base === undefined ? {} : recordIn(base, "digest");
  return {
    network: networkIn(internal["network"]),
    limits: isRecord(internal["limits"]) ? limitsIn(internal["limits"]) : undefined,
    timeoutMs: typeof seconds === "number" && seconds > 0 ? seconds * 1000 : undefined,
    base: typeof sha256 === "string" ? parseSha256(sha256) : undefined,
    basePackages: packagesIn(base?.["content"], sha256),
  };
}

/** Only what the digest is of. */
function packagesIn(content: unknown, sha256: unknown): string | undefined {
  if (typeof content !== "string") return undefined;
  const text = Buffer.from(content, "base64").toString("utf8");
  return sha256Of(text) === sha256 ? text : undefined;
}

function networkIn(value: unknown): JobNetwork | undefined {
  if (!isRecord(value)) return undefined;
  const { kind, hosts } = value;
  if (kind === "none" || kind === "all") return { kind };
  const isList = Array.isArray(hosts) && hosts.every((host) => typeof host === "string");
  return kind === "hosts" && isList ? { kind, hosts: hosts as string[] } : undefined;
}

function limitsIn(value: Readonly<Record<string, unknown>>): JobLimits {
  const number = (key: string) => (typeof value[key] === "number" ? value[key] : undefined);
  return {
    memoryMb: number("memoryMb"),
    cpus: number("cpus"),
    processes: number("processes"),
    diskMb: number("diskMb"),
  };
}

function recordIn(value: Readonly<Record<string, unknown>>, key: string): Readonly<Record<string, unknown>> {
  const found = value[key];
  return isRecord(found) ? found : {};
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
