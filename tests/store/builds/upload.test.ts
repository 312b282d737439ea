import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ContentStore, Content, UploadOutcome, Build } from "../../../src/store/api.ts";
import { openLab, recordBack, recordBytes, rowCounts, SAMPLE, upload, utf8 } from "./lab.ts";

const vector = (name: string) => readFileSync(join(import.meta.dir, "../../vectors", name));

/** builder-web's reference document. */
const KNOWN = Buffer.from(
  "a081f93081f6301b0c0568656c6c6f0c05747275650a30000c0964656269616e2d31320c10084552148a9b413ab116a65353dc0743301d300c02" +
    "0459682f000c04646f6e65300d02040ee6b2800c05737461727430261813323032343039303431303131" +
    "31322e3132335a180f32303234303930343130313131345aa003020100307930150c0d62696e2f68656c6c6f2e6876740c047f454c463023" +
    "0c0b6f70616d2d7377697463680c146f70616d2d76657273696f6e3a2022322e30220a301d0c116275696c642d656e7669726f6e6d656e74" +
    "0c084f533d6c696e7578301c0c0f73797374656d2d7061636b616765730c097a6c69623d312e320a",
  "hex",
);

async function textOf(contents: ContentStore, content: Content): Promise<string> {
  return new TextDecoder().decode(await contents.bytes(content));
}

function taken(outcome: UploadOutcome): Build {
  if (!outcome.ok) throw new Error(`refused: ${outcome.refusal.message}`);
  return outcome.build;
}

describe("the reference document", () => {
  test("gives what builder-web makes of it", async () => {
    expect(new Bun.CryptoHasher("sha256").update(KNOWN).digest("hex")).toBe(
      "ffa49c5a57291237a99edf633422ce0ac1b0689e943685d12bc30c9e641f3115",
    );
    await using lab = openLab();
    const build = taken(await upload(lab.store, KNOWN, { worker: "w1" }));
    const hashes = Object.fromEntries(build.artifacts.map(({ path, sha256 }) => [path, String(sha256)]));
    expect(hashes).toEqual({
      "bin/hello.hvt": "3bdbb4fe8397cd2b842430b39ccff01a8663c751945ef5e9a09e267fb8b1d359",
      "opam-switch": "46eea2d7d1c174afb9bf12f9b4ea79a5cff857d02721c0fa7fc1851a1dc59e82",
      "build-environment": "2b949dcfa1d287e01717872f49d76c05040292ebb8e226a93c51079b8ee4d7e4",
      "system-packages": "fe72c530231b05dd791ee741105a3f572556cb8aac138ac4ce576ea1652eedaf",
    });
    expect(build).toMatchObject({
      id: "08455214-8a9b-413a-b116-a65353dc0743",
      job: "hello",
      platform: "debian-12",
      startedAt: Date.UTC(2024, 8, 4, 10, 11, 12, 123),
      finishedAt: Date.UTC(2024, 8, 4, 10, 11, 14),
      result: { kind: "exited", code: 0 },
      inputId: "7c92ce3766e1d47cd942cf310bc808ffba1a01705b66b810c4f629a91b49e10b",
      main: { path: "bin/hello.hvt", size: 4, isKept: true },
      solo5: undefined,
      uploadedBy: "tester",
      worker: "w1",
      receivedAt: Date.UTC(2026, 0, 1),
    });
    expect(build.artifacts[0]?.path).toBe("bin/hello.hvt");
    expect(await textOf(lab.contents, build.console)).toBe("0.250s:start\n1.500s:done\n");
    expect(await textOf(lab.contents, build.script)).toBe("true\n");
    expect(Buffer.compare(await recordBack(lab.store, build.id), KNOWN)).toBe(0);
    expect(lab.store.build(build.id)).toEqual(build);
    expect(lab.store.job(build.job)).toMatchObject({
      section: undefined,
      synopsis: undefined,
      platforms: ["debian-12"],
    });
  });

  test("comes as a stream of single bytes, too", async () => {
    await using lab = openLab();
    const slow = new ReadableStream<Uint8Array>({
      async start(controller) {
        for (const octet of KNOWN) controller.enqueue(Uint8Array.of(octet));
        controller.close();
      },
    });
    const build = taken(await lab.store.upload(slow, { mayUpload: () => true, uploadedBy: "tester" }));
    expect(Buffer.compare(await recordBack(lab.store, build.id), KNOWN)).toBe(0);
  });
});

