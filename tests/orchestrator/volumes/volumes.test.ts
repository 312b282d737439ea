import { lacks } from "../../needs.ts";
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  closeSync,
  openSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { identityOf, openLocked } from "../../../src/linux/file-lock.ts";
import { O_RDONLY, O_RDWR } from "../../../src/linux/libc.ts";
import { exportVolume } from "../../../src/orchestrator/volumes/export.ts";
import { findVolume } from "../../../src/orchestrator/volumes/inventory.ts";
import { openSource } from "../../../src/orchestrator/volumes/source.ts";
import {
  checkSize,
  createVolume,
  fillVolume,
  planResize,
  removeVolume,
  resizeVolume,
  snapshotVolume,
} from "../../../src/orchestrator/volumes/volumes.ts";
import { MIB, TestRoom, failure, noise } from "./room.ts";

setDefaultTimeout(120_000);

const isRoot = process.getuid?.() === 0;
const empty = (room: TestRoom, name: string, size = MIB) =>
  createVolume(room, name, { size, source: undefined, now: 1 });

/** A volume with this content, by a file. */
async function made(room: TestRoom, name: string, content: Uint8Array, size?: number) {
  writeFileSync(room.path("content"), content);
  return createVolume(room, name, { size, source: openSource(room.path("content")), now: 1 });
}

describe("create", () => {
  test("makes a sparse file for the owner only, and records it", async () => {
    using room = new TestRoom();
    const volume = await createVolume(room, "data", { size: 64 * MIB, source: undefined, now: 1234 });
    expect(volume).toMatchObject({
      name: "data",
      state: "ok",
      size: 64 * MIB,
      allocated: 0,
      createdAt: 1234,
    });
    expect(volume.origin).toBe("empty");
    expect(statSync(volume.path).mode & 0o777).toBe(0o600);
    expect(statSync(room.volumes).mode & 0o777).toBe(0o700);
    expect(room.files()).toEqual(["data.img"]);
  });

  test("takes a file as it is, zeros behind it, or as large as the file, in whole sectors", async () => {
    using room = new TestRoom();
    await made(room, "larger", noise(1000), MIB);
    expect(room.content("larger").equals(Buffer.concat([noise(1000), Buffer.alloc(MIB - 1000)]))).toBe(true);
    await made(room, "same", noise(1000));
    expect(room.content("same").equals(Buffer.concat([noise(1000), Buffer.alloc(24)]))).toBe(true);
  });

  test("unpacks zstd and gzip where the file's name says so, or when told", async () => {
    using room = new TestRoom();
    const content = noise(3 * MIB);
    for (const [file, packed] of [
      ["a.zst", zstdCompressSync(content)],
      ["b.tgz", gzipSync(content)],
    ] as const) {
      writeFileSync(room.path(file), packed);
      const name = file.slice(0, 1);
      await createVolume(room, name, { size: undefined, source: openSource(room.path(file)), now: 1 });
      expect(room.content(name).equals(content)).toBe(true);
    }
    const kept = openSource(room.path("a.zst"), false);
    expect(kept.looksPacked).toBe("zstd");
    await createVolume(room, "kept", { size: 4 * MIB, source: kept, now: 1 });
    expect(room.content("kept").subarray(0, 4).toString("hex")).toBe("28b52ffd");
  });

  test("refuses what isn't a whole, damaged packed files included, and leaves nothing behind", async () => {
    using room = new TestRoom();
    const zstd = zstdCompressSync(noise(3 * MIB));
    const gzip = gzipSync(noise(3 * MIB));
    const flipped = Buffer.from(gzip);
    flipped[MIB] = ~flipped[MIB]!;
    const files = { "cut.zst": zstd.subarray(0, -3), "cut.gz": gzip.subarray(0, -3), "flipped.gz": flipped };
    for (const [file, bytes] of Object.entries({ ...files, "text.zst": Buffer.from("no zstd at all") })) {
      writeFileSync(room.path(file), bytes);
      const create = async () =>
        createVolume(room, "data", { size: undefined, source: openSource(room.path(file)), now: 1 });
      expect((await failure(create)).code).toBe("source");
    }
    writeFileSync(room.path("empty"), "");
    const none = { size: undefined, source: openSource(room.path("empty")), now: 1 };
    expect((await failure(() => createVolume(room, "data", none))).code).toBe("source");
    expect((await failure(() => openSource(room.dataDirectory))).hint).toContain("tar -cf -");
    expect((await failure(() => openSource(room.path("nowhere")))).code).toBe("missing");
    expect(room.files()).toEqual([]);
  });

  test("refuses a second one of that name, and a size that can't be", async () => {
    using room = new TestRoom();
    await empty(room, "data");
    expect((await failure(() => empty(room, "data", 2 * MIB))).code).toBe("exists");
    expect(room.content("data").length).toBe(MIB);
    for (const size of [0, -512, 511, 513, 2 ** 53, Number.NaN]) {
      expect((await failure(() => empty(room, "other", size))).code).toBe("bad-size");
    }
    expect((await failure(() => checkSize(1000))).hint).toBe("--size 1024B");
    const sizeless = { size: undefined, source: undefined, now: 1 };
    expect((await failure(() => createVolume(room, "other", sizeless))).code).toBe("bad-size");
    expect(room.files()).toEqual(["data.img"]);
  });

  test("refuses what is too large, before or while it comes", async () => {
    using room = new TestRoom();
    expect((await failure(() => made(room, "data", noise(MIB + 1), MIB))).hint).toBe(`--size ${MIB + 512}B`);
    writeFileSync(room.path("a.zst"), zstdCompressSync(Buffer.alloc(8 * MIB)));
    const bomb = { size: MIB, source: openSource(room.path("a.zst")), now: 1 };
    expect((await failure(() => createVolume(room, "data", bomb))).code).toBe("too-large");
    // The largest file of the file system is smaller than this.
    expect((await failure(() => empty(room, "data", 2 ** 52 - 512))).code).toBe("too-large");
    expect(room.files()).toEqual([]);
  });

  test("of several at once with one name, one is made", async () => {
    using room = new TestRoom();
    const all = await Promise.allSettled([1, 2, 3, 4].map((i) => empty(room, "data", i * MIB)));
    expect(all.filter(({ status }) => status === "fulfilled").length).toBe(1);
    expect(room.files()).toEqual(["data.img"]);
  });
});

