import { describe, expect, test } from "bun:test";
import type { RecordLimits } from "../../../src/protocols/builder/record.ts";
import type { UploadRefusal } from "../../../src/store/api.ts";
import { collect, UNUSED_MS } from "../../../src/store/collection/collect.ts";
import { openContentStore } from "../../../src/store/contents/content-store.ts";
import { type Lab, type SampleRecord, openLab, recordBytes, rowCounts, SAMPLE, upload, utf8 } from "./lab.ts";

/** Uploads, and answers why it was refused. */
async function refused(lab: Lab, bytes: Uint8Array): Promise<UploadRefusal> {
  const outcome = await upload(lab.store, bytes);
  if (outcome.ok) throw new Error("it was taken");
  return outcome.refusal;
}

/** Contents and chunks that are left once nobody uses anything any more. */
async function left(lab: Lab): Promise<{ contents: number; chunks: number }> {
  const contents = openContentStore(lab.db);
  await collect(lab.db, contents, { now: Date.now() + 2 * UNUSED_MS });
  await contents[Symbol.asyncDispose]();
  const count = (table: string) =>
    lab.db.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${table}`).get()!.n;
  return { contents: count("content"), chunks: count("chunk") };
}

const NOTHING = { job: 0, build: 0, artifact: 0, record_file: 0, package: 0, switch_package: 0 };

describe("nothing is kept of", () => {
  test("a record that is cut off, anywhere", async () => {
    await using lab = openLab();
    const bytes = await recordBytes();
    for (let end = 0; end < bytes.length; end++) {
      const { code, message } = await refused(lab, bytes.subarray(0, end));
      expect(code).toBe("bad-record");
      expect(message).toContain("this is no record of a build");
    }
    expect(rowCounts(lab.db)).toEqual(NOTHING);
    expect(await left(lab)).toEqual({ contents: 0, chunks: 0 });
  });

  test("a record of which one byte is another, unless it is a record still", async () => {
    await using lab = openLab();
    const bytes = await recordBytes();
    let accepted = 0;
    for (let at = 0; at < bytes.length; at++) {
      const changed = bytes.slice();
      changed[at] = changed[at]! ^ 0x11;
      const outcome = await upload(lab.store, changed);
      if (!outcome.ok) continue;
      accepted += 1;
      expect(lab.store.remove(outcome.build.id)).toBe(true);
      lab.store.removeJob(outcome.build.job);
    }
    expect(accepted).toBeGreaterThan(0);
    expect(rowCounts(lab.db)).toEqual(NOTHING);
    expect(await left(lab)).toEqual({ contents: 0, chunks: 0 });
  });

  test("an upload that breaks off", async () => {
    await using lab = openLab();
    const bytes = await recordBytes({ files: [["bin/x", new Uint8Array(300_000).fill(7)]] });
    for (const end of [10, 200, 100_000]) {
      let sent = 0;
      const broken = new ReadableStream<Uint8Array>({
        pull(controller) {
          if (sent >= end) controller.error(new Error("the connection is gone"));
          else controller.enqueue(bytes.subarray(sent, (sent += 50)));
        },
      });
      const work = lab.store.upload(broken, { mayUpload: () => true, uploadedBy: "tester" });
      await expect(work).rejects.toThrow("the connection is gone");
    }
    expect(rowCounts(lab.db)).toEqual(NOTHING);
    expect(await left(lab)).toEqual({ contents: 0, chunks: 0 });
  });
});

describe("paths that aren't taken", () => {
  test.each([
    ["/etc/passwd", "absolute"],
    ["../x", "leads out"],
    ["a/../../x", "leads out"],
    ["a/..", "leads out"],
    [".", "empty"],
    ["a/", "a directory"],
    ["a\nb", "control"],
    ["a\x7fb", "control"],
    ["x".repeat(1025), "longer than 1 KiB"],
    ["x".repeat(5000), "a path of"],
  ])("%p", async (path, why) => {
    await using lab = openLab();
    const { code, message } = await refused(lab, await recordBytes({ files: [[path, "x"]] }));
    expect(code).toBe(why === "a path of" ? "too-large" : "bad-record");
    expect(message).toContain(why);
    expect(rowCounts(lab.db)).toEqual(NOTHING);
    expect(await left(lab)).toEqual({ contents: 0, chunks: 0 });
  });

  test.each([
    [["a", "a"], "a"],
    [["a/b", "a//b"], "a/b"],
    [["a", "./a"], "a"],
    [["README.md", "README.md"], "README.md"],
  ])("%p, for they are one", async (paths, named) => {
    await using lab = openLab();
    const files = paths.map((path) => [path, "x"] as const);
    const { code, message } = await refused(lab, await recordBytes({ files }));
    expect([code, message]).toEqual(["bad-record", `the file ${JSON.stringify(named)} is there twice`]);
  });
});

describe("names that aren't taken", () => {
  test.each(["..", "", "a/b", "_x", "a\0", "x".repeat(129), "näme"])("job %p", async (name) => {
    await using lab = openLab();
    expect((await refused(lab, await recordBytes({ name }))).message).toContain("can't be a job's name");
  });

  test.each(["..", "", "a b", "x".repeat(129)])("platform %p", async (platform) => {
    await using lab = openLab();
    const { code, message } = await refused(lab, await recordBytes({ platform }));
    expect([code, message]).toEqual(["bad-record", `${JSON.stringify(platform)} can't be a platform's name`]);
  });
});

test("who may not upload is refused at the job's name, before anything large is taken", async () => {
  await using lab = openLab();
  const bytes = await recordBytes({ files: [["bin/x", new Uint8Array(4_000_000)]] });
  let taken = 0;
  let isCancelled = false;
  const slow = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        controller.enqueue(bytes.subarray(taken, (taken += 100)));
      },
      cancel() {
        isCancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  const asked: string[] = [];
  const outcome = await lab.store.upload(slow, {
    mayUpload: (job) => {
      asked.push(job);
      return false;
    },
    uploadedBy: "mallory",
  });
  expect(outcome).toEqual({
    ok: false,
    refusal: { code: "not-permitted", message: "mallory may not upload builds of hello" },
  });
  expect(asked).toEqual(["hello"]);
  expect(taken).toBeLessThan(1000);
  expect(isCancelled).toBe(true);
  expect(rowCounts(lab.db)).toEqual(NOTHING);
});

describe("a UUID that is known", () => {
  test("is said before the files are taken, and changes nothing", async () => {
    await using lab = openLab();
    await upload(lab.store, await recordBytes());
    const before = rowCounts(lab.db);
    const again = await refused(lab, await recordBytes({ name: "other", files: [["bin/x", "y"]] }));
    expect(again).toMatchObject({ code: "exists", existing: { id: SAMPLE.uuid, job: "hello" } });
    expect(rowCounts(lab.db)).toEqual(before);
    expect(lab.store.jobs().map(String)).toEqual(["hello"]);
  });

  test("is taken once, when it comes twice at a time", async () => {
    await using lab = openLab();
    const [one, two] = [
      await recordBytes(),
      await recordBytes({ files: [["bin/x", new Uint8Array(500_000)]] }),
    ];
    const outcomes = await Promise.all([one, two, one, two].map((bytes) => upload(lab.store, bytes)));
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1);
    for (const outcome of outcomes) {
      if (!outcome.ok) expect(outcome.refusal).toMatchObject({ code: "exists", existing: { job: "hello" } });
    }
    expect(rowCounts(lab.db)).toMatchObject({ job: 1, build: 1 });
  });
});

describe("what is too large is refused, and said how", () => {
  const cases: [string, Partial<RecordLimits>, Partial<SampleRecord>, string][] = [
    ["a record", { total: 200 }, {}, "a record of"],
    ["a script", { script: 10 }, { script: utf8("x".repeat(100)) }, "the script of"],
    ["a console", { console: 10 }, { console: [{ delta: 0n, text: utf8("x".repeat(100)) }] }, "a console of"],
    [
      "a line",
      { line: 10 },
      { console: [{ delta: 0n, text: utf8("x".repeat(100)) }] },
      "a line of the console",
    ],
    ["files", { files: 2 }, {}, "more than 2 files"],
  ];
  test.each(cases)("%s", async (_, limits, sample, message) => {
    await using lab = openLab({ limits });
    const refusal = await refused(lab, await recordBytes(sample));
    expect(refusal).toEqual({ code: "too-large", message: expect.stringContaining(message) });
    expect(rowCounts(lab.db)).toEqual(NOTHING);
  });

  test("tiny files in great number, before all of them are taken", async () => {
    await using lab = openLab({ limits: { files: 1000 } });
    const bytes = await recordBytes({
      files: Array.from({ length: 100_000 }, (_, i) => [`f${i}`, "x"] as const),
    });
    let taken = 0;
    const slow = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          controller.enqueue(bytes.subarray(taken, (taken += 1000)));
        },
      },
      { highWaterMark: 0 },
    );
    const outcome = await lab.store.upload(slow, { mayUpload: () => true, uploadedBy: "tester" });
    expect(outcome).toMatchObject({ ok: false, refusal: { code: "too-large" } });
    expect(taken).toBeLessThan(bytes.length / 50);
    expect(rowCounts(lab.db)).toEqual(NOTHING);
  });
});
