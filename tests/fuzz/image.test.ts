// A slice of the image fuzzing that is the same in every run; by hand: bun tests/fuzz/image.ts [COUNT] [SEED].
import { expect, test } from "bun:test";
import { examine, fuzzImages, randomFrom, seeds } from "./image.ts";
import { codeOf, load } from "../image/image-model.ts";
import { bytesSource } from "../../src/image/source.ts";

test("every seed is sound for its own target", () => {
  const answers = seeds().map((bytes) =>
    (["hvt", "spt"] as const).map((target) => {
      expect(examine(bytes, target, 0x100_0000)).toBeUndefined();
      return codeOf(() => load(bytesSource(bytes), target, 0x100_0000));
    }),
  );
  for (const codes of answers) expect(codes).toContain("wrong-target");
  expect(answers.filter((codes) => codes.includes("accepted")).length).toBeGreaterThanOrEqual(
    process.arch === "x64" ? 8 : 6,
  );
});

test("the random numbers are the same for the same seed", () => {
  const random = randomFrom(1);
  expect(Array.from({ length: 5 }, () => random(1000))).toEqual([627, 2, 527, 981, 968]);
});

test("5,000 mutated images are refused or planned as the rules say", () => {
  const { outcomes, failures } = fuzzImages(5000, 20_261);
  expect(failures.map(({ index, wrong }) => `image ${index}: ${wrong}`)).toEqual([]);
  // The mutations reach every reader: each error turns up, and so do images that may start.
  const expected = `accepted not-elf unsupported-elf invalid-elf no-abi-note no-manifest invalid-note
    invalid-manifest not-a-unikernel wrong-machine wrong-target unsupported-abi-version invalid-segment
    too-little-memory`;
  expect(Object.keys(outcomes).sort()).toEqual(expected.split(/\s+/).sort());
});
