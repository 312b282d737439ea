/**
 * IPv4 and IPv6 addresses and ranges, as numbers: an address is a bigint of 32 or 128 bits with its family.
 * Text forms: dotted quad; RFC 5952 for IPv6 (lower case, longest run of zeros as ::).
 */

export type Family = 4 | 6;

export interface Address {
  readonly family: Family;
  readonly value: bigint;
}

/** An address and the length of its network's prefix: `10.0.42.1/24`. */
export interface Cidr extends Address {
  readonly length: number;
}

const BITS: Record<Family, number> = { 4: 32, 6: 128 };

export function parseAddress(text: string): Address | undefined {
  const value = text.includes(":") ? parseIpv6(text) : parseIpv4(text);
  return value === undefined ? undefined : { family: text.includes(":") ? 6 : 4, value };
}

function parseIpv4(text: string): bigint | undefined {
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) return undefined;
  const bytes = text.split(".").map(Number);
  if (bytes.some((byte) => byte > 255)) return undefined;
  return bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
}

function parseIpv6(text: string): bigint | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const missing = 8 - head!.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head!, ...Array.from({ length: missing }, () => "0"), ...tail];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return groups.reduce((sum, group) => sum * 0x1_0000n + BigInt(`0x${group}`), 0n);
}

export function formatAddress({ family, value }: Address): string {
  if (family === 4) {
    return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join(".");
  }
  const groups = Array.from({ length: 8 }, (_, i) =>
    ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16),
  );
  let [start, length] = [0, 0];
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && groups[i + run] === "0") run++;
    if (run > length) [start, length] = [i, run];
  }
  if (length < 2) return groups.join(":");
  return `${groups.slice(0, start).join(":")}::${groups.slice(start + length).join(":")}`;
}

/** `10.0.42.1/24`; undefined for anything else, a missing length included. */
export function parseCidr(text: string): Cidr | undefined {
  const [, address = "", length = ""] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? [];
  const parsed = parseAddress(address);
  if (parsed === undefined || Number(length) > BITS[parsed.family]) return undefined;
  return { ...parsed, length: Number(length) };
}

/** For text that was checked before. */
export function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new RangeError(`not an address with a prefix length: ${text}`);
  return parsed;
}

export function formatCidr(range: Cidr): string {
  return `${formatAddress(range)}/${range.length}`;
}

/** How many addresses the range has. */
function sizeOf({ family, length }: Cidr): bigint {
  return 1n << BigInt(BITS[family] - length);
}

/** The range that the address is in: host bits zero. */
export function rangeOf(address: Cidr): Cidr {
  return { ...address, value: (address.value / sizeOf(address)) * sizeOf(address) };
}

/** The address `index` places behind the range's first. */
export function addressIn(range: Cidr, index: bigint): Address {
  return { family: range.family, value: rangeOf(range).value + index };
}

/** The text of the nth address of a range, for ranges that are known to be right. */
export function hostOf(range: string): string {
  return formatAddress(cidr(range));
}

export function contains(range: Cidr, address: Address): boolean {
  const first = rangeOf(range).value;
  return range.family === address.family && address.value >= first && address.value < first + sizeOf(range);
}

export function overlap(a: Cidr, b: Cidr): boolean {
  return contains(a, rangeOf(b)) || contains(b, rangeOf(a));
}

/** Whether a guest may have this address: inside, neither the first nor (IPv4) the last, nor the host's. */
export function isGuestAddress(host: Cidr, address: Address): boolean {
  if (!contains(host, address) || address.value === host.value) return false;
  const first = rangeOf(host).value;
  const last = host.family === 4 ? first + sizeOf(host) - 1n : -1n;
  return address.value !== first && address.value !== last;
}

/** The lowest address that a guest may have and nobody has; undefined when the range is full. */
export function freeAddress(host: Cidr, taken: ReadonlySet<string>): string | undefined {
  const most = sizeOf(host) < 65536n ? sizeOf(host) : 65536n;
  for (let index = 2n; index < most; index++) {
    const address = addressIn(host, index);
    const text = formatAddress(address);
    if (isGuestAddress(host, address) && !taken.has(text)) return text;
  }
  return undefined;
}

/** Where a network without a given range is looked for, in this order: RFC 1918, the usual ones of routers last. */
function* candidates(): Generator<Cidr> {
  const range = (value: number): Cidr => ({ family: 4, value: BigInt(value >>> 0), length: 24 });
  for (let third = 42; third < 256; third++) yield range((10 << 24) | (third << 8));
  for (let third = 0; third < 42; third++) yield range((10 << 24) | (third << 8));
  for (let second = 16; second < 32; second++) {
    for (let third = 0; third < 256; third++) yield range((172 << 24) | (second << 16) | (third << 8));
  }
  for (let third = 255; third >= 0; third--) yield range((192 << 24) | (168 << 16) | (third << 8));
}

/**
 * The first private /24 that no route and no other network touches, as the host's address in it:
 * `10.0.42.1/24`, or the next that is free. Undefined when there is none.
 */
export function freeRange(taken: readonly Cidr[]): string | undefined {
  for (const range of candidates()) {
    if (!taken.some((other) => overlap(range, other)))
      return formatCidr({ ...range, value: range.value + 1n });
  }
  return undefined;
}

/**
 * A unique local prefix (RFC 4193) that belongs to a network for good: 40 bits of its name and this machine's
 * own `seed`, hexadecimal. The host's address in it.
 */
export function localIpv6(seed: string, network: string): string {
  const digest = new Bun.CryptoHasher("sha256").update(`${seed}\0${network}`).digest("hex").slice(0, 10);
  const value = (BigInt(`0xfd${digest}`) << 80n) + 1n;
  return formatCidr({ family: 6, value, length: 64 });
}
