/** The flags that give a unikernel its devices, for the commands that have them. */
import { UsageError } from "../lib/errors.ts";
import { DEVICE_NAME } from "../image/manifest.ts";
import { type DeviceRequest, parseMac, parseNetSource } from "../tender/attach.ts";
import { isSectorSize } from "../tender/devices/block-file.ts";
import type { FlagTable, Scanned } from "./flags.ts";

export const DEVICE_FLAGS: FlagTable = {
  net: {
    type: "string",
    named: true,
    describe: "network device: NAME=NETWORK, NAME=TAP, or NAME=@FD for an open tap; repeatable",
  },
  "net-mac": {
    type: "string",
    named: true,
    describe: "MAC address of a network device: NAME=xx:xx:xx:xx:xx:xx",
  },
  block: { type: "string", named: true, describe: "block device: NAME=FILE, or NAME=VOLUME; repeatable" },
  "block-ro": {
    type: "string",
    named: true,
    describe: "the same, only for reading: several unikernels may share it",
  },
  "block-sector-size": { type: "string", named: true, describe: "sector size of a block device: NAME=BYTES" },
};

/** Reads NAME=VALUE flags. Throws UsageError for a value that isn't one. */
export function readDeviceFlags({ values }: Scanned): DeviceRequest {
  const path = (value: string) => (value === "" ? undefined : value);
  const blocks = pairs("block", "FILE or NAME=VOLUME", values.get("block"), path);
  const readOnly = pairs("block-ro", "FILE or NAME=VOLUME", values.get("block-ro"), path);
  for (const name of readOnly.keys()) {
    if (blocks.has(name)) throw new UsageError(`${name} is given both with --block and with --block-ro`);
  }
  return {
    nets: pairs("net", "TAP or NAME=@FD", values.get("net"), parseNetSource),
    macs: pairs("net-mac", "xx:xx:xx:xx:xx:xx", values.get("net-mac"), parseMac),
    blocks: new Map([...blocks, ...readOnly]),
    readOnly: new Set(readOnly.keys()),
    sectorSizes: pairs(
      "block-sector-size",
      "BYTES, a power of two from 512 to 32768",
      values.get("block-sector-size"),
      (value) => (/^\d{1,9}$/.test(value) && isSectorSize(Number(value)) ? Number(value) : undefined),
    ),
  };
}

function pairs<T>(
  flag: string,
  form: string,
  values: readonly string[] | undefined,
  read: (value: string) => T | undefined,
): Map<string, T> {
  const result = new Map<string, T>();
  for (const text of values ?? []) {
    const equals = text.indexOf("=");
    const name = text.slice(0, Math.max(equals, 0));
    const value = equals < 0 ? undefined : read(text.slice(equals + 1));
    if (!DEVICE_NAME.test(name) || value === undefined) {
      throw new UsageError(`--${flag} ${text}: wrong form`, { why: `it is --${flag} NAME=${form}` });
    }
    if (result.has(name)) throw new UsageError(`--${flag} ${name}= is given twice`);
    result.set(name, value);
  }
  return result;
}
