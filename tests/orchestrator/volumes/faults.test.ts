/** Full disks, kill -9, and file systems that share blocks. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, ftruncateSync, openSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createVolume, fillVolume } from "../../../src/orchestrator/volumes/volumes.ts";
import { openSource } from "../../../src/orchestrator/volumes/source.ts";
import { MIB, PROJECT, TestRoom, noise, until } from "./room.ts";

setDefaultTimeout(120_000);

const canMount =
  process.getuid?.() === 0 &&
  Bun.spawnSync(["unshare", "-m", "sh", "-c", "mount -t tmpfs none /mnt"]).exitCode === 0;
if (!canMount) console.warn("skipped: full disks and shared blocks (needs root and mount namespaces)");

const IMPORTS = ["db/open.ts", "orchestrator/volumes/volumes.ts", "orchestrator/volumes/source.ts"]
  .map((path) => `...await import(${JSON.stringify(join(PROJECT, "src", path))})`)
  .join(", ");

/** The beginning of a program that has a room in the directory that it is given, and everything to work with. */
const PROGRAM = `
  const { openDatabase, createVolume, fillVolume, resizeVolume, snapshotVolume, openSource } = { ${IMPORTS} };
  const { readdirSync, readFileSync, statSync, writeFileSync } = await import("node:fs");
  const dataDirectory = process.argv[1];
  const room = { db: openDatabase(dataDirectory + "/robur.db"), dataDirectory };
  const sha256 = (path) => new Bun.CryptoHasher("sha256").update(readFileSync(path)).digest("hex").slice(0, 8);
  const attempt = async (action) => { try { await action(); return "done"; } catch (error) { return error.code; } };
  const volumes = dataDirectory + "/volumes/";
`;

/** Runs a program in a mount namespace of its own; `mount` mounts something on "$1". What it printed. */
function inMount(room: TestRoom, mount: string, program: string): string {
  const script = `set -e; ${mount}; exec "$2" -e "$3" "$1"`;
  const args = [
    "unshare",
    "-m",
    "sh",
    "-c",
    script,
    "sh",
    room.path("mnt"),
    process.execPath,
    PROGRAM + program,
  ];
  Bun.spawnSync(["mkdir", room.path("mnt")]);
  const { stdout, stderr } = Bun.spawnSync(args, { env: { ...process.env, IMAGE: room.path("disk.img") } });
  return stdout.toString() + stderr.toString();
}

test.skipIf(!canMount)(
  "a full disk ends create, fill and snapshot with an error, and nothing is half done",
  () => {
    using room = new TestRoom();
    writeFileSync(room.path("large"), noise(20 * MIB));
    const printed = inMount(
      room,
      `mount -t tmpfs -o size=16m none "$1"`,
      `
    const large = ${JSON.stringify(room.path("large"))};
    const make = (name) => () => createVolume(room, name, { size: 32 << 20, source: openSource(large), now: 1 });
    console.log(await attempt(make("data")), readdirSync(volumes));
    writeFileSync(dataDirectory + "/small", readFileSync(large).subarray(0, 6 << 20));
    await createVolume(room, "data", { size: 32 << 20, source: openSource(dataDirectory + "/small"), now: 1 });
    const before = sha256(volumes + "data.img");
    console.log(await attempt(() => fillVolume(room, "data", openSource(large))));
    console.log(await attempt(() => snapshotVolume(room, "data", "copy", 1)));
    console.log(readdirSync(volumes), sha256(volumes + "data.img") === before);
    `,
    );
    expect(printed).toBe(`disk-full []\ndisk-full\ndisk-full\n[ "data.img" ] true\n`);
  },
);

