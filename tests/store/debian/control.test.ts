import { describe, expect, test } from "bun:test";
import { assert, asyncProperty, property, uint8Array } from "fast-check";
import { gzipSync } from "node:zlib";
import { listMembers, memberHeader } from "../../../src/store/debian/ar.ts";
import { findControl, unpack } from "../../../src/store/debian/control-tar.ts";
import { publishedVersion, readControl, withVersion } from "../../../src/store/debian/control-text.ts";
import type { Sha256 } from "../../../src/lib/sha256.ts";
import { clearSigned, type SigningKey } from "../../../src/store/debian/openpgp.ts";

const SHA = "3bdbb4fe8397cd2b842430b39ccff01a8663c751945ef5e9a09e267fb8b1d359" as Sha256;
const AT = Date.parse("2024-09-04T10:11:12Z");
const reader = (bytes: Uint8Array) => async (offset: number, length: number) =>
  bytes.subarray(offset, offset + length);

describe("a published version", () => {
  test("is the upstream one with the build's time and hash behind", () => {
    expect(publishedVersion("1.2.3", AT, SHA)).toBe(`1.2.3-0-g0000000-20240904101112-${SHA}`);
    expect(publishedVersion("1.2.3-14-gabc123", AT, SHA)).toBe(`1.2.3-14-gabc123-20240904101112-${SHA}`);
  });
  test.each(["", "1.2", "1.2.3~rc1", "1:1.2.3", "1.2.3-4", "v1.2.3", "1.2.3\nEvil: yes"])(
    "is none for %p",
    (text) => {
      expect(() => publishedVersion(text, AT, SHA)).toThrow("can't be published");
    },
  );
});

describe("a control file", () => {
  const text =
    "Package: hello\nVersion: 1.2.3\nArchitecture: amd64\nDescription: x\n Version: not this one\n";
  test("is read, and only its version is replaced", () => {
    expect(readControl(text)).toEqual({ name: "hello", version: "1.2.3", architecture: "amd64" });
    expect(withVersion(text, "2")).toBe(text.replace("Version: 1.2.3", "Version: 2"));
  });
  test("with a name or an architecture that leads elsewhere is refused", () => {
    for (const bad of ["Package: ../x", "Package: A", "Package: hello\nArchitecture: a/b"]) {
      expect(() =>
        readControl(
          `${bad}\nVersion: 1.2.3\nArchitecture: amd64\n`.replace(/(Architecture: a\/b)[^]*/, "$1\n"),
        ),
      ).toThrow();
    }
  });
});

describe("a control file that would spoil the list", () => {
  const good = "Package: hello\nVersion: 1.2.3\nArchitecture: amd64\n";
  test("is refused", () => {
    expect(readControl(`${good}Description: x\n y\n .\n\tz\n\n`).name).toBe("hello");
    for (const bad of [
      `${good}no field\n`,
      ` in front\n${good}`,
      `\n${good}`,
      `${good}\nPackage: other\n`,
      `${good}package: other\n`,
      `${good}Filename: pool/other\n`,
      `${good}SHA256: 00\n`,
      `Package: hello\n world\nVersion: 1.2.3\nArchitecture: amd64\n`,
      `${good}Description: a\u0000b\n`,
      `${good}Description: a\rPackage: b\n`,
      `${good}Description: a\n \n`.replace(/ \n$/, " \n b\n"),
      "",
    ]) {
      expect(() => readControl(bad)).toThrow("control file");
    }
  });
});

describe("hostile archives", () => {
  test("are refused, whatever the bytes", async () => {
    await assert(
      asyncProperty(uint8Array({ maxLength: 400 }), async (noise) => {
        const bytes = Buffer.concat([Buffer.from("!<arch>\n"), noise]);
        const outcome = await listMembers(bytes.length, reader(bytes)).catch((error: unknown) => error);
        const isExpected = Array.isArray(outcome)
          ? noise.length === 0
          : (outcome as { code?: string }).code === "not-a-package";
        expect(isExpected).toBe(true);
      }),
    );
  });
  test("may not claim more than there is", async () => {
    const bytes = Buffer.concat([Buffer.from("!<arch>\n"), memberHeader("control.tar.gz", 1_000_000)]);
    await expect(listMembers(bytes.length, reader(bytes))).rejects.toThrow("no Debian package");
  });
  test("may not unpack to anything large, or to no control file", async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    await expect(unpack("control.tar.gz", bomb)).rejects.toThrow("can't be unpacked");
    await expect(unpack("control.tar.lzma", bomb)).rejects.toThrow("nobody knows how");
    expect(() => findControl(new Uint8Array(10_240))).toThrow("no control file");
    assert(
      property(uint8Array({ minLength: 512, maxLength: 2048 }), (noise) => {
        expect(() => findControl(noise)).toThrow("no control file");
      }),
    );
  });
});

test("signatures are the same for the same key, text and time", () => {
  const key: SigningKey = { seed: new Uint8Array(32).fill(1), createdAt: AT, name: "test" };
  expect(clearSigned(key, "a\n", AT)).toBe(clearSigned(key, "a\n", AT));
  expect(clearSigned(key, "- a\n", AT)).toContain("\n- - a\n");
});
