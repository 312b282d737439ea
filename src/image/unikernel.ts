/** A unikernel file as a whole: what it is, for whom, and with which devices. */
import { HOST_ARCHITECTURE } from "../lib/architecture.ts";
import { type Abi, SUPPORTED_VERSIONS, type Target, readAbi } from "./abi.ts";
import { type Elf, PT_INTERP, PT_NOTE, readElf } from "./elf.ts";
import { ImageError } from "./image-error.ts";
import { type Manifest, readManifest } from "./manifest.ts";
import { type ImageSource, bytesSource, fieldsOf } from "./source.ts";

export interface Unikernel {
  readonly elf: Elf;
  readonly abi: Abi;
  readonly manifest: Manifest;
}

/**
 * Reads everything a tender needs to know before it opens a device. With a `target` it refuses an image that this
 * machine or that tender can't run, before it looks at the manifest, whose form may be another one there.
 * Throws ImageError.
 */
export function readUnikernel(source: ImageSource, target?: Target): Unikernel {
  const elf = readElf(source);
  const abi = readAbi(source, elf);
  if (abi === undefined) throw withoutAbi(source, elf);
  if (target !== undefined) checkTarget({ elf, abi }, target);
  return { elf, abi, manifest: readManifest(source, elf) };
}

/**
 * The same for everything that can be booted: a multiboot kernel without Solo5's notes counts as a virtio
 * unikernel without devices. Throws ImageError.
 */
export function readBootable(source: ImageSource): Unikernel {
  try {
    return readUnikernel(source);
  } catch (error) {
    if (!(error instanceof ImageError) || error.code !== "wrong-target" || !hasMultibootHeader(source))
      throw error;
    return { elf: readElf(source), abi: { target: "virtio", version: 0 }, manifest: { entries: [] } };
  }
}

/** What runs an image of this target, for people. */
export const RUNS_ON: Record<Target | "unknown", string> = {
  hvt: "robur run, on a machine with /dev/kvm",
  spt: "robur run, on any Linux",
  virtio: "qemu-system-x86_64 -kernel FILE, or another multiboot virtual machine monitor",
  muen: "the Muen separation kernel; the image is a part of a Muen system",
  genode: "nothing any more: Solo5 gave the Genode target up in 2022",
  xen: "a Xen host, as a PVH guest: xl create with kernel=FILE",
  unknown: "a tender newer than this robur",
};

/** Refuses an image that this machine or the named tender can't run. Throws ImageError. */
export function checkTarget({ elf, abi }: Pick<Unikernel, "elf" | "abi">, target: Target): void {
  if (elf.machine !== HOST_ARCHITECTURE) {
    throw new ImageError(
      "wrong-machine",
      `the image is for ${elf.machine}, this machine is ${HOST_ARCHITECTURE}`,
    );
  }
  if (abi.target !== target) {
    throw new ImageError("wrong-target", `the image is for the target ${abi.target}, not for ${target}`, {
      why: `what runs it: ${RUNS_ON[abi.target]}`,
    });
  }
  if (!SUPPORTED_VERSIONS.includes(abi.version)) {
    throw new ImageError(
      "unsupported-abi-version",
      `the image requests ABI version ${abi.version} of ${target}, known are ${SUPPORTED_VERSIONS.join(" and ")}`,
    );
  }
}

/** Why an executable without an ABI note is not one of ours, as closely as its headers tell. */
function withoutAbi(source: ImageSource, elf: Elf): ImageError {
  const interpreter = elf.programHeaders.find(({ type }) => type === PT_INTERP);
  if (interpreter !== undefined && !isSolo5Interpreter(source, interpreter.offset)) {
    return new ImageError("not-a-unikernel", "this is a Linux program, not a unikernel", {
      why: "it asks for a dynamic loader and has no Solo5 notes",
      hint: "run it directly",
    });
  }
  if (hasXenNote(source, elf)) {
    return new ImageError("wrong-target", "a Xen kernel without Solo5 ABI information", {
      why: `what runs it: ${RUNS_ON.xen}`,
    });
  }
  if (hasMultibootHeader(source)) {
    return new ImageError("wrong-target", "a multiboot kernel without Solo5 ABI information", {
      why: `what runs it: ${RUNS_ON.virtio}`,
    });
  }
  return new ImageError("no-abi-note", "no Solo5 ABI information found in executable", {
    why: "it is a static program of some other kind, or a unikernel from before Solo5 0.6 (2019)",
    hint: "robur pull, or build it with a current MirageOS",
  });
}

function isSolo5Interpreter(source: ImageSource, offset: number): boolean {
  return new TextDecoder().decode(source.read(offset, 19)) === "/nonexistent/solo5/";
}

function hasXenNote(source: ImageSource, elf: Elf): boolean {
  return elf.programHeaders.some(({ type, offset }) => {
    if (type !== PT_NOTE) return false;
    return new TextDecoder().decode(source.read(offset + 12, 4)) === "Xen\0";
  });
}

/** Multiboot 1: the magic word and a checksum, aligned to 4, in the first 8 KiB of the file. */
export function hasMultibootHeader(source: ImageSource): boolean {
  const bytes = source.read(0, 8192);
  const view = fieldsOf(bytes);
  for (let at = 0; at + 12 <= bytes.length; at += 4) {
    if (view.getUint32(at, true) !== 0x1bad_b002) continue;
    const sum = 0x1bad_b002 + view.getUint32(at + 4, true) + view.getUint32(at + 8, true);
    if (sum % 0x1_0000_0000 === 0) return true;
  }
  return false;
}

/** `readUnikernel` over a file's bytes. */
export function readUnikernelBytes(bytes: Uint8Array): Unikernel {
  return readUnikernel(bytesSource(bytes));
}
