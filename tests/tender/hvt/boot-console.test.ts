// A guest's console: all of it arrives, in order, whatever stands at the other end.
import { describe, expect, test } from "bun:test";
import { closeSync, constants, existsSync, openSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildGuest, compilerVersion } from "../../guests/build.ts";
import { lacks, needsCommands, needsKvm } from "../../needs.ts";
import { command, environment, temporaryDirectory } from "../../robur.ts";
import { type Tender, TENDERS, boot, bootArguments } from "./guest.ts";

const NO_GCC = compilerVersion() === undefined ? needsCommands("gcc") : undefined;
const skip = lacks(needsKvm(), NO_GCC);

const scratch = temporaryDirectory();
let count = 0;

/** Starts the guest flood with a descriptor as its standard output. */
async function flood(tender: Tender, stdout: number, lines: number, width: number) {
  const image = await buildGuest("flood", "hvt");
  const as = tender === "solo5-hvt" ? "solo5-hvt" : "robur";
  const args = bootArguments(tender, image, { args: [`lines=${lines}`, `width=${width}`] });
  return Bun.spawn(await command(args, { as }), { stdio: ["ignore", stdout, "pipe"], env: environment() });
}

/** The line that flood prints as its n-th. */
function line(number: number, width: number): Buffer {
  const letters = Buffer.from(Array.from({ length: width }, (_, i) => 97 + (i % 26)));
  letters.write(String(number).padStart(10, "0"));
  return Buffer.concat([letters, Buffer.from("\n")]);
}

function fifo(): string {
  const path = join(scratch, `fifo${count++}`);
  Bun.spawnSync(["mkfifo", path]);
  return path;
}

/** Reads a pipe to its end, now and then leaving it full for a while. */
async function readSlowly(fd: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let i = 0; ; i++) {
    const piece = Buffer.alloc(40_000);
    let size: number;
    try {
      size = readSync(fd, piece);
    } catch (error) {
      if ((error as { code?: string }).code !== "EAGAIN") throw error;
      await Bun.sleep(1);
      continue;
    }
    if (size === 0) return Buffer.concat(pieces);
    pieces.push(piece.subarray(0, size));
    if (i % 16 === 0) await Bun.sleep(5);
  }
}

for (const tender of TENDERS) {
  describe.skipIf(skip)(`${tender}, the console`, () => {
    for (const [what, flags] of [
      ["a pipe with a slow reader", 0],
      ["a pipe that is O_NONBLOCK", constants.O_NONBLOCK],
    ] as const) {
      test(`10 MB arrive whole and in order through ${what}`, async () => {
        const path = fifo();
        const lines = 200;
        const width = 52_428;
        const reading = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
        const writing = openSync(path, constants.O_WRONLY | flags);
        const child = await flood(tender, writing, lines, width);
        closeSync(writing);
        const bytes = await readSlowly(reading);
        closeSync(reading);
        expect(await child.exited).toBe(0);
        expect(bytes.length).toBe(lines * (width + 1));
        for (let i = 0; i < lines; i++) {
          const found = bytes.subarray(i * (width + 1), (i + 1) * (width + 1));
          if (!found.equals(line(i, width))) throw new Error(`line ${i} is damaged`);
        }
      });
    }

    test("20000 short lines arrive whole and in order", async () => {
      const { code, stdout } = await boot(tender, "flood", { args: ["lines=20000", "width=20"] });
      expect(code).toBe(0);
      const lines = stdout.split("\n");
      expect(lines).toHaveLength(20_001);
      expect(lines.every((text, i) => i === 20_000 || Number(text.slice(0, 10)) === i)).toBe(true);
    });

    test("a reader that goes away doesn't end the guest", async () => {
      const path = fifo();
      const reading = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      const writing = openSync(path, constants.O_WRONLY);
      const child = await flood(tender, writing, 500, 1000);
      closeSync(writing);
      closeSync(reading);
      expect(await child.exited).toBe(0);
      expect(await child.stderr.text()).toBe("");
    });

    test.skipIf(!existsSync("/dev/full"))("a disk that is full doesn't end the guest", async () => {
      const full = openSync("/dev/full", constants.O_WRONLY);
      const child = await flood(tender, full, 10, 1000);
      closeSync(full);
      expect(await child.exited).toBe(0);
    });

    test("a file gets everything", async () => {
      const path = join(scratch, `file${count++}`);
      writeFileSync(path, "before\n");
      const file = openSync(path, constants.O_WRONLY | constants.O_APPEND);
      const child = await flood(tender, file, 1000, 100);
      closeSync(file);
      expect(await child.exited).toBe(0);
      const text = readFileSync(path, "utf8");
      expect(text).toStartWith("before\n0000000000");
      expect(text.length).toBe(7 + 1000 * 101);
    });

    test("with standard output closed, nothing of it ends up on a device", async () => {
      const storage = join(scratch, `disk${count++}`);
      writeFileSync(storage, new Uint8Array(4096));
      const closed = ["sh", "-c", 'exec "$0" "$@" >&- 2>&- <&-'];
      const { code } = await boot(tender, "blkraw", { blocks: { storage }, under: closed });
      expect(code).toBe(0);
      expect(readFileSync(storage).every((byte) => byte === 0)).toBe(true);
    });

    test("bytes of any value go through", async () => {
      // The image's own header and page tables are not the guest's, but its code is readable.
      const { code, stdout } = await boot(tender, "hostile", {
        args: ["op=puts", "data=text", "len=256"],
        under: ["sh", "-c", '"$0" "$@" | od -An -v -tx1 | tr -d " \\n"'],
      });
      expect(code).toBe(0);
      const image = readFileSync(await buildGuest("hostile", "hvt"));
      const said = Buffer.from(stdout, "hex");
      const at = said.indexOf("\n") + 1;
      expect(image.indexOf(said.subarray(at, at + 256))).toBeGreaterThan(0);
    });
  });
}
