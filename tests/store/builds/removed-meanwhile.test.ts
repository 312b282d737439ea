// A download that began comes to its end, though its build is removed and its contents would be collected.
import { expect, test } from "bun:test";
import { archive } from "../../../src/server/builds/archive.ts";
import type { BuildId } from "../../../src/store/api.ts";
import { collect, UNUSED_MS } from "../../../src/store/collection/collect.ts";
import { openBuildStore } from "../../../src/store/builds/build-store.ts";
import { openContentStore } from "../../../src/store/contents/content-store.ts";
import { randomBytes } from "../bytes.ts";
import { openLab, recordBytes, SAMPLE, upload } from "./lab.ts";

const FILES = Array.from({ length: 5 }, (_, i) => [`f${i}`, randomBytes(300_000, i + 1)] as const);

/** Reads a piece, removes the build, collects, and reads the rest. */
async function removedMeanwhile(which: "record" | "archive") {
  await using lab = openLab();
  const sent = await recordBytes({ files: FILES });
  const contents = openContentStore(lab.db);
  const builds = openBuildStore(lab.db, contents);
  await upload(builds, sent);
  const id = SAMPLE.uuid as BuildId;
  const open = () =>
    which === "record"
      ? builds.record(id)!.stream()
      : archive({ builds, contents }, builds.build(id)!, { gzip: false, withLog: false });
  const whole = await new Response(open()).bytes();
  if (which === "record") expect(Buffer.compare(whole, sent)).toBe(0);
  const reader = open().getReader();
  const pieces = [(await reader.read()).value!.slice()];
  builds.remove(id);
  const now = Date.now() + 2 * UNUSED_MS;
  await collect(lab.db, contents, { now });
  for (let piece; !(piece = await reader.read()).done;) pieces.push(piece.value.slice());
  expect(Buffer.compare(Buffer.concat(pieces), whole)).toBe(0);
  // Nobody reads it any more, and it goes.
  await collect(lab.db, contents, { now });
  expect(lab.db.query("SELECT count(*) AS n FROM content").get()).toEqual({ n: 0 });
  await contents[Symbol.asyncDispose]();
}

test("of a record", () => removedMeanwhile("record"));
test("of an archive", () => removedMeanwhile("archive"));
