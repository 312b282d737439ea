/**
 * As much of OpenPGP (RFC 4880, with Ed25519 as draft-koch-eddsa-for-openpgp-04 has it) as a repository needs: a
 * public key with one name, and signatures of it. Version 4, which every apt's verifier reads. Pure.
 */
import { type KeyObject, createHash, createPrivateKey, createPublicKey, sign } from "node:crypto";

export interface SigningKey {
  /** 32 bytes. */
  readonly seed: Uint8Array;
  /** Milliseconds since 1970: a part of the key. */
  readonly createdAt: number;
  readonly name: string;
}

const EDDSA = 22;
const SHA512 = 10;
const CURVE = [0x09, 0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01];
/** RFC 8410: what stands before the seed of a private key. */
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");

const BINARY = 0x00;
const TEXT = 0x01;
const CERTIFICATION = 0x13;
const SUBPACKET = { time: 2, issuer: 16, flags: 27, fingerprint: 33 } as const;
const MAY_CERTIFY_AND_SIGN = 0x03;

/** The public key, as files for apt have it. */
export function armoredKey(key: SigningKey): string {
  const body = keyBody(key);
  const name = Buffer.from(key.name, "utf8");
  const flags = subpacket(SUBPACKET.flags, [MAY_CERTIFY_AND_SIGN]);
  const certified = Buffer.concat([prefixed(0x99, 2, body), prefixed(0xb4, 4, name)]);
  const signature = signatureBody(key, CERTIFICATION, certified, key.createdAt, flags);
  return armor("PUBLIC KEY BLOCK", Buffer.concat([packet(6, body), packet(13, name), packet(2, signature)]));
}

/** By which people compare keys: 40 hexadecimal digits. */
export function fingerprint(key: SigningKey): string {
  return printOf(key).toString("hex").toUpperCase();
}

/** A signature beside a file. `at`: milliseconds since 1970. */
export function detachedSignature(key: SigningKey, bytes: Uint8Array, at: number): string {
  return armor("SIGNATURE", packet(2, signatureBody(key, BINARY, bytes, at)));
}

/** The text with its signature below (RFC 4880 section 7). */
export function clearSigned(key: SigningKey, text: string, at: number): string {
  const lines = text.replace(/\n$/, "").split("\n");
  const canonical = lines.map((line) => line.replace(/[ \t]+$/, "")).join("\r\n");
  const signature = armor(
    "SIGNATURE",
    packet(2, signatureBody(key, TEXT, Buffer.from(canonical, "utf8"), at)),
  );
  const escaped = lines.map((line) => (line.startsWith("-") ? `- ${line}` : line)).join("\n");
  return `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n${escaped}\n${signature}`;
}

function keyBody(key: SigningKey): Buffer {
  const { x = "" } = createPublicKey(privateKey(key)).export({ format: "jwk" });
  const point = Buffer.concat([Buffer.of(0x40), Buffer.from(x, "base64url")]);
  return Buffer.concat([
    Buffer.of(4),
    number(seconds(key.createdAt), 4),
    Buffer.of(EDDSA),
    Buffer.from(CURVE),
    mpi(point),
  ]);
}

/** RFC 4880 section 12.2. */
function printOf(key: SigningKey): Buffer {
  return createHash("sha1")
    .update(prefixed(0x99, 2, keyBody(key)))
    .digest();
}

function privateKey({ seed }: SigningKey): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: "der", type: "pkcs8" });
}

function signatureBody(
  key: SigningKey,
  type: number,
  signed: Uint8Array,
  at: number,
  more: Uint8Array = new Uint8Array(0),
): Buffer {
  const print = printOf(key);
  const hashed = Buffer.concat([
    subpacket(SUBPACKET.time, number(seconds(at), 4)),
    subpacket(SUBPACKET.fingerprint, Buffer.concat([Buffer.of(4), print])),
    more,
  ]);
  const head = Buffer.concat([Buffer.of(4, type, EDDSA, SHA512), number(hashed.length, 2), hashed]);
  const trailer = Buffer.concat([Buffer.of(4, 0xff), number(head.length, 4)]);
  const digest = createHash("sha512").update(signed).update(head).update(trailer).digest();
  const signature = sign(null, digest, privateKey(key));
  const issuer = subpacket(SUBPACKET.issuer, print.subarray(-8));
  return Buffer.concat([
    head,
    ...[number(issuer.length, 2), issuer, digest.subarray(0, 2)],
    ...[mpi(signature.subarray(0, 32)), mpi(signature.subarray(32))],
  ]);
}

const seconds = (milliseconds: number) => Math.floor(milliseconds / 1000);

function number(value: number, length: 2 | 4): Buffer {
  const bytes = Buffer.alloc(length);
  bytes.writeUIntBE(value, 0, length);
  return bytes;
}

function prefixed(tag: number, length: 2 | 4, body: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(tag), number(body.length, length), body]);
}

/** New format; bodies here are short of 8384 bytes. */
function packet(tag: number, body: Uint8Array): Buffer {
  const { length } = body;
  const size = length < 192 ? [length] : [((length - 192) >> 8) + 192, (length - 192) & 0xff];
  return Buffer.concat([Buffer.of(0xc0 | tag, ...size), body]);
}

function subpacket(type: number, body: Uint8Array | readonly number[]): Buffer {
  return Buffer.concat([Buffer.of(body.length + 1, type), Buffer.from(body)]);
}

/** A number with its length in bits, without zeros in front. */
function mpi(bytes: Uint8Array): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0);
  const digits = first < 0 ? new Uint8Array(0) : bytes.subarray(first);
  const bits = digits.length === 0 ? 0 : (digits.length - 1) * 8 + (32 - Math.clz32(digits[0]!));
  return Buffer.concat([number(bits, 2), digits]);
}

function armor(kind: string, bytes: Uint8Array): string {
  const lines = Buffer.from(bytes)
    .toString("base64")
    .replaceAll(/(.{64})(?=.)/g, "$1\n");
  const sum = Buffer.alloc(3);
  sum.writeUIntBE(crc24(bytes), 0, 3);
  return `-----BEGIN PGP ${kind}-----\n\n${lines}\n=${sum.toString("base64")}\n-----END PGP ${kind}-----\n`;
}

/** RFC 4880 section 6.1. */
function crc24(bytes: Uint8Array): number {
  let crc = 0xb704ce;
  for (const byte of bytes) {
    crc ^= byte << 16;
    for (let bit = 0; bit < 8; bit++) {
      crc <<= 1;
      if ((crc & 0x1000000) !== 0) crc ^= 0x1864cfb;
    }
  }
  return crc & 0xffffff;
}
