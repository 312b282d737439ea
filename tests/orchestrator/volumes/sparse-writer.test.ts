import { expect, setDefaultTimeout, test } from "bun:test";
import * as fc from "fast-check";
import { closeSync, ftruncateSync, openSync, readFileSync, statSync } from "node:fs";
import { dataRuns, writeSparse } from "../../../src/orchestrator/volumes/sparse-writer.ts";
import { holdsData } from "../../../src/orchestrator/volumes/copy-content.ts";
import { MIB, TestRoom, noise } from "./room.ts";

setDefaultTimeout(120_000);

/** Runs of zeros and of other bytes, as disk images are. */
const chunk = fc
  .array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 9000 })), { maxLength: 8 })
  .map((parts) =>
    Buffer.concat(parts.map(([zero, length]) => (zero ? Buffer.alloc(length) : noise(length)))),
  );

test("dataRuns() leaves out zeros only, whole blocks of them, and none that lies alone in a block", () => {
  fc.assert(
    fc.property(chunk, fc.nat({ max: 10_000 }), (bytes, offset) => {
      const rest = Buffer.from(bytes);
      let last = 0;
      for (const { start, end } of dataRuns(bytes, offset)) {
        expect(start).toBeGreaterThanOrEqual(last);
        expect(end).toBeGreaterThan(start);
        rest.fill(0, start, end);
        last = end;
      }
      expect(rest.every((byte) => byte === 0)).toBe(true);
      // Every whole block of zeros is left out.
      for (let block = (4096 - (offset % 4096)) % 4096; block + 4096 <= bytes.length; block += 4096) {
        if (!bytes.subarray(block, block + 4096).every((byte) => byte === 0)) continue;
        const written = dataRuns(bytes, offset).some(({ start, end }) => start < block + 4096 && end > block);
        expect(written).toBe(false);
      }
    }),
  );
});

test("a stream cut into any chunks is the same file, and its holes take no room", () => {
  using room = new TestRoom();
  const content = Buffer.concat([
    noise(5000),
    Buffer.alloc(8 * MIB),
    noise(70_000, 2),
    Buffer.alloc(3 * MIB),
  ]);
  let i = 0;
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: MIB }), { minLength: 1, maxLength: 5 }), (lengths) => {
      const path = room.path(`sparse-${i++}`);
      const fd = openSync(path, "w+");
      for (let offset = 0, k = 0; offset < content.length; k++) {
        const length = lengths[k % lengths.length]!;
        writeSparse(fd, content.subarray(offset, offset + length), offset);
        offset += length;
      }
      ftruncateSync(fd, content.length);
      expect(holdsData(fd, 0, content.length)).toBe(true);
      expect(holdsData(fd, 8192, 4 * MIB)).toBe(false);
      expect(holdsData(fd, content.length - 3 * MIB, content.length)).toBe(false);
      closeSync(fd);
      expect(readFileSync(path).equals(content)).toBe(true);
      expect(statSync(path).blocks * 512).toBeLessThan(300_000);
    }),
    { numRuns: 12, examples: [[[1000]], [[4096]], [[MIB]]] },
  );
});
