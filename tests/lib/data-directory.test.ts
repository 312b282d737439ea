// Where robur keeps what must survive.
import { expect, test } from "bun:test";
import { homedir } from "node:os";
import { dataDirectory } from "../../src/lib/data-directory.ts";

const everything = {
  ROBUR_DATA_DIR: "/a",
  STATE_DIRECTORY: "/b:/c",
  XDG_DATA_HOME: "/d",
  HOME: "/home/somebody",
};

test("what was asked for comes before everything else", () => {
  expect(dataDirectory("/asked", everything, true)).toBe("/asked");
});

test("then ROBUR_DATA_DIR, then the first of systemd's state directories", () => {
  expect(dataDirectory(undefined, everything, true)).toBe("/a");
  expect(dataDirectory(undefined, { ...everything, ROBUR_DATA_DIR: undefined }, true)).toBe("/b");
});

test("a relative one is taken from where robur was started, since other programs start elsewhere", () => {
  expect(dataDirectory("data", {}, true)).toBe(`${process.cwd()}/data`);
  expect(dataDirectory(undefined, { ROBUR_DATA_DIR: "./x/../y" }, true)).toBe(`${process.cwd()}/y`);
});

test("root's is the system's, whatever its home", () => {
  expect(dataDirectory(undefined, { XDG_DATA_HOME: "/d", HOME: "/root" }, true)).toBe("/var/lib/robur");
});

test("a user's is in the data home, else below the home", () => {
  expect(dataDirectory(undefined, { XDG_DATA_HOME: "/d", HOME: "/h" }, false)).toBe("/d/robur");
  expect(dataDirectory(undefined, { HOME: "/h" }, false)).toBe("/h/.local/share/robur");
});

test("empty variables count as unset", () => {
  const empty = { ROBUR_DATA_DIR: "", STATE_DIRECTORY: "", XDG_DATA_HOME: "", HOME: "" };
  expect(dataDirectory(undefined, empty, false)).toBe(`${homedir()}/.local/share/robur`);
});
