import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openDatabase } from "../../../src/db/open.ts";
import type { JobName } from "../../../src/store/api.ts";
import { unreproducible } from "../../../src/store/import/unreproducible.ts";
import { remoteBuilds, remoteJobs, sha256InEtag } from "../../../src/store/remotes/builder-web-client.ts";
import { parseRemoteAddress } from "../../../src/store/remotes/remote-address.ts";
import { UUID, hostileServer } from "./hostile.ts";

let hostile: ReturnType<typeof hostileServer>;
beforeAll(() => void (hostile = hostileServer()));
afterAll(() => hostile[Symbol.asyncDispose]());

describe("another server's lists", () => {
  test("are read in the old form, names, and in the new one, objects; what can't be a job is told apart", async () => {
    const remote = parseRemoteAddress(hostile.origin);
    expect(await remoteJobs(remote)).toEqual({
      jobs: ["good", "liar"] as JobName[],
      others: [undefined, undefined, "../x"],
    });
    expect((await remoteBuilds(remote, "good" as JobName, { failed: true })).map(({ id }) => id)).toEqual([
      UUID as never,
    ]);
  });
});

describe("an ETag", () => {
  const hex = "3bdbb4fe8397cd2b842430b39ccff01a8663c751945ef5e9a09e267fb8b1d359";
  test("is the SHA-256 in Base64 or in digits, quoted or not", () => {
    for (const text of ["O9u0/oOXzSuEJDCznM/wGoZjx1GUXvXpoJ4mf7ix01k=", hex, hex.toUpperCase()]) {
      for (const etag of [text, `"${text}"`, `W/"${text}"`]) expect(sha256InEtag(etag)).toBe(hex as never);
    }
    for (const bad of [null, "", '"abc"', "x".repeat(44), hex.slice(1)])
      expect(sha256InEtag(bad)).toBeUndefined();
  });
});

describe("an address", () => {
  test("is a server's, with the name and password that uploaders have in it", () => {
    expect(parseRemoteAddress("https://builds.robur.coop/")).toEqual({
      origin: "https://builds.robur.coop",
      authorization: undefined,
    });
    expect(parseRemoteAddress("http://me:p%40ss@localhost:3000/upload")).toEqual({
      origin: "http://localhost:3000",
      authorization: `Basic ${btoa("me:p@ss")}`,
    });
  });

  test.each(["", "builds.robur.coop", "file:///etc/passwd", "https://x/y", "https://x/?a", "https://x/#a"])(
    "is not %p",
    (text) => {
      expect(() => parseRemoteAddress(text)).toThrow("is no address of a server");
    },
  );
});

test("builds that aren't reproducible are found by an index", () => {
  using db = openDatabase(":memory:");
  const queries: string[] = [];
  const spied = new Proxy(db, {
    get(target, name) {
      if (name !== "query") return Reflect.get(target, name) as unknown;
      return (sql: string) => (queries.push(sql), target.query(sql));
    },
  });
  expect(unreproducible(spied, 10)).toEqual([]);
  const plan = db.query<{ detail: string }, [number]>(`EXPLAIN QUERY PLAN ${queries[0]}`).all(10);
  expect(
    plan.map(({ detail }) => detail).filter((detail) => /^SCAN (build|artifact)\b(?!.*USING)/.test(detail)),
  ).toEqual([]);
});
