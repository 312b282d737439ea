/** Signing what was built here, and what was built again with the same outcome. The key never leaves the server. */
import type { Database } from "bun:sqlite";
import { VERSION } from "../../lib/version.ts";
import type { Artifact, Build, BuildStore, ContentStore } from "../../store/api.ts";
import { signEnvelope } from "../../trust/envelope.ts";
import { type Attestation, keepAttestation, ownKey } from "../../trust/records.ts";
import {
  type Resource,
  type Subject,
  formatStatement,
  provenanceStatement,
  rebuildStatement,
} from "../../trust/statement.ts";
import type { JobLimits, JobNetwork, SandboxOrigin } from "../sandbox/api.ts";
import { type InputTexts, ingredientsOf, readEnvironment } from "./ingredients.ts";

/** What only the builder knows of a build of its own. */
export interface HowBuilt {
  readonly opamPackage: string | undefined;
  /** Those that the job names; else the script has them. */
  readonly repositories: readonly string[] | undefined;
  readonly reason: string;
  readonly timeoutMs: number;
  readonly limits: JobLimits;
  readonly network: JobNetwork;
  readonly sandbox: SandboxOrigin | undefined;
}

/** The name of the root file system among what went in: its digest is that of the sorted list of packages. */
export const BASE_PACKAGES = "root file system packages";

/** How the inputs were recorded: a result of the build as well as what tells of it. */
const INPUT_FILES: ReadonlySet<string> = new Set(["build-environment", "opam-switch", "system-packages"]);

/** Larger input files than any switch has are not read. */
const INPUT_MAX = 32 * 1024 * 1024;

/** Texts of a build's three input files. */
export async function readInputs(
  builds: BuildStore,
  contents: ContentStore,
  { id }: Pick<Build, "id">,
): Promise<InputTexts> {
  const read = async (path: string): Promise<string | undefined> => {
    const content = builds.artifact(id, path)?.content;
    if (content === undefined || content.size > INPUT_MAX) return undefined;
    return Buffer.from(await contents.bytes(content, INPUT_MAX)).toString("utf8");
  };
  return {
    opamSwitch: await read("opam-switch"),
    environment: await read("build-environment"),
    systemPackages: await read("system-packages"),
  };
}

/** Says how a build came to be, signed; kept beside it. Undefined for a build without files. */
export async function attestBuild(
  { db, builds, contents }: { db: Database; builds: BuildStore; contents: ContentStore },
  build: Build,
  how: HowBuilt,
  now: number,
): Promise<Attestation | undefined> {
  if (build.artifacts.length === 0) return undefined;
  const inputs = await readInputs(builds, contents, build);
  const environment = readEnvironment(inputs.environment ?? "");
  const isOrb = how.opamPackage !== undefined;
  const statement = provenanceStatement({
    outputs: build.artifacts.map(subjectOf),
    buildType: isOrb ? "urn:robur:build:orb:1" : "urn:robur:build:script:1",
    parameters: {
      job: build.job,
      platform: build.platform,
      ...(isOrb ? { opamPackage: how.opamPackage } : {}),
      ...optional("repositories", how.repositories),
      scriptSha256: build.script.sha256,
      ...optional("sourceDateEpoch", environment.get("SOURCE_DATE_EPOCH")),
    },
    internal: {
      ...optional(
        "environment",
        inputs.environment === undefined ? undefined : Object.fromEntries(environment),
      ),
      ...optional("switchPath", environment.get("SWITCH_PATH")),
      reason: how.reason,
      timeoutSeconds: how.timeoutMs / 1000,
      limits: how.limits,
      network: how.network,
      ...optional("worker", build.worker),
    },
    dependencies: [...ingredientsOf(inputs), ...baseOf(how.sandbox, inputs)],
    builder: `urn:robur:builder:${how.sandbox?.kind ?? "unsafe"}`,
    version: VERSION,
    invocation: build.id,
    startedAt: build.startedAt,
    finishedAt: build.finishedAt,
    byproducts: [
      { name: "console", digest: { sha256: build.console.sha256 } },
      { name: "script", digest: { sha256: build.script.sha256 } },
      ...build.artifacts
        .filter(({ path }) => INPUT_FILES.has(path))
        .map(({ path, sha256 }): Resource => ({ name: path, digest: { sha256 } })),
    ],
  });
  return keep(db, formatStatement(statement), build.id, now);
}

/** Says that these files came out again from the same inputs, signed. */
export function attestRebuild(
  db: Database,
  about: {
    readonly build: string;
    readonly files: readonly Subject[];
    /** What went in. */
    readonly inputs: readonly Subject[];
    readonly startedAt: number;
    readonly finishedAt: number;
  },
  now: number,
): Attestation {
  const { build, files, inputs, startedAt, finishedAt } = about;
  const materials = inputs.map(({ name, sha256 }): Resource => ({ name, digest: { sha256 } }));
  const statement = rebuildStatement(files, materials, { build, startedAt, finishedAt, version: VERSION });
  return keep(db, formatStatement(statement), build, now);
}

function keep(db: Database, statement: Uint8Array, build: string, now: number): Attestation {
  return keepAttestation(db, signEnvelope(statement, ownKey(db, now)), { build }, now);
}

function subjectOf({ path, sha256 }: Artifact): Subject {
  return { name: path, sha256 };
}

/** The root file system that the job ran in; with its packages, where no file of the build's tells of them. */
function baseOf(sandbox: SandboxOrigin | undefined, { systemPackages }: InputTexts): Resource[] {
  if (sandbox?.packagesSha256 === undefined) return [];
  const { packagesSha256: sha256, packages } = sandbox;
  const isTold = packages === undefined || systemPackages !== undefined;
  const content = isTold
    ? {}
    : { mediaType: "text/plain", content: Buffer.from(packages).toString("base64") };
  return [{ name: BASE_PACKAGES, digest: { sha256 }, ...content }];
}

function optional<T>(key: string, value: T | undefined): Record<string, T> {
  return value === undefined ? {} : { [key]: value };
}
