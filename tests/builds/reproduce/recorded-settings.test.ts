import { describe, expect, test } from "bun:test";
import { recordedSettings } from "../../../src/builds/reproduce/recorded-settings.ts";
import { BASE_PACKAGES } from "../../../src/builds/attestations/attest.ts";
import { sha256Of } from "../../../src/lib/sha256-of.ts";
import { formatEnvelope, signEnvelope } from "../../../src/trust/envelope.ts";
import { newSigningKey } from "../../../src/trust/keys.ts";
import { formatStatement, provenanceStatement, rebuildStatement } from "../../../src/trust/statement.ts";

const key = newSigningKey();
const line = (statement: Uint8Array) => formatEnvelope(signEnvelope(statement, key));
const FILE = { name: "a", sha256: sha256Of("a") };
const NOTHING = {
  network: undefined,
  limits: undefined,
  timeoutMs: undefined,
  base: undefined,
  basePackages: undefined,
};

function provenance(internal: Record<string, unknown>, content?: string): string {
  const statement = provenanceStatement({
    ...{ outputs: [FILE], buildType: "urn:x", parameters: {}, internal, builder: "urn:b", version: "1" },
    dependencies: [
      { uri: "pkg:opam/a@1" },
      {
        ...{ name: BASE_PACKAGES, digest: { sha256: sha256Of("base") } },
        ...(content === undefined ? {} : { content: Buffer.from(content).toString("base64") }),
      },
    ],
    ...{ invocation: "i", startedAt: 0, finishedAt: 1, byproducts: [] },
  });
  return line(formatStatement(statement));
}

describe("what a build was allowed", () => {
  test("is in the statement of how it came to be, among others", () => {
    const rebuild = line(
      formatStatement(
        rebuildStatement([FILE], [], { build: "b", startedAt: 0, finishedAt: 1, version: "1" }),
      ),
    );
    const internal = {
      timeoutSeconds: 90,
      limits: { memoryMb: 512 },
      network: { kind: "hosts", hosts: ["127.0.0.1:80"] },
    };
    expect(recordedSettings(`${rebuild}\n\nnonsense\n${provenance(internal)}\n`)).toEqual({
      network: { kind: "hosts", hosts: ["127.0.0.1:80"] },
      limits: { memoryMb: 512, cpus: undefined, processes: undefined, diskMb: undefined },
      timeoutMs: 90_000,
      base: sha256Of("base"),
      basePackages: undefined,
    });
    expect(recordedSettings(provenance({}, "base")).basePackages).toBe("base");
    expect(recordedSettings(provenance({}, "another")).basePackages).toBeUndefined();
    expect(recordedSettings(rebuild)).toEqual(NOTHING);
    expect(recordedSettings("")).toEqual(NOTHING);
  });

  test("that can't be understood is as if it were not there", () => {
    const odd = { timeoutSeconds: "1h", limits: [], network: { kind: "hosts", hosts: [1] } };
    expect(recordedSettings(provenance(odd))).toEqual({ ...NOTHING, base: sha256Of("base") });
    expect(recordedSettings(provenance({ network: { kind: "everything" } })).network).toBeUndefined();
  });
});
