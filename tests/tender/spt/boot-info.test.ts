import { expect, test } from "bun:test";
import { encodeSptBootInfo } from "../../../src/tender/spt/boot-info.ts";

test("the boot info is laid out as spt guests read it", () => {
  const manifest = new Uint8Array(112).fill(0xaa);
  const commandLine = new TextEncoder().encode("hello world\0");
  const bytes = encodeSptBootInfo({
    memory: 5 * 2 ** 30,
    kernelEnd: 0x10_6000,
    manifest,
    commandLine,
    descriptors: { epoll: 5, timer: 6 },
  });
  const head =
    "0000004001000000" + // memory, 5 GiB
    "0060100000000000" + // end of the image
    "9810010000000000" + // command line: 0x11000 + 40 + 112
    "2810010000000000" + // manifest: 0x11000 + 40
    "0500000006000000"; // epoll, timer
  expect(bytes.subarray(0, 40).toHex()).toBe(head);
  expect(bytes.subarray(40, 152)).toEqual(manifest);
  expect(bytes.subarray(152)).toEqual(commandLine);
});
