import { openDevices, planDevices } from "../../../src/tender/attach.ts";
import { openImage } from "../../../src/tender/image-file.ts";
import { parseOptions, scanArguments } from "../../../src/tender/solo5-options.ts";
import type { SptSpec } from "../../../src/tender/spt/prepare.ts";
import { readUnikernel } from "../../../src/image/unikernel.ts";

/** What a command line of solo5-spt asks for, with everything opened. */
export function readSpec(args: readonly string[]): SptSpec {
  const invocation = scanArguments(args);
  if (invocation.kind !== "run") throw new Error("no image");
  const { memory, request, execHeap } = parseOptions(invocation.options, "spt");
  const image = openImage(invocation.kernel);
  const unikernel = readUnikernel(image.source);
  const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
  const attachments = openDevices(planDevices(unikernel.manifest, request, random));
  return { image, unikernel, memory, args: invocation.args, attachments, execHeap };
}
