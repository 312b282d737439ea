import { expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  fileNameOf,
  nameOfAlbatrossFile,
  nameOfFile,
  parseVolumeName,
  volumeName,
} from "../../../src/orchestrator/volumes/volume-name.ts";
import { snapshotName } from "../../../src/orchestrator/volumes/volumes.ts";

const MIB = 1024 * 1024;

test("names are albatross's, in one spelling", () => {
  const good = ["data", "Data", ":data", "my-web.v2", "foo:data", "0", "a".repeat(63)];
  const spelled = ["data", "data", "data", "my-web.v2", "foo:data", "0", "a".repeat(63)];
  expect(good.map(parseVolumeName)).toEqual(spelled);
});

test("what could leave the directory, hide there, or be no name of albatross's is refused", () => {
  const bad = [
    "",
    ":",
    "..",
    ".",
    ".data",
    "a/b",
    "../a",
    "a\0",
    "a b",
    "-a",
    "a_b",
    "a:",
    "::a",
    "a::b",
    "ä",
  ];
  for (const name of [...bad, "a".repeat(64), "a:".repeat(120) + "a", "a\n"]) {
    expect(parseVolumeName(name)).toBeUndefined();
  }
});

test("a refused name comes with one that would do", () => {
  expect(() => volumeName("My Data_2")).toThrow("can't be a volume's name");
  const hintOf = (text: string) => {
    try {
      return volumeName(text);
    } catch (error) {
      return (error as { hint?: string }).hint;
    }
  };
  expect(hintOf("My Data_2")).toBe("robur volume create my-data-2 --size 64M");
  expect(hintOf("///")).toBe("robur volume create data --size 64M");
});

test("any text is a name or isn't, and a name is its file's and itself again", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-zA-Z0-9.:-]{1,20}$/)), (text) => {
      const name = parseVolumeName(text);
      if (name === undefined) return;
      expect(parseVolumeName(name)).toBe(name);
      const file = fileNameOf(name);
      expect(file).not.toContain("/");
      expect(file.startsWith(".")).toBe(false);
      expect(nameOfFile(file)).toBe(name);
    }),
  );
});

test("other files in the directory are no volumes", () => {
  for (const file of ["data", "Data.img", ".data.img.new-0123456789abcdef", ".img", ":data.img", "a_b.img"]) {
    expect(nameOfFile(file)).toBeUndefined();
  }
});

test("albatross's files are known by name and size", () => {
  expect(nameOfAlbatrossFile(":data", MIB)).toBe("data");
  expect(nameOfAlbatrossFile("foo:data", 10 * MIB)).toBe("foo:data");
  for (const [file, size] of [
    [":data", 0],
    [":data", MIB + 1],
    ["foo:", MIB],
    [":", MIB],
    [":Data", MIB],
  ] as const) {
    expect(nameOfAlbatrossFile(file, size)).toBeUndefined();
  }
});

test("a snapshot's name tells the time and is a name, however long the volume's is", () => {
  const now = Date.UTC(2026, 0, 31, 9, 5, 7);
  expect(snapshotName("data", now)).toBe("data-20260131-090507");
  expect(snapshotName("foo:data", now)).toBe("foo:data-20260131-090507");
  const long = snapshotName(`foo:${"a".repeat(63)}`, now);
  expect(parseVolumeName(long)).toBe(long);
});