test("what builder-server wrote is described by its switch, its notes and its README", async () => {
  await using lab = openLab();
  const full = vector("builder/files/full-hello.bin");
  const build = taken(await upload(lab.store, full));
  expect(build.solo5).toEqual({
    manifest: { type: "solo5.manifest", version: 1, devices: [] },
    abi: { type: "solo5.abi", target: "hvt", version: 2 },
  });
  expect(build.artifacts.map(({ path }) => path)).toEqual([
    "bin/hello.hvt",
    "build-environment",
    "hello.hvt.debug",
    "opam-switch",
    "system-packages",
  ]);
  const job = lab.store.job(build.job);
  expect(job).toMatchObject({ section: "Unikernels", synopsis: "A greeting unikernel" });
  expect(job?.readme).toStartWith("# Hello\n");
  expect(job?.description).toContain("Prints a greeting");
  expect(Buffer.compare(await recordBack(lab.store, build.id), full)).toBe(0);
  expect(rowCounts(lab.db)["switch_package"]).toBeGreaterThan(0);
  expect(lab.store.artifact(build.id, "README.md")).toBeUndefined();
  expect(lab.store.artifact(build.id, "bin/hello.hvt")?.content?.size).toBe(1224);
});

test("what a later upload says of its job counts, and what it doesn't say stays", async () => {
  await using lab = openLab();
  await upload(lab.store, await recordBytes({ files: [["README.md", "old"]] }));
  const next = "08455214-8a9b-413a-b116-a65353dc0744";
  const first = taken(await upload(lab.store, await recordBytes({ uuid: next, files: [] })));
  expect(lab.store.job(first.job)?.readme).toBe("old");
  const last = "08455214-8a9b-413a-b116-a65353dc0745";
  await upload(
    lab.store,
    await recordBytes({
      uuid: last,
      files: [
        ["doc/README.md", "deep"],
        ["README.md", "new"],
      ],
    }),
  );
  expect(lab.store.job(first.job)?.readme).toBe("new");
});

describe("files of every kind", () => {
  test("two that are equal, one that is empty, and none at all", async () => {
    await using lab = openLab();
    const twins = await recordBytes({
      files: [
        ["a", ""],
        ["b", ""],
        ["bin/c", "x"],
        ["d", "x"],
      ],
    });
    const build = taken(await upload(lab.store, twins));
    expect(build.artifacts.map(({ path }) => path)).toEqual(["bin/c", "a", "b", "d"]);
    expect(Buffer.compare(await recordBack(lab.store, build.id), twins)).toBe(0);
    const uuid = "08455214-8a9b-413a-b116-a65353dc0744";
    const none = taken(await upload(lab.store, await recordBytes({ uuid, files: [] })));
    expect(none).toMatchObject({ main: undefined, inputId: undefined, artifacts: [] });
  });

  test("several below bin/ are no main binary, one that is deep below is", async () => {
    await using lab = openLab();
    const two = taken(
      await upload(
        lab.store,
        await recordBytes({
          files: [
            ["bin/a", "1"],
            ["bin/b", "2"],
          ],
        }),
      ),
    );
    expect(two.main).toBeUndefined();
    const uuid = "08455214-8a9b-413a-b116-a65353dc0744";
    const deep = taken(
      await upload(
        lab.store,
        await recordBytes({
          uuid,
          files: [
            ["./bin//x/y", "1"],
            ["xbin/z", "2"],
          ],
        }),
      ),
    );
    expect(deep.main?.path).toBe("bin/x/y");
  });

  test("the record keeps what is no artifact, in its place", async () => {
    await using lab = openLab();
    const bytes = await recordBytes({
      files: [
        ["x.build-hashes", "h"],
        ["bin/a", "1"],
        ["doc/README.md", "# Deep"],
        ["z", "2"],
      ],
    });
    const build = taken(await upload(lab.store, bytes));
    expect(build.artifacts.map(({ path }) => path)).toEqual(["bin/a", "z"]);
    expect(lab.store.job(build.job)?.readme).toBe("# Deep");
    expect(Buffer.compare(await recordBack(lab.store, build.id), bytes)).toBe(0);
  });

  test("a main binary that only looks like a unikernel has no notes", async () => {
    await using lab = openLab();
    const elf = readFileSync("/proc/self/exe").subarray(0, 300_000);
    const build = taken(await upload(lab.store, await recordBytes({ files: [["bin/x.hvt", elf]] })));
    expect(build.solo5).toBeUndefined();
    expect(build.main?.size).toBe(300_000);
  });
});

