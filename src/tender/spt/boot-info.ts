/**
 * What an spt guest is told at its start: one structure, the manifest behind it, the command line behind that.
 * The fields are not in hvt's order, and there is no frequency: a process asks the kernel for the time.
 */
import type { GuestDescriptors } from "./policy.ts";

/** Where guest memory begins: below, Linux maps nothing for an ordinary user. */
export const MEMORY_START = 0x1_0000;
/** Where the boot info lies; its address is the guest's only argument. */
export const BOOT_INFO = 0x1_1000;
const BOOT_INFO_SIZE = 40;

export interface SptBootInfo {
  /** The end of guest memory in bytes. */
  readonly memory: number;
  /** End of the loaded image. */
  readonly kernelEnd: number;
  /** The manifest with its attachments (encodeManifest). */
  readonly manifest: Uint8Array;
  /** The command line with its NUL (encodeCommandLine). */
  readonly commandLine: Uint8Array;
  readonly descriptors: GuestDescriptors;
}

/** The bytes that go to BOOT_INFO. */
export function encodeSptBootInfo(info: SptBootInfo): Uint8Array {
  const commandLineAt = BOOT_INFO_SIZE + info.manifest.length;
  const bytes = new Uint8Array(commandLineAt + info.commandLine.length);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(info.memory), true);
  view.setBigUint64(8, BigInt(info.kernelEnd), true);
  view.setBigUint64(16, BigInt(BOOT_INFO + commandLineAt), true);
  view.setBigUint64(24, BigInt(BOOT_INFO + BOOT_INFO_SIZE), true);
  view.setInt32(32, info.descriptors.epoll, true);
  view.setInt32(36, info.descriptors.timer, true);
  bytes.set(info.manifest, BOOT_INFO_SIZE);
  bytes.set(info.commandLine, commandLineAt);
  return bytes;
}
