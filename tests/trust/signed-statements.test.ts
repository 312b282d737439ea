import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import type { Sha256 } from "../../src/lib/sha256.ts";
import { sha256Of } from "../../src/lib/sha256-of.ts";
import {
  formatEnvelope,
  parseEnvelope,
  signEnvelope,
  signedBytes,
  signersOf,
} from "../../src/trust/envelope.ts";
import {
  formatPublicKey,
  isSignedBy,
  newSigningKey,
  parsePublicKey,
  pemOf,
  publicKeyOf,
  signWith,
} from "../../src/trust/keys.ts";
import {
  LINK,
  PROVENANCE,
  formatStatement,
  kindOf,
  parseStatement,
  provenanceStatement,
  rebuildStatement,
  subjectsOf,
} from "../../src/trust/statement.ts";
import { TrustError } from "../../src/trust/trust-error.ts";
import { weigh } from "../../src/trust/verdict.ts";
import { lacks, needsCommands } from "../needs.ts";
import { temporaryDirectory } from "../robur.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const FILE = sha256Of("the file");
const OTHER = sha256Of("another file");
const PROVENANCE_FACTS = {
  outputs: [{ name: "bin/hello.hvt", sha256: FILE }],
  buildType: "urn:robur:build:script:1",
  parameters: { job: "hello" },
  internal: {},
  dependencies: [],
  builder: "urn:robur:builder:bwrap",
  version: "0.1.0",
  invocation: "08455214-8a9b-413a-b116-a65353dc0743",
  startedAt: 1_725_444_672_123,
  finishedAt: 1_725_444_674_000,
  byproducts: [],
};