describe("the console", () => {
  test("keeps its bytes, and gives each line of an entry its time", async () => {
    await using lab = openLab();
    const console = [
      { delta: 0n, text: Uint8Array.of(0xff, 0x1b, 0) },
      { delta: 999_500_000n, text: utf8("two\nlines\n") },
      { delta: 2n ** 61n, text: new Uint8Array(0) },
    ];
    const bytes = await recordBytes({ console });
    const build = taken(await upload(lab.store, bytes));
    const kept = Buffer.from(await lab.contents.bytes(build.console)).toString("latin1");
    expect(kept).toBe(
      "0.000s:\xff\x1b\0\n0.999s:two\n0.999s:lines\n0.999s:\n2305843009.214s:\n".replaceAll(
        "0.999",
        (0.9995).toFixed(3),
      ),
    );
    expect(Buffer.compare(await recordBack(lab.store, build.id), bytes)).toBe(0);
  });

  test("that is larger than what fits in memory is turned around all the same", async () => {
    await using lab = openLab();
    const lines = 120_000;
    const text = "x".repeat(60);
    const console = Array.from({ length: lines }, (_, i) => ({
      delta: BigInt(i) * 1_000_000n,
      text: utf8(`${i} ${text}`),
    }));
    const bytes = await recordBytes({ console });
    expect(bytes.length).toBeGreaterThan(8_000_000);
    const build = taken(await upload(lab.store, bytes));
    const kept = await textOf(lab.contents, build.console);
    expect(kept).toBe(console.map((_, i) => `${(i / 1000).toFixed(3)}s:${i} ${text}\n`).join(""));
    expect(Buffer.compare(await recordBack(lab.store, build.id), bytes)).toBe(0);
  });
});

describe("a build that was made here", () => {
  test("is the same as one that was uploaded", async () => {
    await using made = openLab();
    await using session = made.contents.session();
    const files = await Promise.all(
      SAMPLE.files.map(async ([path, text]) => ({ path, content: await session.put(utf8(text as string)) })),
    );
    const { name, uuid, ...fields } = SAMPLE;
    const build = taken(
      await made.store.add({
        ...(fields as object as Build),
        script: SAMPLE.script,
        console: SAMPLE.console,
        id: uuid as Build["id"],
        job: name as Build["job"],
        files,
        uploadedBy: "tester",
        worker: undefined,
      }),
    );
    await using uploaded = openLab();
    const other = taken(await upload(uploaded.store, await recordBytes()));
    const sizes = ({ script, console, ...rest }: Build) => ({
      ...rest,
      hashes: [script.sha256, console.sha256],
    });
    expect(sizes(build)).toEqual(sizes(other));
    expect(await recordBack(made.store, uuid)).toEqual(await recordBytes());
  });

  test("may have a long console that comes slowly", async () => {
    await using lab = openLab();
    const slow = async function* () {
      for (let i = 0; i < 100_000; i++) {
        if (i % 10_000 === 0) await Bun.sleep(1);
        yield { delta: BigInt(i), text: utf8(`line ${i} ${"y".repeat(60)}`) };
      }
    };
    const outcome = await lab.store.add({
      id: SAMPLE.uuid as Build["id"],
      job: "hello" as Build["job"],
      platform: "debian-12" as Build["platform"],
      script: SAMPLE.script,
      startedAt: 0,
      finishedAt: 1,
      result: { kind: "message", text: "timeout" },
      console: slow(),
      files: [],
      uploadedBy: "robur",
    });
    const build = taken(outcome);
    await using other = openLab();
    const again = taken(await upload(other.store, await recordBack(lab.store, build.id)));
    expect(again.console.sha256).toBe(build.console.sha256);
    expect(again.result).toEqual({ kind: "message", text: "timeout" });
  });

  test("has paths like any other", async () => {
    await using lab = openLab();
    await using session = lab.contents.session();
    const content = await session.put(utf8("x"));
    const outcome = await lab.store.add({
      id: SAMPLE.uuid as Build["id"],
      job: "hello" as Build["job"],
      platform: "debian-12" as Build["platform"],
      script: SAMPLE.script,
      startedAt: 0,
      finishedAt: 1,
      result: { kind: "exited", code: 0 },
      console: [],
      files: [{ path: "../x", content }],
      uploadedBy: "robur",
    });
    expect(outcome).toMatchObject({ ok: false, refusal: { code: "bad-record" } });
    expect(rowCounts(lab.db)["build"]).toBe(0);
  });
});

test("a build is pinned, and removed, and a job with all its builds", async () => {
  await using lab = openLab();
  const build = taken(await upload(lab.store, KNOWN));
  expect(lab.store.pin(build.id, true)).toBe(true);
  expect(lab.store.build(build.id)?.isPinned).toBe(true);
  expect(lab.store.remove(build.id)).toBe(true);
  expect([lab.store.remove(build.id), lab.store.pin(build.id, false)]).toEqual([false, false]);
  expect([lab.store.build(build.id), lab.store.record(build.id)]).toEqual([undefined, undefined]);
  expect(rowCounts(lab.db)).toMatchObject({ job: 1, build: 0, artifact: 0, record_file: 0 });
  taken(await upload(lab.store, KNOWN));
  expect(lab.store.removeJob(build.job)).toBe(true);
  expect(lab.store.removeJob(build.job)).toBe(false);
  expect(rowCounts(lab.db)).toMatchObject({ job: 0, build: 0, artifact: 0, record_file: 0 });
});
