import { expect, test } from "bun:test";
import { decodeState, encodeState } from "../../../src/protocols/builder/state-file.ts";
import { NEVER } from "../../../src/protocols/builder/times.ts";
import { DerError } from "../../../src/protocols/der/der-error.ts";

const hex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));

test("0.4.0's state is read and written again as it was", () => {
  const bytes =
    "3049a3253023181339393939313233313233353935392e3939395aa3020500a10830060c01680c0170" +
    "a41930170c0964656269616e2d3132300aa10830060c01680c0170a5050c036f6c64";
  const orb = { type: "orb", name: "h", opamPackage: "p" } as const;
  const state = decodeState(hex(bytes));
  expect(state).toEqual({
    schedule: [{ next: NEVER, period: "never", job: orb }],
    queues: [{ platform: "debian-12", jobs: [orb] }],
    dropped: ["old"],
  });
  expect(Buffer.from(encodeState(state)).toString("hex")).toBe(bytes);
});

test("0.1's state is read, and its queue dropped", () => {
  const state = decodeState(
    hex(
      "308184a01f301d0c0568656c6c6f0c1223212f62696e2f73680a6563686f2068690a3000a1343032170d3236303130323033303430355a" +
        "a1020500301d0c0568656c6c6f0c1223212f62696e2f73680a6563686f2068690a3000a20aa10830060c01680c0170a31f301d170d" +
        "3236303130323033303430355aa2020500a10830060c01680c0170",
    ),
  );
  const next = Date.UTC(2026, 0, 2, 3, 4, 5);
  expect(state).toEqual({
    schedule: [
      {
        next,
        period: "daily",
        job: { type: "script", name: "hello", script: "#!/bin/sh\necho hi\n", platform: "no-platform" },
      },
      { next, period: "weekly", job: { type: "orb", name: "h", opamPackage: "p" } },
    ],
    queues: [],
    dropped: [],
  });
});

test("anything else is refused", () => {
  for (const bytes of ["", "30", "3002a600", "300200", "3000ff", "3004a602 0500".replace(" ", "")]) {
    expect(() => decodeState(hex(bytes))).toThrow(DerError);
  }
});
