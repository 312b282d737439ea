/**
 * Addresses by boot argument, as MirageOS unikernels take them: `--ipv4=ADDRESS/LENGTH --ipv4-gateway=ADDRESS`
 * for the stack on the device `service` (or the only device), and `--NAME-ipv4=…` for the stack on any other.
 * Images that take DHCP take these too and don't ask then; images of before MirageOS 4.10.5 need them, for they would
 * have 10.0.0.2 otherwise, all of them. What somebody gave himself is left as it is.
 */
import { cidr, formatAddress, parseAddress, parseCidr } from "./addresses.ts";
import type { Attached } from "./attach-plan.ts";

/** The device whose stack has no prefix. */
const DEFAULT_DEVICE = "service";

/** What a device's arguments begin with, behind `--`: nothing, or the group's name and a hyphen. */
export function argumentPrefix(device: string, devices: readonly string[]): string {
  const isDefault = device === DEFAULT_DEVICE || devices.length === 1;
  const first = devices[0];
  // Without a device of that name the first one is the unikernel's main network.
  if (isDefault || (!devices.includes(DEFAULT_DEVICE) && device === first)) return "";
  return `${device}-`;
}

/** Whether the guest's arguments have `--NAME`, with or without a value behind `=`. */
function has(args: readonly string[], name: string): boolean {
  // One argument may hold several words: the guest splits the line itself.
  return args.some((argument) =>
    argument.split(" ").some((word) => word === `--${name}` || word.startsWith(`--${name}=`)),
  );
}

function valueOf(args: readonly string[], name: string): string | undefined {
  const words = args.flatMap((argument) => argument.split(" "));
  const at = words.findIndex((word) => word === `--${name}` || word.startsWith(`--${name}=`));
  if (at < 0) return undefined;
  const [, value = words[at + 1]] = /^[^=]*=(.*)$/.exec(words[at]!) ?? [];
  return value;
}

/** The IPv4 address that the guest's own arguments give a device, without its length. */
export function addressInArguments(
  device: string,
  devices: readonly string[],
  args: readonly string[],
): string | undefined {
  const text = valueOf(args, `${argumentPrefix(device, devices)}ipv4`) ?? "";
  const address = parseCidr(text) ?? parseAddress(text);
  return address?.family === 4 ? formatAddress(address) : undefined;
}

type Addresses = Pick<Attached, "device" | "ipv4" | "ipv4Gateway" | "ipv6" | "ipv6Gateway">;

/** The arguments to put before the guest's own, for the devices in the manifest's order. */
export function bootArguments(
  attached: readonly Addresses[],
  devices: readonly string[],
  args: readonly string[],
): string[] {
  return attached.flatMap((net) => {
    const prefix = argumentPrefix(net.device, devices);
    const pairs = [
      ["ipv4", net.ipv4, net.ipv4Gateway],
      ["ipv6", net.ipv6, net.ipv6Gateway],
    ] as const;
    return pairs.flatMap(([family, address, gateway]) => {
      const name = `${prefix}${family}`;
      if (address === null) return [];
      const isGiven = has(args, name);
      const own = valueOf(args, name);
      const isElsewhere = isGiven && parseCidr(own ?? "")?.length !== cidr(address).length;
      const result = isGiven ? [] : [`--${name}=${address}`];
      // An address that somebody chose on this network goes by the same way out.
      if (gateway !== null && !isElsewhere && !has(args, `${name}-gateway`)) {
        result.push(`--${name}-gateway=${gateway}`);
      }
      return result;
    });
  });
}
