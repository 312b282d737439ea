/**
 * What a job that is built each day gives: an image and a debug file in which a part is another each time and what is
 * behind moves by a few bytes, the export of a switch with 150 packages, a console. The same for the same numbers.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { randomBytes } from "../store/bytes.ts";

const MIB = 1024 * 1024;

/** Bytes that compress as programs do: this runtime's own. */
export function machineCode(size: number): Uint8Array {
  const code = new Uint8Array(size);
  const descriptor = openSync(process.execPath, "r");
  for (let at = 0, from = 0, round = 0; at < size; round++) {
    const count = readSync(descriptor, code, at, Math.min(64 * MIB, size - at), from);
    // The second time it must be something new.
    if (round > 0) for (let i = at; i < at + count; i += 509) code[i] = (code[i]! + round) & 0xff;
    at += count;
    from = count === 0 ? 0 : from + count;
  }
  closeSync(descriptor);
  return code;
}

/** A contiguous part is another, a few bytes longer or shorter than what was there. */
export function changed(bytes: Uint8Array, day: number, part: number): Uint8Array {
  const length = Math.floor(bytes.length * part);
  const at = (day * 7_654_321) % (bytes.length - length);
  const fresh = machineCode(length + (day % 17) - 8);
  const noise = randomBytes(fresh.length, day);
  for (let i = 0; i < fresh.length; i += 16) fresh[i] = noise[i]!;
  return Buffer.concat([bytes.subarray(0, at), fresh, bytes.subarray(at + length)]);
}

export function switchExport(day: number): string {
  const packages = Array.from({ length: 150 }, (_, i) => {
    const version = `${1 + (i % 4)}.${i % 9}.${day % (i + 2) === 0 ? day : 0}`;
    return `package "package-${i}" {\n  opam-version: "2.0"\n  version: "${version}"\n  build: ["dune" "build" "-p" name]\n}\n`;
  });
  return `opam-version: "2.0"\n${packages.join("")}`;
}

export function consoleOf(day: number): string {
  return Array.from(
    { length: 2000 },
    (_, i) => `${i}.${(day * 37 + i) % 1000}s:compiling module ${i}\n`,
  ).join("");
}
