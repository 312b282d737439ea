/** A program that runs a virtio guest with options as solo5-spt has them. */
import { readUnikernel } from "../../../src/image/unikernel.ts";
import { errorLine } from "../../../src/lib/errors.ts";
import { planDevices } from "../../../src/tender/attach.ts";
import { openImage } from "../../../src/tender/image-file.ts";
import { parseOptions, scanArguments } from "../../../src/tender/solo5-options.ts";
import { runVirtio } from "../../../src/tender/virtio/run.ts";

const invocation = scanArguments(process.argv.slice(2));
if (invocation.kind !== "run") throw new Error("no image");
const { memory, request } = parseOptions(invocation.options, "spt");
const image = openImage(invocation.kernel);
const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
try {
  const devices = planDevices(readUnikernel(image.source).manifest, request, random);
  process.exitCode = await runVirtio({ image, memory, args: invocation.args, devices });
} catch (error) {
  process.stderr.write(`${errorLine(error)}\n`);
  process.exitCode = 1;
}