describe("fill", () => {
  test("replaces all of the content, keeps the size, owner and mode, and gives the file a new identity", async () => {
    using room = new TestRoom();
    const { path } = await made(room, "data", noise(MIB));
    const before = identityOf(path);
    chmodSync(path, 0o640);
    if (isRoot) chownSync(path, 1234, 2345);
    writeFileSync(room.path("new"), noise(1000, 2));
    const volume = await fillVolume(room, "data", openSource(room.path("new")));
    expect(volume).toMatchObject({ size: MIB, origin: `file:${room.path("new")}`, createdAt: 1 });
    expect(room.content("data").equals(Buffer.concat([noise(1000, 2), Buffer.alloc(MIB - 1000)]))).toBe(true);
    const stat = statSync(path);
    expect(stat.mode & 0o777).toBe(0o640);
    if (isRoot) expect([stat.uid, stat.gid]).toEqual([1234, 2345]);
    expect(identityOf(path)).not.toBe(before!);
  });

  test("that fails leaves the old content and nothing else", async () => {
    using room = new TestRoom();
    await made(room, "data", noise(MIB));
    writeFileSync(room.path("large"), noise(MIB + 1, 2));
    writeFileSync(room.path("cut.zst"), zstdCompressSync(noise(MIB, 2)).subarray(0, -10));
    const fill = (file: string) => failure(() => fillVolume(room, "data", openSource(room.path(file))));
    const tooLarge = await fill("large");
    expect([tooLarge.code, tooLarge.hint]).toEqual(["too-large", `robur volume resize data ${MIB + 512}B`]);
    expect((await fill("cut.zst")).code).toBe("source");
    expect(room.content("data").equals(noise(MIB))).toBe(true);
    expect(room.files()).toEqual(["data.img"]);
  });

  test("can be called off", async () => {
    using room = new TestRoom();
    await made(room, "data", noise(MIB));
    writeFileSync(room.path("new.gz"), gzipSync(noise(MIB, 2)));
    const seen: (number | undefined)[] = [];
    const called = new AbortController();
    const onProgress = (done: number, total: number | undefined) => {
      seen.push(total);
      if (done > 300_000) called.abort();
    };
    const work = { onProgress, signal: called.signal };
    const fill = () => fillVolume(room, "data", openSource(room.path("new.gz")), work);
    expect((await failure(fill)).code).toBe("interrupted");
    expect(new Set(seen)).toEqual(new Set([statSync(room.path("new.gz")).size]));
    expect(room.content("data").equals(noise(MIB))).toBe(true);
    expect(room.files()).toEqual(["data.img"]);
  });

  test("removes what killed ones left, but not what is being written", async () => {
    using room = new TestRoom();
    await empty(room, "data");
    writeFileSync(join(room.volumes, ".data.img.new-0123456789abcdef"), "left behind");
    writeFileSync(join(room.volumes, ".other.img.new-fedcba9876543210"), "in the making");
    const busy = openLocked(join(room.volumes, ".other.img.new-fedcba9876543210"), O_RDWR, "exclusive");
    await fillVolume(room, "data", openSource("/dev/null"));
    expect(room.files()).toEqual([".other.img.new-fedcba9876543210", "data.img"]);
    closeSync(busy);
  });
});

