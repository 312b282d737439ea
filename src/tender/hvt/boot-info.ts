/** What an hvt guest is told at its start: one structure, the manifest behind it, the command line behind that. */
import { BOOT_INFO, BOOT_INFO_SIZE } from "./layout.ts";

export interface BootInfo {
  /** Guest memory in bytes. */
  readonly memory: number;
  /** End of the loaded image. */
  readonly kernelEnd: number;
  /** Frequency of the counter that the guest tells time by, in Hz. */
  readonly cycleFrequency: number;
  /** The manifest with its attachments (encodeManifest). */
  readonly manifest: Uint8Array;
  /** The command line with its NUL. */
  readonly commandLine: Uint8Array;
}

/**
 * The bytes that go to BOOT_INFO. No shared-memory network ring is offered: its three fields stay zero, which
 * every guest understands (and guests from before 0.11 don't read).
 */
export function encodeBootInfo(info: BootInfo): Uint8Array {
  const manifestAt = BOOT_INFO_SIZE;
  const commandLineAt = manifestAt + info.manifest.length;
  const bytes = new Uint8Array(commandLineAt + info.commandLine.length);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(info.memory), true);
  view.setBigUint64(8, BigInt(info.kernelEnd), true);
  view.setBigUint64(16, BigInt(info.cycleFrequency), true);
  view.setBigUint64(24, BigInt(BOOT_INFO + commandLineAt), true);
  view.setBigUint64(32, BigInt(BOOT_INFO + manifestAt), true);
  bytes.set(info.manifest, manifestAt);
  bytes.set(info.commandLine, commandLineAt);
  return bytes;
}
