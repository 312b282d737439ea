/**
 * Names of what robur makes in the kernel, and the marks by which it knows its own again.
 *
 * An interface's name has at most 15 bytes; ours begin with `rb`. The mark is the interface's alias, or the
 * comment of an nft table or rule: `robur INSTANCE what`. INSTANCE tells two data directories of one machine
 * apart; neither ever touches what the other one made.
 */
import { NetworkError } from "./network-error.ts";

/** Lower case, colons between. */
function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

const NETWORK_NAME = /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/;
/** Words that mean something else where a network's name may stand. */
const RESERVED = new Set(["passt", "none", "host"]);
const INTERFACE_NAME_MAX = 15;

/** What every mark begins with. */
export const MARK = "robur";
/** The network that a unikernel is put on when nothing else is said. */
export const DEFAULT_NETWORK = "service";

/** Throws NetworkError bad-name. */
export function checkNetworkName(name: string): string {
  if (NETWORK_NAME.test(name) && !RESERVED.has(name)) return name;
  throw new NetworkError("bad-name", `${JSON.stringify(name)} can't be a network's name`, {
    why: RESERVED.has(name)
      ? "that word has a meaning of its own"
      : "it is 1 to 32 of a-z, 0-9 and -, not beginning or ending with -",
  });
}

function hash(text: string, digits: number): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex").slice(0, digits);
}

/** The instance that a data directory is: eight hexadecimal digits, the same again after the database is lost. */
export function instanceOf(dataDirectory: string): string {
  return hash(`robur instance ${dataDirectory}`, 8);
}

/** The name, or as much of it as fits and a hash of the rest. */
function fit(prefix: string, name: string): string {
  const room = INTERFACE_NAME_MAX - prefix.length;
  return name.length <= room ? prefix + name : `${prefix}${name.slice(0, room - 5)}-${hash(name, 4)}`;
}

/** `rb-service`. */
export const bridgeName = (network: string) => fit("rb-", network);
/** The port that keeps the bridge's carrier up while no unikernel is on it. */
export const dummyName = (network: string) => fit("rbm-", network);
/** `rbt0`, `rbt1`, …: the lowest that is in use neither by us nor by anybody else. */
export function freeTapName(taken: ReadonlySet<string>): string {
  for (let number = 0; ; number++) {
    if (!taken.has(`rbt${number}`)) return `rbt${number}`;
  }
}

/** `robur 0a1b2c3d network service`. */
export const mark = (instance: string, what: string) => `${MARK} ${instance} ${what}`;
/** What the mark is on, or undefined where it isn't this instance's mark. */
export function markedAs(instance: string, text: string | undefined): string | undefined {
  const start = `${MARK} ${instance} `;
  return text?.startsWith(start) ? text.slice(start.length) : undefined;
}

/**
 * The MAC address of a unikernel's device as albatross derives it, so that reservations stay: 00:80:41 and three
 * bytes of MD5 over the device's name and the unikernel's full name (`:hello`, `foo:hello`).
 */
export function unikernelMac(unikernel: string, device: string): string {
  const full = unikernel.includes(":") ? unikernel : `:${unikernel}`;
  const digest = new Bun.CryptoHasher("md5").update(device + full).digest();
  return formatMac(new Uint8Array([0x00, 0x80, 0x41, ...digest.subarray(0, 3)]));
}

/** A bridge's own address: locally administered, and the same each time. */
export function bridgeMac(instance: string, network: string): string {
  const digest = new Bun.CryptoHasher("sha256").update(`bridge ${instance} ${network}`).digest();
  return formatMac(new Uint8Array([0x02, ...digest.subarray(0, 5)]));
}

/** A label as albatross has them: 1 to 63 of letters, digits, `.` and `-`, not beginning with `-`; lower case. */
const LABEL = /^[a-z0-9.][a-z0-9.-]{0,62}$/;

/** A unikernel's name for its image's file: `website` for `./build/Website.hvt`. */
export function nameForImage(path: string): string {
  const base = path.slice(path.lastIndexOf("/") + 1).replace(/\.(hvt|spt|virtio)$/, "");
  const label = base
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 63);
  return LABEL.test(label) ? label : "unikernel";
}

/** Throws NetworkError bad-name for what can't be a unikernel's name: labels with `:` between them. */
export function checkUnikernelName(name: string): string {
  const lower = name.toLowerCase().replace(/^:/, "");
  if (lower.split(":").every((label) => LABEL.test(label))) return lower;
  throw new NetworkError("bad-name", `${JSON.stringify(name)} can't be a unikernel's name`, {
    why: "it is 1 to 63 letters, digits, dots and hyphens, not beginning with a hyphen",
  });
}

/** The name in the DNS: labels of a path in reverse, dots in labels as hyphens: `hello.foo` for `foo:hello`. */
export function dnsLabel(unikernel: string): string {
  return unikernel
    .split(":")
    .toReversed()
    .map((label) => label.replaceAll(".", "-"))
    .join(".");
}

/** The zone in which unikernels have names. `internal` is reserved for private use (ICANN, 2024). */
export const DOMAIN = "robur.internal";