describe("export", () => {
  const exported = async (room: TestRoom, target: string, packing?: "zstd" | "gzip") => {
    await exportVolume(room, "data", { target: room.path(target), packing });
    return readFileSync(room.path(target));
  };

  test("raw keeps the holes; packed is smaller; filling from either gives the volume again", async () => {
    using room = new TestRoom();
    const content = Buffer.concat([noise(100_000), Buffer.alloc(20 * MIB - 100_000)]);
    await made(room, "data", content);
    expect((await exported(room, "data.raw")).equals(content)).toBe(true);
    expect(statSync(room.path("data.raw")).blocks * 512).toBeLessThan(200_000);
    for (const [target, packing] of [
      ["data.zst", "zstd"],
      ["data.gz", "gzip"],
    ] as const) {
      expect((await exported(room, target, packing)).length).toBeLessThan(300_000);
      await fillVolume(room, "data", openSource("/dev/null"));
      await fillVolume(room, "data", openSource(room.path(target)));
      expect(room.content("data").equals(content)).toBe(true);
    }
  });

  test("other programs unpack it", async () => {
    using room = new TestRoom();
    await made(room, "data", noise(MIB));
    for (const [target, packing, program] of [
      ["a.zst", "zstd", "zstd"],
      ["a.gz", "gzip", "gzip"],
    ] as const) {
      await exported(room, target, packing);
      if (Bun.which(program) === null) continue;
      const { stdout } = Bun.spawnSync([program, "-dc", room.path(target)]);
      expect(stdout.equals(noise(MIB))).toBe(true);
    }
  });

  test("a flipped bit in an export is found when it is unpacked", async () => {
    using room = new TestRoom();
    await made(room, "data", noise(MIB));
    const bytes = await exported(room, "a.zst", "zstd");
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(room.path("a.zst"), bytes);
    expect((await failure(() => fillVolume(room, "data", openSource(room.path("a.zst"))))).code).toBe(
      "source",
    );
  });

  test("goes into a device or a pipe without replacing it, and not into a directory or nowhere", async () => {
    using room = new TestRoom();
    await empty(room, "data");
    await exportVolume(room, "data", { target: "/dev/null", packing: undefined });
    expect(statSync("/dev/null").isCharacterDevice()).toBe(true);
    const into = (target: string) =>
      failure(() => exportVolume(room, "data", { target: room.path(target), packing: undefined }));
    expect((await into("volumes")).code).toBe("target");
    expect((await into("no/where")).message).toContain("its directory doesn't exist");
  });
});

describe("resize", () => {
  test("adds zeros at the end, and cuts off only when it may", async () => {
    using room = new TestRoom();
    await made(room, "data", noise(MIB));
    expect((await planResize(room, "data", 2 * MIB)).losesData).toBe(false);
    expect(await resizeVolume(room, "data", 2 * MIB)).toMatchObject({ size: 2 * MIB });
    expect(room.content("data").equals(Buffer.concat([noise(MIB), Buffer.alloc(MIB)]))).toBe(true);

    expect((await planResize(room, "data", MIB)).losesData).toBe(false);
    expect((await planResize(room, "data", MIB - 512)).losesData).toBe(true);
    expect((await failure(() => resizeVolume(room, "data", MIB))).code).toBe("would-lose-data");
    expect(room.content("data").length).toBe(2 * MIB);
    await resizeVolume(room, "data", MIB / 2, { mayShrink: true });
    expect(room.content("data").equals(noise(MIB).subarray(0, MIB / 2))).toBe(true);
    expect(room.db.query("SELECT size FROM volume").get()).toEqual({ size: MIB / 2 });
  });
});

