/**
 * Ed25519 keys (RFC 8032). A key's id is the SHA-256 of its SubjectPublicKeyInfo, so everybody who has the key finds
 * the same one; no statement is believed because of the id that it carries.
 */
import {
  type KeyObject,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  verify,
} from "node:crypto";
import type { Sha256 } from "../lib/sha256.ts";
import { sha256Of } from "../lib/sha256-of.ts";
import { TrustError } from "./trust-error.ts";

declare const brand: unique symbol;

/** 64 hexadecimal digits. */
export type KeyId = Sha256 & { readonly [brand]: "KeyId" };

export interface PublicKey {
  readonly id: KeyId;
  /** The 32 bytes of RFC 8032. */
  readonly bytes: Uint8Array;
}

export interface SigningKey {
  readonly public: PublicKey;
  /** PKCS #8. */
  readonly private: Uint8Array;
}

/** What stands before the 32 bytes in a SubjectPublicKeyInfo of Ed25519 (RFC 8410). */
const SPKI_HEAD = Buffer.from("302a300506032b6570032100", "hex");
const PEM = /-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]{1,400})-----END PUBLIC KEY-----/;

/** A new key. */
export function newSigningKey(): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const spki = publicKey.export({ type: "spki", format: "der" });
  return {
    private: new Uint8Array(privateKey.export({ type: "pkcs8", format: "der" })),
    public: publicKeyOf(new Uint8Array(spki.subarray(SPKI_HEAD.length))),
  };
}

/** The 32 bytes as a key. Throws TrustError bad-key. */
export function publicKeyOf(bytes: Uint8Array): PublicKey {
  if (bytes.length !== 32) {
    throw new TrustError("bad-key", "this is no Ed25519 key", {
      why: `it has ${bytes.length} bytes, not 32`,
    });
  }
  return { id: sha256Of(Buffer.concat([SPKI_HEAD, bytes])) as KeyId, bytes };
}

/** A key's text: `ed25519:` and the 32 bytes in base64, or PEM as openssl writes it. Throws TrustError bad-key. */
export function parsePublicKey(text: string): PublicKey {
  const [, line] = /^ed25519:([A-Za-z0-9+/]{43}=)$/.exec(text.trim()) ?? [];
  if (line !== undefined) return publicKeyOf(new Uint8Array(Buffer.from(line, "base64")));
  const [, body] = PEM.exec(text) ?? [];
  if (body === undefined) {
    throw new TrustError("bad-key", "this is no public key", {
      why: "it is neither ed25519:… nor PEM",
      hint: "robur trust key prints a server's",
    });
  }
  const der = Buffer.from(body, "base64");
  if (der.length !== SPKI_HEAD.length + 32 || !der.subarray(0, SPKI_HEAD.length).equals(SPKI_HEAD)) {
    throw new TrustError("bad-key", "this is a public key of another kind", {
      why: "only Ed25519 keys sign here",
    });
  }
  return publicKeyOf(new Uint8Array(der.subarray(SPKI_HEAD.length)));
}

/** One line, for lists and configuration. */
export function formatPublicKey({ bytes }: PublicKey): string {
  return `ed25519:${Buffer.from(bytes).toString("base64")}`;
}

/** For openssl and others. */
export function pemOf({ bytes }: PublicKey): string {
  const base64 = Buffer.concat([SPKI_HEAD, bytes]).toString("base64");
  return `-----BEGIN PUBLIC KEY-----\n${base64}\n-----END PUBLIC KEY-----\n`;
}

/** 64 bytes. */
export function signWith({ private: bytes }: SigningKey, message: Uint8Array): Uint8Array {
  return new Uint8Array(sign(null, message, privateKeyObject(bytes)));
}

/** Whether the key's owner signed the message. */
export function isSignedBy(key: PublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  return signature.length === 64 && verify(null, message, publicKeyObject(key), signature);
}

function privateKeyObject(bytes: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.from(bytes), format: "der", type: "pkcs8" });
}

function publicKeyObject({ bytes }: PublicKey): KeyObject {
  return createPublicKey({ key: Buffer.concat([SPKI_HEAD, bytes]), format: "der", type: "spki" });
}
