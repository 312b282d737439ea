/** Runs while the program is built (a macro of the bundler): the sample's bytes as text. */
import { readFileSync } from "node:fs";

/** The sample for a target, in base64. */
export function sampleBase64(target: "hvt" | "spt"): string {
  return readFileSync(new URL(`../../../assets/hello/hello.${target}`, import.meta.url)).toString("base64");
}