for (const [fileSystem, size] of [
  ["btrfs", 200],
  ["xfs", 320],
] as const) {
  const skip = !canMount || Bun.which(`mkfs.${fileSystem}`) === null;
  if (skip) console.warn(`skipped: shared blocks on ${fileSystem} (needs root and mkfs.${fileSystem})`);
  test.skipIf(skip)(
    `on ${fileSystem} snapshots and copies share their blocks, and part when one is changed`,
    () => {
      using room = new TestRoom();
      const disk = openSync(room.path("disk.img"), "w");
      ftruncateSync(disk, size * MIB);
      closeSync(disk);
      writeFileSync(room.path("content"), noise(60 * MIB));
      const printed = inMount(
        room,
        `mkfs.${fileSystem} -q "$IMAGE" >/dev/null && mount -o loop "$IMAGE" "$1"`,
        `
      const free = () => { const { bfree, bsize } = require("node:fs").statfsSync(dataDirectory); return bfree * bsize; };
      writeFileSync(dataDirectory + "/content", readFileSync(${JSON.stringify(room.path("content"))}));
      require("node:child_process").spawnSync("sync", ["-f", dataDirectory]);
      const before = free();
      await createVolume(room, "data", { size: 64 << 20, source: openSource(dataDirectory + "/content"), now: 1 });
      await snapshotVolume(room, "data", "copy", 1);
      await snapshotVolume(room, "copy", "third", 1);
      require("node:child_process").spawnSync("sync", ["-f", dataDirectory]);
      console.log(before - free() < 20e6);
      console.log(statSync(volumes + "third.img").size, sha256(volumes + "data.img") === sha256(volumes + "third.img"));
      const kept = sha256(volumes + "third.img");
      writeFileSync(dataDirectory + "/other", "changed");
      await fillVolume(room, "data", openSource(dataDirectory + "/other"));
      await resizeVolume(room, "copy", 1 << 20, { mayShrink: true });
      console.log(sha256(volumes + "third.img") === kept, readFileSync(volumes + "data.img").toString("latin1", 0, 7));
      `,
      );
      expect(printed).toBe(`true\n${64 * MIB} true\ntrue changed\n`);
    },
    120_000,
  );
}

test("kill -9 in the middle of fill leaves the old content, and the next fill removes what was left", async () => {
  using room = new TestRoom();
  const old = noise(2 * MIB);
  writeFileSync(room.path("old"), old);
  await createVolume(room, "data", { size: 8 * MIB, source: openSource(room.path("old")), now: 1 });
  const program = `${PROGRAM} await fillVolume(room, "data", openSource("-"));`;
  const child = Bun.spawn([process.execPath, "-e", program, room.dataDirectory], { stdin: "pipe" });
  child.stdin.write(noise(3 * MIB, 2));
  await child.stdin.flush();
  // It waits for more now, with most of that on the disk.
  const unfinished = () => room.files().find((name) => name.startsWith(".data.img.new-"));
  await until(() => {
    const name = unfinished();
    return name !== undefined && statSync(join(room.volumes, name)).size > 2 * MIB;
  });
  child.kill("SIGKILL");
  await child.exited;
  expect(room.content("data").subarray(0, old.length).equals(old)).toBe(true);
  expect(unfinished()).toBeDefined();

  await fillVolume(room, "data", openSource("/dev/null"));
  expect(room.files()).toEqual(["data.img"]);
});

test("kill -9 at any moment of filling leaves the old or the new content, whole", async () => {
  using room = new TestRoom();
  for (const [name, seed] of [
    ["a", 1],
    ["b", 2],
  ] as const)
    writeFileSync(room.path(name), noise(4 * MIB, seed));
  await createVolume(room, "data", { size: 4 * MIB, source: openSource(room.path("a")), now: 1 });
  const program = `${PROGRAM}
    console.log("ready");
    for (;;) for (const name of ["b", "a"]) await fillVolume(room, "data", openSource(dataDirectory + "/" + name));`;
  const wholes = [noise(4 * MIB, 1), noise(4 * MIB, 2)];
  for (let i = 0; i < 8; i++) {
    const child = Bun.spawn([process.execPath, "-e", program, room.dataDirectory], { stdout: "pipe" });
    for await (const _ of child.stdout) break;
    // Any moment will do.
    await Bun.sleep(5 + 3 * i);
    child.kill("SIGKILL");
    await child.exited;
    const content = readFileSync(join(room.volumes, "data.img"));
    expect(wholes.some((whole) => whole.equals(content))).toBe(true);
  }
});
