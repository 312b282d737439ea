/** The unikernel that is built in. The one for spt: it needs no more than a Linux kernel. */
import { sampleBase64 } from "./embed-sample.ts" with { type: "macro" };

const SAMPLE = sampleBase64("spt");

export function sampleImage(): Uint8Array {
  return Uint8Array.fromBase64(SAMPLE);
}
