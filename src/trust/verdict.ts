/** What signed statements say of a file, for whoever trusts these keys. Pure. */
import type { Sha256 } from "../lib/sha256.ts";
import { type Envelope, IN_TOTO, parseEnvelope, signersOf } from "./envelope.ts";
import type { KeyId, PublicKey } from "./keys.ts";
import { parseOldLink, signersOfOldLink } from "./rebuilderd-link.ts";
import { kindOf, parseStatement, subjectsOf } from "./statement.ts";
import { TrustError } from "./trust-error.ts";

/** A statement about the file that counts, or why it doesn't. */
export type Finding =
  | {
      readonly isGood: true;
      readonly kind: "provenance" | "rebuild";
      readonly name: string;
      /** Those of the trusted keys that signed. */
      readonly signers: readonly KeyId[];
    }
  | { readonly isGood: false; readonly why: string };

export interface FileVerdict {
  readonly sha256: Sha256;
  readonly findings: readonly Finding[];
  /** Trusted keys that vouch for the file, each once. */
  readonly vouchers: readonly KeyId[];
  /** Whether those are as many as were asked for. */
  readonly isEnough: boolean;
}

/** Weighs statements (the JSON of envelopes or of older links). A damaged one is a finding, never an error. */
export function weigh(
  sha256: Sha256,
  statements: readonly string[],
  trusted: readonly PublicKey[],
  required: number,
): FileVerdict {
  const findings = statements.map((text) => weighOne(sha256, text, trusted));
  const vouchers = new Set(findings.flatMap((finding) => (finding.isGood ? finding.signers : [])));
  return { sha256, findings, vouchers: [...vouchers], isEnough: vouchers.size >= required };
}

function weighOne(sha256: Sha256, text: string, trusted: readonly PublicKey[]): Finding {
  try {
    const value: unknown = JSON.parse(text);
    const link = parseOldLink(value);
    if (link !== undefined) {
      const product = link.products.find((one) => one.sha256 === sha256);
      if (product === undefined) return { isGood: false, why: "it speaks of another file" };
      return signed("rebuild", product.name, signersOfOldLink(link, trusted));
    }
    const envelope = parseEnvelope(text);
    return weighEnvelope(sha256, envelope, trusted);
  } catch (error) {
    if (error instanceof SyntaxError) return { isGood: false, why: "it is no JSON" };
    // What is wrong with a statement is said by the statement's own errors.
    if (error instanceof TrustError) return { isGood: false, why: error.why ?? error.message };
    throw error;
  }
}

function weighEnvelope(sha256: Sha256, envelope: Envelope, trusted: readonly PublicKey[]): Finding {
  // The same bytes may mean another thing elsewhere: what was signed is the type as well.
  if (envelope.payloadType !== IN_TOTO) {
    return { isGood: false, why: `it is no in-toto statement, but ${envelope.payloadType}` };
  }
  const statement = parseStatement(envelope.payload);
  const subject = subjectsOf(statement).find((one) => one.sha256 === sha256);
  if (subject === undefined) return { isGood: false, why: "it speaks of another file" };
  const kind = kindOf(statement);
  if (kind === undefined)
    return { isGood: false, why: `it is of an unknown kind, ${statement.predicateType}` };
  return signed(kind, subject.name, signersOf(envelope, trusted));
}

function signed(kind: "provenance" | "rebuild", name: string, signers: readonly KeyId[]): Finding {
  if (signers.length === 0) return { isGood: false, why: "none of the trusted keys signed it" };
  return { isGood: true, kind, name, signers };
}
