import { describe, expect, test } from "bun:test";
import { assert, constantFrom, oneof, property, string } from "fast-check";
import { parseJobName, parsePlatform } from "../../../src/store/api.ts";
import { artifactPathFor, jobNameFor, platformFor, userNameFor } from "../../../src/store/import/names.ts";
import { scryptHash } from "../../../src/store/import/users.ts";

describe("names of another server", () => {
  test("stay what they are where they can", () => {
    for (const name of ["hello", "dns-primary-git", "a", "A.b_c+d-e"])
      expect(jobNameFor(name)).toBe(name as never);
  });

  test("become names that can be, different ones different names, the same each time", () => {
    const anyName = oneof(string(), constantFrom("..", "_artifacts", "", "a/b", "a b", "x".repeat(300)));
    assert(
      property(anyName, anyName, (one, other) => {
        const name = jobNameFor(one);
        expect(parseJobName(name)).toBe(name);
        expect(jobNameFor(one)).toBe(name);
        expect(jobNameFor(other) === name).toBe(one === other);
        expect(parsePlatform(platformFor(one))).toBe(platformFor(one));
      }),
    );
  });

  test("of users follow the rules of accounts", () => {
    expect(userNameFor("Some_One")).toBe("some-one");
    expect(userNameFor("___")).toBeUndefined();
    assert(
      property(string(), (text) => {
        const name = userNameFor(text);
        if (name !== undefined) expect(name).toMatch(/^[a-z0-9][a-z0-9.-]{0,62}$/);
      }),
    );
  });

  test("of files stay within their build", () => {
    expect(artifactPathFor("./bin//hello.hvt")).toBe("bin/hello.hvt");
    for (const bad of ["", ".", "/etc/passwd", "../x", "a/../../b", "a\0b", "a\nb", "x".repeat(2000)]) {
      expect(artifactPathFor(bad)).toBeUndefined();
    }
  });
});

describe("a password's hash", () => {
  const row = { id: 1, username: "x", n: 16384, r: 8, p: 1, restricted: 0 };
  const bytes = new Uint8Array(32).fill(7);

  test("is none where the user was disabled, or what it costs would stop the server", () => {
    expect(scryptHash({ ...row, hash: bytes, salt: bytes })).toStartWith("$scrypt$n=16384,r=8,p=1$");
    expect(scryptHash({ ...row, hash: new Uint8Array(0), salt: bytes })).toBeUndefined();
    for (const bad of [
      { n: 1 << 30 },
      { n: 1 << 19 },
      { n: 16384.5 },
      { n: 1000 },
      { n: 0 },
      { r: 0 },
      { r: 1000 },
      { p: 1000 },
      { p: -1 },
    ]) {
      expect(scryptHash({ ...row, ...bad, hash: bytes, salt: bytes })).toBeUndefined();
    }
  });
});
