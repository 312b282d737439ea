/** Boots virtio guests in QEMU, as far as it is installed. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildGuest, compilerVersion } from "../../guests/build.ts";
import { lacks, needsCommands, needsNetwork } from "../../needs.ts";
import { NEARLY_ALL, Network } from "../../private-network.ts";
import { readBootable } from "../../../src/image/unikernel.ts";
import { bytesSource } from "../../../src/image/source.ts";

const needsGcc = compilerVersion() === undefined ? "gcc is missing, which builds the test guests" : undefined;
const cannotBuild = lacks(needsGcc);
const cannotRun = lacks(needsGcc, needsCommands("qemu-system-x86_64"));
const withoutNetwork = lacks(needsGcc, needsCommands("qemu-system-x86_64"), needsNetwork());
const FORM = join(import.meta.dir, "form.ts");
const directory = mkdtempSync(join(tmpdir(), "virtio-"));
afterAll(() => rmSync(directory, { recursive: true }));

function start(words: readonly string[], under: readonly string[] = [], path = process.env["PATH"]) {
  return Bun.spawn([...under, process.execPath, FORM, ...words], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, PATH: path },
  });
}

async function run(words: readonly string[], under: readonly string[] = [], path?: string) {
  const child = start(words, under, path);
  const [output, errors, status] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { status, output: output.replaceAll("\r", ""), errors };
}

describe.skipIf(cannotRun)("a virtio guest in QEMU", () => {
  const SUCCESS = { status: 0, output: expect.stringContaining("SUCCESS"), errors: "" };

  test.each(["globals", "tls", "fpu"])("passes %s", async (name) => {
    expect(await run(["--mem=64", await buildGuest(name, "virtio")])).toEqual(SUCCESS);
  });

  test("gets its command line, commas and all", async () => {
    const image = await buildGuest("hello", "virtio");
    expect(await run(["--mem=64", image, "Hello_Solo5"])).toEqual(SUCCESS);
    const { output } = await run(["--mem=64", image, "a,b,,c"]);
    expect(output).toContain("a,b,,c\n");
  });

  test("tells the time and sleeps", async () => {
    expect(await run(["--mem=64", await buildGuest("time", "virtio"), "sleeps=1"])).toEqual(SUCCESS);
  });

  test("can be quiet", async () => {
    const { status, output } = await run(["--mem=64", await buildGuest("quiet", "virtio"), "--solo5:quiet"]);
    expect([status, output]).toEqual([0, expect.stringContaining("SUCCESS")]);
    expect(output).not.toContain("Solo5:");
  });

  test("uses its block device, whatever its file is called", async () => {
    const path = join(directory, "storage, format=qcow2.img");
    writeFileSync(path, "");
    truncateSync(path, 4 * 1024 * 1024);
    const image = await buildGuest("blk", "virtio");
    expect(await run(["--mem=64", `--block:storage=${path}`, image])).toEqual(SUCCESS);
    expect(readFileSync(path).some((byte) => byte !== 0)).toBe(true);
    const { status, errors } = await run([
      `--block:storage=${path}`,
      "--block-sector-size:storage=4096",
      image,
    ]);
    expect([status, errors]).toEqual([1, expect.stringContaining("sectors of 512 bytes only")]);
  });

  test("is refused for want of a device as everywhere", async () => {
    const { status, errors } = await run([await buildGuest("blk", "virtio")]);
    expect([status, errors]).toEqual([1, expect.stringContaining("must be attached")]);
  });

  test.skipIf(withoutNetwork)("answers pings on a tap", async () => {
    await using network = await Network.create();
    network.addTap("tap0", { address: "10.0.0.1/24" });
    const image = await buildGuest("net", "virtio");
    const guest = start(["--mem=64", "--net:service0=tap0", image], network.inside);
    try {
      // Asks every second until the guest is there to answer.
      network.must("ping", "-q", "-c", "1", "-w", "60", "10.0.0.2");
      expect(await network.ping("10.0.0.2", 1000)).toBeGreaterThanOrEqual(1000 * NEARLY_ALL);
    } finally {
      guest.kill();
      await guest.exited;
    }
  });

  test.skipIf(withoutNetwork)("is told its interface's MTU", async () => {
    await using network = await Network.create();
    network.addTap("tap0", { mtu: 9000 });
    const image = await buildGuest("net_mtu", "virtio");
    const { output } = await run(["--mem=64", "--net:service0=tap0", image], network.inside);
    expect(output).toContain("MTU is 9000");
  });
});

describe.skipIf(cannotBuild)("a virtio image", () => {
  test("is refused with the name of the package when QEMU is not installed", async () => {
    const { status, errors } = await run([await buildGuest("hello", "virtio")], [], directory);
    expect([status, errors]).toEqual([
      1,
      expect.stringContaining("qemu-system-x86_64, which is not installed"),
    ]);
  });

  test("is known by its note, or by its multiboot header where it has none", async () => {
    const read = (bytes: Uint8Array) => readBootable(bytesSource(bytes));
    const virtio = readFileSync(await buildGuest("blk", "virtio"));
    expect(read(virtio).manifest.entries.map(({ name }) => name)).toEqual(["", "storage"]);
    expect(read(readFileSync(await buildGuest("blk", "spt"))).abi.target).toBe("spt");
    // The notes' owner spoilt, so that none is found.
    for (let at = virtio.indexOf("Solo5\0"); at >= 0; at = virtio.indexOf("Solo5\0", at))
      virtio.write("Other", at);
    expect(read(virtio)).toMatchObject({ abi: { target: "virtio" }, manifest: { entries: [] } });
    expect(() => read(new Uint8Array(64))).toThrow("not an ELF file");
  });
});
