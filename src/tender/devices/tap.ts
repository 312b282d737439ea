/**
 * Network devices on a Linux tap interface. One read is one Ethernet frame, one write is one frame; there is
 * no packet information header and no virtio header. Source: Linux Documentation/networking/tuntap.rst, and the
 * order of checks in the Solo5 tenders.
 */
import {
  IFNAMSIZ,
  ethtool,
  ifreq,
  interfaceFlags,
  isTooLong,
  nameIn,
  querySocket,
} from "../../linux/interface.ts";
import {
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  close,
  ioctl,
  isOpen,
  open,
  setNonBlocking,
} from "../../linux/libc.ts";
import { ERRNO, errnoText } from "../../linux/errno.ts";
import { TenderError } from "../tender-error.ts";

const TUNSETIFF = 0x4004_54ca;
const TUNGETIFF = 0x8004_54d2;
const SIOCGIFMTU = 0x8921;
const IFF_UP = 0x1;
const IFF_RUNNING = 0x40;
const IFF_TAP = 0x2;
const IFF_NO_PI = 0x1000;
const ETHTOOL_SGRO = 0x2c;
const ETHTOOL_SGSO = 0x24;

/** What a guest is told where the interface can't be asked. */
const DEFAULT_MTU = 1500;

export interface Tap {
  readonly fd: number;
  /** Largest frame without its 14-byte Ethernet header. */
  readonly mtu: number;
}

/**
 * Attaches to an existing tap interface by its name. Throws TenderError net-device with the reason: no such
 * interface, not up, already attached to another process, not a tap, not permitted.
 */
export function openTap(name: string): Tap {
  if (isTooLong(name)) fail(name, ERRNO.ENAMETOOLONG);
  const query = querySocket();
  if (query < 0) fail(name, -query);
  try {
    // Without this check the kernel would make a new interface of that name.
    const flags = interfaceFlags(query, name);
    if (flags < 0) fail(name, -flags);
    if ((flags & (IFF_UP | IFF_RUNNING)) === 0) fail(name, ERRNO.ENETDOWN);
    const fd = attach(name);
    return { fd, mtu: configure(query, name) ?? DEFAULT_MTU };
  } finally {
    close(query);
  }
}

/**
 * Takes a tap's descriptor that this process was started with. Its MTU is looked up by the interface's name,
 * where it has one. Throws TenderError net-device.
 */
export function adoptTap(fd: number): Tap {
  if (!isOpen(fd)) fail(`@${fd}`, ERRNO.EBADF);
  const changed = setNonBlocking(fd);
  if (changed < 0) fail(`@${fd}`, -changed);
  const request = ifreq("");
  if (ioctl(fd, TUNGETIFF, request) < 0) return { fd, mtu: DEFAULT_MTU };
  const query = querySocket();
  if (query < 0) return { fd, mtu: DEFAULT_MTU };
  try {
    return { fd, mtu: configure(query, nameIn(request)) ?? DEFAULT_MTU };
  } finally {
    close(query);
  }
}

function attach(name: string): number {
  const fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) fail(name, -fd, "/dev/net/tun");
  const request = ifreq(name);
  request.setUint16(IFNAMSIZ, IFF_TAP | IFF_NO_PI, true);
  const result = ioctl(fd, TUNSETIFF, request);
  // A name with % is a pattern to the kernel, and it would have attached to another interface.
  const errno = result < 0 ? -result : nameIn(request) === name ? 0 : ERRNO.EINVAL;
  if (errno !== 0) {
    close(fd);
    fail(name, errno);
  }
  return fd;
}

/**
 * Switches receive and send aggregation off, so that no frame is larger than the guest's buffer, and answers
 * the MTU. An interface that can't do either is used as it is.
 */
function configure(query: number, name: string): number | undefined {
  for (const command of [ETHTOOL_SGRO, ETHTOOL_SGSO]) ethtool(query, name, new Uint32Array([command, 0]));
  const request = ifreq(name);
  return ioctl(query, SIOCGIFMTU, request) < 0 ? undefined : request.getInt32(IFNAMSIZ, true);
}

const HINTS: Partial<Record<number, (name: string) => string>> = {
  [ERRNO.ENODEV]: (name) => `sudo ip tuntap add ${name} mode tap user $USER && sudo ip link set ${name} up`,
  [ERRNO.ENETDOWN]: (name) => `sudo ip link set ${name} up`,
  [ERRNO.EBUSY]: () => "stop the process that has it: each tap serves one unikernel",
  [ERRNO.EPERM]: (name) =>
    `sudo ip tuntap del ${name} mode tap; sudo ip tuntap add ${name} mode tap user $USER`,
  [ERRNO.EACCES]: () => "ls -l /dev/net/tun: it must be readable and writable to you",
  [ERRNO.ENOENT]: () => "sudo modprobe tun",
};

function fail(name: string, errno: number, path?: string): never {
  const hint = HINTS[errno]?.(name);
  throw new TenderError(
    "net-device",
    `could not attach interface: ${name}: ${path === undefined ? "" : `${path}: `}${errnoText(errno)}`,
    hint === undefined ? {} : { hint },
  );
}
