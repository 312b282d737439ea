/** What the DNS responder of a network knows by itself: its unikernels, this host, and the way back. Pure. */
import { cidr, contains, hostOf, parseAddress } from "./addresses.ts";
import { type DnsAnswer, type DnsQuestion, type DnsRecord, RCODE, TYPE, encodeName } from "./dns-message.ts";
import { DOMAIN, dnsLabel } from "./names.ts";
import type { LeaseRecord, NetworkRecord, Records } from "./records.ts";

/** Seconds: addresses stay, but a unikernel may stop. */
const TTL = 10;
/** The host itself: `host.robur.internal`. */
const HOST = "host";
const REVERSE4 = ".in-addr.arpa";
const REVERSE6 = ".ip6.arpa";

/** The answer, or undefined for a name that somebody else must know. */
export function answerName(
  question: Pick<DnsQuestion, "name" | "type">,
  network: NetworkRecord,
  records: Records,
): DnsAnswer | undefined {
  const { name, type } = question;
  if (name === DOMAIN || name.endsWith(`.${DOMAIN}`)) {
    const label = name === DOMAIN ? "" : name.slice(0, -DOMAIN.length - 1);
    const found = label === "" ? [] : addressesOf(label, network, records);
    if (found === undefined) {
      return { rcode: RCODE.noName, answers: [], zone: DOMAIN, isAuthoritative: true };
    }
    const answers = found.flatMap((address): DnsRecord[] => {
      const parsed = parseAddress(address)!;
      const own = parsed.family === 4 ? TYPE.A : TYPE.AAAA;
      if (type !== own && type !== TYPE.ANY) return [];
      return [{ type: own, ttl: TTL, data: addressBytes(address) }];
    });
    return { rcode: RCODE.ok, answers, zone: DOMAIN, isAuthoritative: true };
  }
  return answerReverse(name, type, network, records);
}

/** Leases whose unikernel is there now; this network's before others'. */
function presentLeases(network: NetworkRecord, records: Records): LeaseRecord[] {
  const present = records.leases.filter(
    ({ unikernel, device, expiresAt }) =>
      expiresAt !== null || records.taps.some((tap) => tap.unikernel === unikernel && tap.device === device),
  );
  const isHere = (lease: LeaseRecord) => Number(lease.network === network.name);
  return present.sort((a, b) => isHere(b) - isHere(a));
}

function addressesOf(label: string, network: NetworkRecord, records: Records): string[] | undefined {
  if (label === HOST) {
    return [network.ipv4, network.ipv6].filter((address) => address !== null).map(hostOf);
  }
  const lease = presentLeases(network, records).find(({ unikernel }) => dnsLabel(unikernel) === label);
  if (lease === undefined) return undefined;
  return [lease.ipv4, lease.ipv6].filter((address) => address !== null);
}

function answerReverse(
  name: string,
  type: number,
  network: NetworkRecord,
  records: Records,
): DnsAnswer | undefined {
  const address = reverseAddress(name);
  if (address === undefined) return undefined;
  const parsed = parseAddress(address);
  const isOurs = [network.ipv4, network.ipv6].some(
    (range) => range !== null && parsed !== undefined && contains(cidr(range), parsed),
  );
  if (!isOurs) return undefined;
  const isHost = [network.ipv4, network.ipv6].some((range) => range !== null && hostOf(range) === address);
  const lease = presentLeases(network, records).find(
    ({ ipv4, ipv6 }) => ipv4 === address || ipv6 === address,
  );
  const label = isHost ? HOST : lease === undefined ? undefined : dnsLabel(lease.unikernel);
  if (label === undefined) {
    return { rcode: RCODE.noName, answers: [], zone: DOMAIN, isAuthoritative: true };
  }
  const data = encodeName(`${label}.${DOMAIN}`);
  const answers = type === TYPE.PTR || type === TYPE.ANY ? [{ type: TYPE.PTR, ttl: TTL, data }] : [];
  return { rcode: RCODE.ok, answers, zone: DOMAIN, isAuthoritative: true };
}

/** The address that a reverse name is of: `2.42.0.10.in-addr.arpa` is 10.0.42.2. */
function reverseAddress(name: string): string | undefined {
  if (name.endsWith(REVERSE4)) return name.slice(0, -REVERSE4.length).split(".").toReversed().join(".");
  if (!name.endsWith(REVERSE6)) return undefined;
  const digits = name.slice(0, -REVERSE6.length).split(".").toReversed().join("");
  if (!/^[0-9a-f]{32}$/.test(digits)) return undefined;
  const groups = (digits.match(/.{4}/g) ?? []).map((group) => Number.parseInt(group, 16).toString(16));
  // Back and forth, for the shortest form.
  const parsed = parseAddress(groups.join(":"));
  return parsed === undefined ? undefined : formatted(parsed.value);
}

function formatted(value: bigint): string {
  return hostOf(
    `${[112n, 96n, 80n, 64n, 48n, 32n, 16n, 0n].map((s) => ((value >> s) & 0xffffn).toString(16)).join(":")}/128`,
  );
}

function addressBytes(address: string): Uint8Array {
  const { family, value } = parseAddress(address)!;
  const length = family === 4 ? 4 : 16;
  return Uint8Array.from({ length }, (_, i) => Number((value >> BigInt(8 * (length - 1 - i))) & 255n));
}
