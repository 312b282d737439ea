/** Servers that give statements: a robur's, and one that answers as rebuilderd's API (version 1) does. */
import { afterAll, describe, expect, test } from "bun:test";
import { sha256Of } from "../../src/lib/sha256-of.ts";
import {
  fetchFromRebuilderd,
  fetchOwnKey,
  fetchStatements,
  packageName,
} from "../../src/trust/statement-sources.ts";
import { formatPublicKey, newSigningKey } from "../../src/trust/keys.ts";

const FILE = sha256Of("x");
const asked: string[] = [];
const answers = new Map<string, string | number>();
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request) {
    const { pathname, search } = new URL(request.url);
    asked.push(`${pathname}${search}`);
    const answer = answers.get(pathname) ?? 404;
    return typeof answer === "number" ? new Response("", { status: answer }) : new Response(answer);
  },
});
const origin = `http://127.0.0.1:${server.port}`;
afterAll(() => server.stop(true));

describe("a rebuilderd", () => {
  const record = (more: Record<string, unknown>) => ({
    ...{ name: "hello", version: "1.0", architecture: "amd64", status: "GOOD" },
    url: "https://deb.example/pool/h/hello_1.0_amd64.deb",
    ...{ build_id: 3, artifact_id: 4, attestation_log_id: 5 },
    ...more,
  });

  test("is asked by the package's name, and gives the statements about the file of that name", async () => {
    asked.length = 0;
    const records = [
      record({}),
      record({ url: "https://deb.example/pool/h/hello_1.1_amd64.deb", artifact_id: 6 }),
      record({ artifact_id: 7, attestation_log_id: null }),
      record({ artifact_id: "8/../../secret" }),
      record({ build_id: 9, artifact_id: 9 }),
      "nonsense",
    ];
    answers.set("/api/v1/packages/binary", JSON.stringify({ total: records.length, records }));
    answers.set("/api/v1/builds/3/artifacts/4/attestation", '{"signed":{}}');
    expect(await fetchFromRebuilderd(`${origin}/`, "hello_1.0_amd64.deb")).toEqual(['{"signed":{}}']);
    expect(asked).toEqual([
      "/api/v1/packages/binary?name=hello&limit=1000",
      "/api/v1/builds/3/artifacts/4/attestation",
      "/api/v1/builds/9/artifacts/9/attestation",
    ]);
  });

  test("that knows nothing gives nothing, and one that talks nonsense is an error", async () => {
    answers.set("/api/v1/packages/binary", '{"total":0,"records":[]}');
    expect(await fetchFromRebuilderd(origin, "other")).toEqual([]);
    answers.delete("/api/v1/packages/binary");
    expect(await fetchFromRebuilderd(origin, "other")).toEqual([]);
    answers.set("/api/v1/packages/binary", "<html>");
    await expect(fetchFromRebuilderd(origin, "other")).rejects.toThrow("can't be understood");
    answers.set("/api/v1/packages/binary", 500);
    await expect(fetchFromRebuilderd(origin, "other")).rejects.toThrow("gave no statements");
    await expect(fetchFromRebuilderd("http://127.0.0.1:1", "other")).rejects.toThrow("can't reach");
  });

  test("is told names as distributions make them", () => {
    expect(packageName("hello_1.0_amd64.deb")).toBe("hello");
    expect(packageName("hello-world-1.0-1-x86_64.pkg.tar.zst")).toBe("hello-world");
    expect(packageName("hello.hvt")).toBe("hello.hvt");
  });
});

describe("a robur server", () => {
  test("gives a line for each statement, and its key", async () => {
    answers.set("/api/v1/attestations", "{1}\n\n{2}\n");
    expect(await fetchStatements(origin, FILE)).toEqual(["{1}", "{2}"]);
    const { public: key } = newSigningKey();
    answers.set("/api/v1/trust/own", JSON.stringify({ keys: [{ key: formatPublicKey(key) }] }));
    expect(await fetchOwnKey(origin)).toEqual(key);
    answers.set("/api/v1/trust/own", "{}");
    await expect(fetchOwnKey(origin)).rejects.toThrow("has no key");
  });

  test("that gives more than anybody needs is not read to its end", async () => {
    answers.set("/api/v1/attestations", "x".repeat(17 * 1024 * 1024));
    await expect(fetchStatements(origin, FILE)).rejects.toThrow("gave too much");
  });
});
