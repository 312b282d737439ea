/**
 * DSSE envelopes (secure-systems-lab, version 1): a statement's bytes and who signed them. What is signed is the
 * payload's type and its exact bytes, so nothing has to be written in a canonical way first.
 */
import { type KeyId, type PublicKey, type SigningKey, isSignedBy, signWith } from "./keys.ts";
import { TrustError } from "./trust-error.ts";

export const IN_TOTO = "application/vnd.in-toto+json";

export interface Envelope {
  readonly payloadType: string;
  readonly payload: Uint8Array;
  readonly signatures: readonly EnvelopeSignature[];
}

export interface EnvelopeSignature {
  /** What whoever signed says of the key: a hint, nothing more. */
  readonly keyId: string;
  readonly bytes: Uint8Array;
}

/** Larger ones are refused before they are read. */
export const ENVELOPE_MAX = 16 * 1024 * 1024;
const SIGNATURES_MAX = 64;

/** Signs a statement. */
export function signEnvelope(payload: Uint8Array, key: SigningKey, payloadType = IN_TOTO): Envelope {
  const bytes = signWith(key, signedBytes(payloadType, payload));
  return { payloadType, payload, signatures: [{ keyId: key.public.id, bytes }] };
}

/** Which of these keys signed it. The answer's order is that of `keys`, each key at most once. */
export function signersOf(envelope: Envelope, keys: readonly PublicKey[]): KeyId[] {
  const message = signedBytes(envelope.payloadType, envelope.payload);
  return keys
    .filter((key) => envelope.signatures.some(({ bytes }) => isSignedBy(key, message, bytes)))
    .map(({ id }) => id);
}

/** The envelope as JSON, one line. */
export function formatEnvelope({ payloadType, payload, signatures }: Envelope): string {
  return JSON.stringify({
    payload: Buffer.from(payload).toString("base64"),
    payloadType,
    signatures: signatures.map(({ keyId, bytes }) => ({
      keyid: keyId,
      sig: Buffer.from(bytes).toString("base64"),
    })),
  });
}

/** An envelope's JSON. Throws TrustError bad-statement. */
export function parseEnvelope(text: string): Envelope {
  if (text.length > ENVELOPE_MAX) throw bad(`it is larger than ${ENVELOPE_MAX / 1024 / 1024} MiB`);
  const value = jsonOf(text);
  if (!isRecord(value)) throw bad("it is no JSON object");
  const { payload, payloadType, signatures } = value;
  if (typeof payload !== "string" || typeof payloadType !== "string" || !Array.isArray(signatures)) {
    throw bad("it lacks payload, payloadType or signatures");
  }
  if (signatures.length > SIGNATURES_MAX) throw bad(`it has more than ${SIGNATURES_MAX} signatures`);
  return {
    payloadType,
    payload: base64(payload),
    signatures: signatures.map((one: unknown) => {
      if (!isRecord(one) || typeof one["sig"] !== "string") throw bad("a signature has no sig");
      const keyId = typeof one["keyid"] === "string" ? one["keyid"] : "";
      return { keyId, bytes: base64(one["sig"]) };
    }),
  };
}

/** What is signed: DSSE's pre-authentication encoding. */
export function signedBytes(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = new TextEncoder().encode(payloadType);
  const head = new TextEncoder().encode(`DSSEv1 ${type.length} ${payloadType} ${payload.length} `);
  return Buffer.concat([head, payload]);
}

/** Both alphabets: DSSE allows either. */
function base64(text: string): Uint8Array {
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(text)) throw bad("it isn't base64 where it should be");
  return new Uint8Array(Buffer.from(text, "base64"));
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw bad("it is no JSON", error);
    throw error;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function bad(why: string, cause?: unknown): TrustError {
  return new TrustError("bad-statement", "this is no signed statement", { why, cause });
}
