/**
 * in-toto statements (version 1) of the two kinds that robur makes: SLSA provenance (version 1: how a build came to be)
 * and a link named `rebuild PATH` (somebody built it again and got the same bytes). Consumers ignore fields that they
 * don't know, as in-toto asks them to.
 */
import { type Sha256, parseSha256 } from "../lib/sha256.ts";
import { TrustError } from "./trust-error.ts";

const STATEMENT = "https://in-toto.io/Statement/v1";
const OLD_STATEMENT = "https://in-toto.io/Statement/v0.1";
export const PROVENANCE = "https://slsa.dev/provenance/v1";
export const LINK = "https://in-toto.io/attestation/link/v0.3";
/** What others write, or wrote: the subject, which is what counts, is the same in all of them. */
const PROVENANCES: ReadonlySet<string> = new Set([PROVENANCE, "https://slsa.dev/provenance/v0.2"]);
const LINKS: ReadonlySet<string> = new Set([
  LINK,
  "https://in-toto.io/attestation/link/v0.2",
  "https://in-toto.io/Link/v1",
]);

/** in-toto's ResourceDescriptor: digests by algorithm, in lower-case hexadecimal. */
export interface Resource {
  readonly name?: string;
  readonly uri?: string;
  readonly digest?: Readonly<Record<string, string>>;
  readonly downloadLocation?: string;
  readonly mediaType?: string;
  /** Its bytes, in Base64, where they are short. */
  readonly content?: string;
  readonly annotations?: Readonly<Record<string, unknown>>;
}

export interface Statement {
  readonly predicateType: string;
  readonly subject: readonly Resource[];
  readonly predicate: Readonly<Record<string, unknown>>;
}

/** A file that a statement is about. */
export interface Subject {
  readonly name: string;
  readonly sha256: Sha256;
  readonly sha512?: string;
}

/** What is said of a build's origin. Times are milliseconds since 1970. */
export interface ProvenanceFacts {
  readonly outputs: readonly Subject[];
  /** Names the template that gives the parameters their meaning. */
  readonly buildType: string;
  /** Everything that a user can influence. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** What the builder set by itself. */
  readonly internal: Readonly<Record<string, unknown>>;
  /** Everything that went in, as far as it is known. */
  readonly dependencies: readonly Resource[];
  /** The trusted platform: one for each way of confining a job. */
  readonly builder: string;
  readonly version: string;
  readonly invocation: string;
  readonly startedAt: number;
  readonly finishedAt: number;
  /** Console, inputs, logs. */
  readonly byproducts: readonly Resource[];
}

/** How a build came to be. */
export function provenanceStatement(facts: ProvenanceFacts): Statement {
  return {
    subject: facts.outputs.map(resourceOf),
    predicateType: PROVENANCE,
    predicate: {
      buildDefinition: {
        buildType: facts.buildType,
        externalParameters: facts.parameters,
        internalParameters: facts.internal,
        resolvedDependencies: facts.dependencies,
      },
      runDetails: {
        builder: { id: facts.builder, version: { robur: facts.version } },
        metadata: {
          invocationId: facts.invocation,
          startedOn: instant(facts.startedAt),
          finishedOn: instant(facts.finishedAt),
        },
        byproducts: facts.byproducts,
      },
    },
  };
}

/** Somebody built it again from `materials`, and got these very bytes. */
export function rebuildStatement(
  subjects: readonly Subject[],
  materials: readonly Resource[],
  facts: {
    readonly build: string;
    readonly startedAt: number;
    readonly finishedAt: number;
    readonly version: string;
  },
): Statement {
  return {
    subject: subjects.map(resourceOf),
    predicateType: LINK,
    predicate: {
      name: `rebuild ${subjects.map(({ name }) => name).join(" ")}`,
      command: ["robur", "reproduce", facts.build],
      materials,
      byproducts: {
        verdict: "GOOD",
        startedOn: instant(facts.startedAt),
        finishedOn: instant(facts.finishedAt),
      },
      environment: { robur: facts.version },
    },
  };
}

/** The bytes that are signed. */
export function formatStatement({ subject, predicateType, predicate }: Statement): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ _type: STATEMENT, subject, predicateType, predicate }));
}

/** A statement's bytes. Throws TrustError bad-statement. */
export function parseStatement(bytes: Uint8Array): Statement {
  const value = jsonOf(bytes);
  const isRecord = (one: unknown): one is Readonly<Record<string, unknown>> =>
    typeof one === "object" && one !== null && !Array.isArray(one);
  if (!isRecord(value)) throw bad("it is no JSON object");
  if (value["_type"] !== STATEMENT && value["_type"] !== OLD_STATEMENT)
    throw bad("its _type isn't in-toto's");
  const { subject, predicateType, predicate } = value;
  if (!Array.isArray(subject) || subject.length === 0 || !subject.every(isRecord))
    throw bad("it has no subject");
  if (typeof predicateType !== "string") throw bad("it has no predicateType");
  return {
    subject: subject as readonly Resource[],
    predicateType,
    predicate: isRecord(predicate) ? predicate : {},
  };
}

/** The SHA-256 of the files that it speaks of; others than that are left out. */
export function subjectsOf({ subject }: Statement): Subject[] {
  return subject.flatMap(({ name, digest }) => {
    const text: unknown = digest?.["sha256"];
    const sha256 = typeof text === "string" ? parseSha256(text) : undefined;
    return sha256 === undefined ? [] : [{ name: typeof name === "string" ? name : "", sha256 }];
  });
}

/** Undefined for statements of other kinds: they are kept by nobody here. */
export function kindOf({ predicateType, predicate }: Statement): "provenance" | "rebuild" | undefined {
  if (PROVENANCES.has(predicateType)) return "provenance";
  const name = predicate["name"];
  return LINKS.has(predicateType) && typeof name === "string" && name.startsWith("rebuild ")
    ? "rebuild"
    : undefined;
}

function resourceOf({ name, sha256, sha512 }: Subject): Resource {
  return { name, digest: sha512 === undefined ? { sha256 } : { sha256, sha512 } };
}

function instant(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    // A TypeError is what is no UTF-8.
    if (error instanceof SyntaxError || error instanceof TypeError) throw bad("it is no JSON", error);
    throw error;
  }
}

function bad(why: string, cause?: unknown): TrustError {
  return new TrustError("bad-statement", "this is no in-toto statement", { why, cause });
}
