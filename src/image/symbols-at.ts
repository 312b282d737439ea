/** Which function or value lies at an address: what somebody who knows the program knows a place by. */
import type { SectionTable } from "./sections.ts";
import type { ImageSource } from "./source.ts";
import { readSymbols } from "./symbols.ts";

/** The innermost symbol at each of these addresses, by address; those without one are missing. Throws ImageError. */
export function symbolsAt(
  source: ImageSource,
  table: SectionTable,
  addresses: readonly number[],
): Map<number, string> {
  const found = new Map<number, { readonly name: string; readonly address: number }>();
  for (const { name, address, size, type } of readSymbols(source, table)) {
    if (name === "" || size === 0 || type === "section" || type === "tls") continue;
    for (const wanted of addresses) {
      if (wanted < address || wanted >= address + size) continue;
      if ((found.get(wanted)?.address ?? -1) < address) found.set(wanted, { name, address });
    }
  }
  return new Map([...found].map(([address, { name }]) => [address, name]));
}
