/**
 * The older form of an in-toto link, as rebuilderd gives it out: `signed` is an object, and what was signed is its
 * canonical JSON (securesystemslib's: keys sorted, no blanks, only quotation mark and backslash escaped).
 */
import { type Sha256, parseSha256 } from "../lib/sha256.ts";
import { type KeyId, type PublicKey, isSignedBy } from "./keys.ts";
import { TrustError } from "./trust-error.ts";

export interface OldLink {
  /** `rebuild FILE`. */
  readonly name: string;
  readonly products: readonly { readonly name: string; readonly sha256: Sha256 }[];
  /** What was signed. */
  readonly message: Uint8Array;
  readonly signatures: readonly Uint8Array[];
}

const DEEPEST = 32;

/** Undefined for JSON that is no such link. Throws TrustError bad-statement for one that is damaged. */
export function parseOldLink(value: unknown): OldLink | undefined {
  if (!isRecord(value) || !isRecord(value["signed"]) || value["signed"]["_type"] !== "link") return undefined;
  const { signed, signatures } = value;
  if (!Array.isArray(signatures)) throw bad("it lacks signatures");
  const { name, products } = signed;
  if (typeof name !== "string" || !isRecord(products)) throw bad("it lacks name or products");
  return {
    name,
    products: Object.entries(products).flatMap(([path, digests]) => {
      const text = isRecord(digests) ? digests["sha256"] : undefined;
      const sha256 = typeof text === "string" ? parseSha256(text) : undefined;
      return sha256 === undefined ? [] : [{ name: path, sha256 }];
    }),
    message: new TextEncoder().encode(canonical(signed, 0)),
    signatures: signatures.flatMap((one: unknown) =>
      isRecord(one) && typeof one["sig"] === "string" && /^[0-9a-fA-F]{128}$/.test(one["sig"])
        ? [new Uint8Array(Buffer.from(one["sig"], "hex"))]
        : [],
    ),
  };
}

/** Which of these keys signed it. */
export function signersOfOldLink(link: OldLink, keys: readonly PublicKey[]): KeyId[] {
  return keys
    .filter((key) => link.signatures.some((signature) => isSignedBy(key, link.message, signature)))
    .map(({ id }) => id);
}

/** Throws TrustError for what canonical JSON can't hold: numbers that aren't whole, and depths of mischief. */
function canonical(value: unknown, depth: number): string {
  if (depth > DEEPEST) throw bad("it is nested too deeply");
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") return `"${value.replace(/["\\]/g, "\\$&")}"`;
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw bad("it has a number that isn't whole");
    return String(value);
  }
  if (Array.isArray(value)) return `[${value.map((one) => canonical(one, depth + 1)).join(",")}]`;
  if (!isRecord(value)) throw bad("it is no JSON");
  const members = Object.keys(value)
    .toSorted()
    .map((key) => `${canonical(key, depth)}:${canonical(value[key], depth + 1)}`);
  return `{${members.join(",")}}`;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function bad(why: string): TrustError {
  return new TrustError("bad-statement", "this is no signed link", { why });
}
