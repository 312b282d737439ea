import { expect, test } from "bun:test";
import { openDatabase } from "../../../src/db/open.ts";
import { tellingStore } from "../../../src/server/builds/telling-store.ts";
import { type JobName, type NewBuild, type Platform, parseBuildId } from "../../../src/store/api.ts";
import { openBuildStore } from "../../../src/store/builds/build-store.ts";
import { openContentStore } from "../../../src/store/contents/content-store.ts";

test("a store that tells does so once for each build that it took", async () => {
  using db = openDatabase(":memory:");
  await using contents = openContentStore(db);
  const told: string[] = [];
  const builds = tellingStore(openBuildStore(db, contents), ({ id }) => void told.push(id));
  const id = parseBuildId("08455214-8a9b-413a-b116-a65353dc0743")!;
  const build: NewBuild = {
    ...{ id, job: "hello" as JobName, platform: "debian-12" as Platform, startedAt: 1, finishedAt: 2 },
    ...{
      script: new Uint8Array(0),
      result: { kind: "exited", code: 0 },
      console: [],
      files: [],
      uploadedBy: "x",
    },
  };
  expect(await builds.add(build)).toMatchObject({ ok: true });
  expect(await builds.add(build)).toMatchObject({ ok: false });
  expect(
    await builds.upload(new Blob(["no record"]).stream(), { mayUpload: () => true, uploadedBy: "x" }),
  ).toMatchObject({
    ok: false,
  });
  expect(builds.build(id)?.job).toBe("hello" as JobName);
  expect(told).toEqual([id]);
});
