/** The tender's command line that a run amounts to, for another program or for people to read and change. */
import { shellWord } from "../lib/shell-word.ts";
import { MIB } from "../lib/units.ts";
import type { Target } from "../image/abi.ts";
import { type DeviceRequest, formatMac } from "../tender/attach.ts";

/** Options as solo5-hvt and solo5-spt take them, and the image and its arguments behind. `memory` in bytes. */
export function tenderArguments(
  file: string,
  args: readonly string[],
  memory: number,
  request: DeviceRequest,
): string[] {
  const words = [`--mem=${Math.floor(memory / MIB)}`];
  for (const [name, source] of request.nets) {
    words.push(`--net:${name}=${"tap" in source ? source.tap : `@${source.fd}`}`);
  }
  for (const [name, mac] of request.macs) words.push(`--net-mac:${name}=${formatMac(mac)}`);
  for (const [name, path] of request.blocks) {
    words.push(`--block${request.readOnly?.has(name) === true ? "-ro" : ""}:${name}=${path}`);
  }
  for (const [name, size] of request.sectorSizes) words.push(`--block-sector-size:${name}=${size}`);
  return [...words, "--", file, ...args];
}

/** One line that a shell reads back as the same arguments. */
export function tenderCommandLine(
  target: Target | "unknown",
  ...run: Parameters<typeof tenderArguments>
): string {
  return ["robur", "tender", target, ...tenderArguments(...run)].map(shellWord).join(" ");
}

/** The same as a `robur run` that makes nothing by itself, with more flags in front. */
export function runCommandLine(flags: readonly string[], ...run: Parameters<typeof tenderArguments>): string {
  const [memory = "", ...rest] = tenderArguments(...run);
  return ["robur", "run", "--no-network", ...flags, `${memory}M`, ...rest].map(shellWord).join(" ");
}