describe("snapshot", () => {
  test("is a volume of its own, with the holes of the first", async () => {
    using room = new TestRoom();
    const content = Buffer.concat([noise(5000), Buffer.alloc(30 * MIB), noise(7000, 2)]);
    await made(room, "data", content, 40 * MIB);
    const copy = await snapshotVolume(room, "data", "copy", 99);
    expect(copy).toMatchObject({ size: 40 * MIB, origin: "volume:data", createdAt: 99 });
    expect(copy.allocated).toBeLessThan(200_000);
    await fillVolume(room, "data", openSource("/dev/null"));
    expect(room.content("copy").subarray(0, content.length).equals(content)).toBe(true);
    expect((await failure(() => snapshotVolume(room, "data", "copy", 1))).code).toBe("exists");
  });
});

describe("a volume in use", () => {
  test("can't be changed, copied or removed, and the error names who has it", async () => {
    using room = new TestRoom();
    const { path } = await made(room, "data", noise(MIB));
    const fd = openLocked(path, O_RDWR, "exclusive");
    const child = Bun.spawn(["sleep", "1000"], { stdio: ["ignore", "ignore", "ignore", fd] });
    closeSync(fd);
    try {
      const attempts = [
        () => fillVolume(room, "data", openSource("/dev/null")),
        () => resizeVolume(room, "data", 2 * MIB),
        () => planResize(room, "data", 512),
        () => snapshotVolume(room, "data", "copy", 1),
        () => exportVolume(room, "data", { target: room.path("out"), packing: undefined }),
        () => removeVolume(room, "data"),
        () => openSource(path),
      ];
      for (const attempt of attempts) {
        const error = await failure(attempt);
        expect(error.code).toBe("in-use");
        expect(error.why).toContain(`process ${child.pid} (sleep 1000)`);
      }
      expect(room.files()).toEqual(["data.img"]);
      expect(room.content("data").equals(noise(MIB))).toBe(true);
    } finally {
      child.kill();
      await child.exited;
    }
    await removeVolume(room, "data");
    expect((await failure(() => findVolume(room, "data"))).code).toBe("missing");
  });

  test("by readers only can be copied, but not changed", async () => {
    using room = new TestRoom();
    const { path } = await made(room, "data", noise(MIB));
    const fd = openLocked(path, O_RDONLY, "shared");
    await snapshotVolume(room, "data", "copy", 1);
    expect(room.content("copy").equals(noise(MIB))).toBe(true);
    expect((await failure(() => fillVolume(room, "data", openSource("/dev/null")))).code).toBe("in-use");
    closeSync(fd);
  });

  test("isn't lost to one who opened the old file before it was filled", async () => {
    using room = new TestRoom();
    const { path } = await empty(room, "data");
    const before = openSync(path, "r+");
    await fillVolume(room, "data", openSource("/dev/null"));
    const fd = openLocked(path, O_RDWR, "exclusive");
    expect(identityOf(fd)).toBe(identityOf(path)!);
    expect(identityOf(fd)).not.toBe(identityOf(before)!);
    closeSync(before);
    closeSync(fd);
  });
});

test.skipIf(lacks(isRoot ? "root may do everything" : undefined))(
  "a directory that isn't ours is told apart",
  async () => {
    using room = new TestRoom();
    await empty(room, "data");
    chmodSync(room.volumes, 0o500);
    expect((await failure(() => empty(room, "other"))).code).toBe("not-permitted");
    chmodSync(room.volumes, 0o700);
  },
);

test("a size that somebody else gave the file is the truth", async () => {
  using room = new TestRoom();
  const { path } = await empty(room, "data");
  truncateSync(path, 3 * MIB);
  expect(findVolume(room, "data").size).toBe(3 * MIB);
  await fillVolume(room, "data", openSource("/dev/null"));
  expect(room.db.query("SELECT size FROM volume").get()).toEqual({ size: 3 * MIB });
});