/** The error's why. */
function whyOf(action: () => unknown): string | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof TrustError) return error.why;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("keys", () => {
  test("a signature holds for its message and key only", () => {
    const [key, other] = [newSigningKey(), newSigningKey()];
    const signature = signWith(key, bytes("a message"));
    expect(isSignedBy(key.public, bytes("a message"), signature)).toBe(true);
    expect(isSignedBy(key.public, bytes("a massage"), signature)).toBe(false);
    expect(isSignedBy(other.public, bytes("a message"), signature)).toBe(false);
    expect(isSignedBy(key.public, bytes("a message"), signature.subarray(1))).toBe(false);
    for (let i = 0; i < signature.length; i++) {
      const damaged = Uint8Array.from(signature);
      damaged[i]! ^= 1;
      expect(isSignedBy(key.public, bytes("a message"), damaged)).toBe(false);
    }
  });

  test("the test of RFC 8032, 7.1, 1 holds", () => {
    const key = publicKeyOf(
      new Uint8Array(Buffer.from("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "hex")),
    );
    const signature = Buffer.from(
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
      "hex",
    );
    expect(isSignedBy(key, new Uint8Array(), signature)).toBe(true);
  });

  test("are read back from one line and from PEM", () => {
    const { public: key } = newSigningKey();
    expect(parsePublicKey(formatPublicKey(key))).toEqual(key);
    expect(parsePublicKey(` ${formatPublicKey(key)}\n`)).toEqual(key);
    expect(parsePublicKey(pemOf(key))).toEqual(key);
  });

  test("of other kinds and damaged ones are refused", () => {
    expect(() => parsePublicKey("ed25519:abc")).toThrow("this is no public key");
    expect(() => parsePublicKey("")).toThrow("this is no public key");
    const rsa = "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAK\n-----END PUBLIC KEY-----";
    expect(() => parsePublicKey(rsa)).toThrow("another kind");
    expect(() => publicKeyOf(new Uint8Array(31))).toThrow("no Ed25519 key");
  });

  test.skipIf(lacks(needsCommands("openssl")))("openssl believes the signature of an envelope", async () => {
    const key = newSigningKey();
    const directory = temporaryDirectory();
    const at = (name: string) => join(directory, name);
    const { payload, payloadType, signatures } = signEnvelope(bytes('{"a":1}'), key);
    writeFileSync(at("key.pem"), pemOf(key.public));
    writeFileSync(at("message"), signedBytes(payloadType, payload));
    writeFileSync(at("signature"), signatures[0]!.bytes);
    const check = () =>
      Bun.spawnSync([
        ...["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", at("key.pem"), "-rawin"],
        ...["-in", at("message"), "-sigfile", at("signature")],
      ]).exitCode;
    expect(check()).toBe(0);
    writeFileSync(at("message"), "something else");
    expect(check()).not.toBe(0);
  });
});

describe("an envelope", () => {
  test("signs the bytes that DSSE says", () => {
    const signed = signedBytes("http://example.com/HelloWorld", bytes("hello world"));
    expect(new TextDecoder().decode(signed)).toBe("DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    // Lengths are of bytes.
    expect(new TextDecoder().decode(signedBytes("é", bytes("ü")))).toBe("DSSEv1 2 é 2 ü");
  });

  test("is read back, whatever its payload", () => {
    const key = newSigningKey();
    fc.assert(
      fc.property(fc.uint8Array(), fc.string(), (payload, type) => {
        const envelope = signEnvelope(payload, key, type);
        const again = parseEnvelope(formatEnvelope(envelope));
        expect(again.payload).toEqual(payload);
        expect(again.payloadType).toBe(type);
        expect(signersOf(again, [key.public])).toEqual([key.public.id]);
      }),
      { numRuns: 50 },
    );
  });

  test("with the signature of another payload, or a key id that isn't the signer's, has no signer", () => {
    const [key, other] = [newSigningKey(), newSigningKey()];
    const envelope = signEnvelope(bytes("{}"), key);
    expect(signersOf({ ...envelope, payload: bytes("[]") }, [key.public])).toEqual([]);
    expect(signersOf({ ...envelope, payloadType: "text/plain" }, [key.public])).toEqual([]);
    const lying = { ...envelope, signatures: [{ ...envelope.signatures[0]!, keyId: other.public.id }] };
    expect(signersOf(lying, [other.public])).toEqual([]);
    expect(signersOf(lying, [other.public, key.public])).toEqual([key.public.id]);
  });

  test("that is damaged says how", () => {
    expect(whyOf(() => parseEnvelope("{"))).toBe("it is no JSON");
    expect(whyOf(() => parseEnvelope("[]"))).toBe("it is no JSON object");
    expect(whyOf(() => parseEnvelope("{}"))).toContain("lacks payload");
    const of = (signatures: unknown) => JSON.stringify({ payload: "e30=", payloadType: "x", signatures });
    expect(whyOf(() => parseEnvelope(of([{}])))).toBe("a signature has no sig");
    expect(whyOf(() => parseEnvelope(of([{ sig: "é" }])))).toContain("base64");
    expect(whyOf(() => parseEnvelope(of(Array.from({ length: 65 }, () => ({ sig: "" })))))).toContain("64");
  });
});

describe("a statement", () => {
  test("of provenance has what SLSA asks for", () => {
    const written = formatStatement(provenanceStatement(PROVENANCE_FACTS));
    expect(JSON.parse(new TextDecoder().decode(written))).toEqual({
      _type: "https://in-toto.io/Statement/v1",
      subject: [{ name: "bin/hello.hvt", digest: { sha256: FILE } }],
      predicateType: "https://slsa.dev/provenance/v1",
      predicate: {
        buildDefinition: {
          buildType: "urn:robur:build:script:1",
          externalParameters: { job: "hello" },
          internalParameters: {},
          resolvedDependencies: [],
        },
        runDetails: {
          builder: { id: "urn:robur:builder:bwrap", version: { robur: "0.1.0" } },
          metadata: {
            invocationId: "08455214-8a9b-413a-b116-a65353dc0743",
            startedOn: "2024-09-04T10:11:12.123Z",
            finishedOn: "2024-09-04T10:11:14.000Z",
          },
          byproducts: [],
        },
      },
    });
    const read = parseStatement(written);
    expect(kindOf(read)).toBe("provenance");
    expect(read.predicateType).toBe(PROVENANCE);
    expect(subjectsOf(read)).toEqual([{ name: "bin/hello.hvt", sha256: FILE }]);
  });

  test("of a rebuild is a link that names the file", () => {
    const facts = { build: "B", startedAt: 0, finishedAt: 1, version: "0.1.0" };
    const read = parseStatement(
      formatStatement(rebuildStatement([{ name: "bin/a", sha256: FILE }], [], facts)),
    );
    expect(read.predicateType).toBe(LINK);
    expect(read.predicate["name"]).toBe("rebuild bin/a");
    expect(kindOf(read)).toBe("rebuild");
  });

  test("of another kind is none of ours", () => {
    const read = parseStatement(
      bytes(JSON.stringify({ _type: "https://in-toto.io/Statement/v1", subject: [{}], predicateType: "x" })),
    );
    expect(kindOf(read)).toBeUndefined();
    expect(subjectsOf(read)).toEqual([]);
  });

  test("that is damaged says how", () => {
    const of = (value: unknown) => whyOf(() => parseStatement(bytes(JSON.stringify(value))));
    const _type = "https://in-toto.io/Statement/v1";
    expect(of([])).toBe("it is no JSON object");
    expect(of({})).toContain("_type");
    expect(of({ _type, subject: [], predicateType: "x" })).toBe("it has no subject");
    expect(of({ _type, subject: [{}] })).toBe("it has no predicateType");
    expect(whyOf(() => parseStatement(Uint8Array.of(0xff)))).toBe("it is no JSON");
  });
});

describe("a verdict", () => {
  const provenance = (sha256: Sha256) =>
    formatStatement(provenanceStatement({ ...PROVENANCE_FACTS, outputs: [{ name: "bin/a", sha256 }] }));
  const [first, second, stranger] = [newSigningKey(), newSigningKey(), newSigningKey()];
  const trusted = [first.public, second.public];
  const signedBy = (key: typeof first, sha256 = FILE) =>
    formatEnvelope(signEnvelope(provenance(sha256), key));

  test("counts keys, not statements", () => {
    const one = weigh(FILE, [signedBy(first), signedBy(first)], trusted, 2);
    expect(one.vouchers).toEqual([first.public.id]);
    expect(one.isEnough).toBe(false);
    expect(weigh(FILE, [signedBy(first), signedBy(second)], trusted, 2).isEnough).toBe(true);
  });

  test("doesn't count strangers, other files, other kinds and damage, and says which it was", () => {
    const unknown = { _type: "https://in-toto.io/Statement/v1", subject: [{ digest: { sha256: FILE } }] };
    const ofOtherKind = bytes(JSON.stringify({ ...unknown, predicateType: "urn:x" }));
    const verdict = weigh(
      FILE,
      [
        ...[signedBy(stranger), signedBy(first, OTHER), "{", "{}"],
        formatEnvelope(signEnvelope(ofOtherKind, first)),
      ],
      trusted,
      1,
    );
    expect(verdict.findings.map((finding) => (finding.isGood ? "good" : finding.why))).toEqual([
      "none of the trusted keys signed it",
      "it speaks of another file",
      "it is no JSON",
      "it lacks payload, payloadType or signatures",
      "it is of an unknown kind, urn:x",
    ]);
    expect(verdict.vouchers).toEqual([]);
    expect(verdict.isEnough).toBe(false);
  });

  test("doesn't count what was signed as something else, and takes what others write", () => {
    const text = (predicateType: string, predicate: object = {}) =>
      bytes(
        JSON.stringify({
          ...{ _type: "https://in-toto.io/Statement/v0.1", predicateType, predicate },
          subject: [{ name: "a", digest: { sha256: FILE } }],
        }),
      );
    const weighed = (payload: Uint8Array, type?: string) =>
      weigh(FILE, [formatEnvelope(signEnvelope(payload, first, type))], trusted, 1);
    expect(weighed(text("https://slsa.dev/provenance/v0.2")).isEnough).toBe(true);
    expect(weighed(text("https://in-toto.io/Link/v1", { name: "rebuild a" })).isEnough).toBe(true);
    expect(weighed(text("https://in-toto.io/Link/v1", { name: "test a" })).isEnough).toBe(false);
    // Ed25519 signs bytes: what they mean is the type's to say.
    const other = weighed(text("https://slsa.dev/provenance/v1"), "application/json");
    expect(other.findings).toEqual([
      { isGood: false, why: "it is no in-toto statement, but application/json" },
    ]);
  });

  test("takes the older links of rebuilderd", () => {
    const signed = {
      _type: "link",
      name: 'rebuild "a"',
      materials: {},
      products: { a: { sha256: FILE } },
      environment: null,
      byproducts: {},
      command: [],
    };
    // What securesystemslib would write of it.
    const canonical = `{"_type":"link","byproducts":{},"command":[],"environment":null,"materials":{},"name":"rebuild \\"a\\"","products":{"a":{"sha256":"${FILE}"}}}`;
    const sig = Buffer.from(signWith(first, bytes(canonical))).toString("hex");
    const link = JSON.stringify({ signatures: [{ keyid: "x", sig }], signed });
    expect(weigh(FILE, [link], trusted, 1)).toMatchObject({
      isEnough: true,
      vouchers: [first.public.id],
      findings: [{ isGood: true, kind: "rebuild", name: "a" }],
    });
    expect(weigh(OTHER, [link], trusted, 1).isEnough).toBe(false);
    const changed = JSON.stringify({
      signatures: [{ keyid: "x", sig }],
      signed: { ...signed, command: ["b"] },
    });
    expect(weigh(FILE, [changed], trusted, 1).isEnough).toBe(false);
    const deep = JSON.stringify({
      signatures: [{ sig }],
      signed: { ...signed, environment: JSON.parse("[".repeat(40) + "]".repeat(40)) as unknown },
    });
    expect(weigh(FILE, [deep], trusted, 1).findings).toEqual([
      { isGood: false, why: "it is nested too deeply" },
    ]);
  });

  test("never throws, whatever the statements are", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.json())), (statements) => {
        expect(weigh(FILE, statements, trusted, 1).isEnough).toBe(false);
      }),
    );
  });
});
