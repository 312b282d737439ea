/** The record with a number: its files share much with those before it, as builds of a day and the next do. */
import { SAMPLE, recordBytes, utf8 } from "./lab.ts";

export function crashId(number: number): string {
  return `11111111-0000-4000-8000-${number.toString(16).padStart(12, "0")}`;
}

export function crashRecord(number: number): Promise<Uint8Array> {
  const binary = new Uint8Array(300_000).map((_, i) => (i * 7919) >> 5);
  new DataView(binary.buffer).setUint32(150_000, number);
  return recordBytes({
    uuid: crashId(number),
    name: `job-${number % 3}`,
    startedAt: SAMPLE.startedAt + number * 1000,
    finishedAt: SAMPLE.finishedAt + number * 1000,
    console: Array.from({ length: 50 }, (_, i) => ({
      delta: BigInt(i),
      text: utf8(`line ${i} of ${number}`),
    })),
    files: [
      ["bin/hello.hvt", binary],
      ["opam-switch", 'opam-version: "2.0"\ninstalled: ["x509.0.10.0" "hello.1"]\n'],
      ["build-environment", "OS=linux"],
      ["system-packages", `number=${number}\n`],
      ["hello.build-hashes", String(number)],
    ],
  });
}
