/**
 * A DHCP server on a bridge of robur's own. It sees frames and not datagrams, so a firewall of the host, which may
 * well refuse port 67, doesn't keep unikernels from their addresses, and another DHCP server of the host on other
 * interfaces is in nobody's way.
 *
 * A unikernel gets the address of its record, always the same. Any other host on the bridge gets a free one for
 * an hour.
 */
import { readFileSync } from "node:fs";
import { packetSocket, watchDescriptor } from "../linux/sockets.ts";
import { cidr, hostOf } from "./addresses.ts";
import { planLease } from "./attach-plan.ts";
import {
  ACK,
  DECLINE,
  DHCP_FILTER,
  DISCOVER,
  type DhcpReply,
  type DhcpRequest,
  INFORM,
  NAK,
  OFFER,
  RELEASE,
  REQUEST,
  readDhcp,
  writeDhcp,
} from "./dhcp-message.ts";
import { DOMAIN, dnsLabel } from "./names.ts";
import { NetworkError } from "./network-error.ts";
import type { Networks } from "./networks.ts";
import type { LeaseRecord, NetworkRecord, Records } from "./records.ts";

const ETHERTYPE_IPV4 = 0x0800;
const DAY_S = 86_400;
const HOUR_S = 3600;
/** How long an offer is kept for a client that hasn't taken it yet. */
const OFFER_S = 60;
/** The device's name in leases of hosts that robur didn't start. */
const DHCP_DEVICE = "dhcp";

export interface DhcpAnswer {
  readonly reply?: DhcpReply;
  readonly putLease?: LeaseRecord;
  readonly dropLeases?: readonly LeaseRecord[];
}

/** What a request is answered with, and what of it is recorded. Pure. `now`: milliseconds since 1970. */
export function answerDhcp(
  request: DhcpRequest,
  network: NetworkRecord & { readonly ipv4: string },
  serverMac: string,
  records: Records,
  now: number,
): DhcpAnswer {
  const server = hostOf(network.ipv4);
  const hasRouter = network.mode === "nat" || network.mode === "routed";
  const known = records.leases.find(({ network: of, mac }) => of === network.name && mac === request.mac);
  const isGuest = known !== undefined && known.expiresAt === null;
  const common = {
    server,
    serverMac,
    prefixLength: cidr(network.ipv4).length,
    router: hasRouter ? server : undefined,
    dns: server,
    logServer: server,
    domain: DOMAIN,
    hostName: isGuest ? dnsLabel(known.unikernel).split(".")[0] : undefined,
  };
  if (request.type === INFORM) {
    return { reply: { ...common, type: ACK, address: "0.0.0.0", leaseTime: undefined } };
  }
  if (request.type === RELEASE || request.type === DECLINE) {
    return known === undefined || isGuest ? {} : { dropLeases: [known] };
  }
  if (request.type !== DISCOVER && request.type !== REQUEST) return {};
  // The client took another server's offer.
  if (request.server !== undefined && request.server !== server) return {};
  const { lease, dropped } = isGuest
    ? { lease: known, dropped: [] }
    : leaseForStranger(request, network, records, now);
  if (lease.ipv4 === null) return {};
  const more = isGuest ? {} : { putLease: lease, dropLeases: dropped };
  const leaseTime = isGuest ? DAY_S : HOUR_S;
  const answer = { ...common, address: lease.ipv4, leaseTime };
  if (request.type === DISCOVER) return { reply: { ...answer, type: OFFER }, ...more };
  const wanted = request.requested ?? (request.current === "0.0.0.0" ? undefined : request.current);
  if (wanted !== lease.ipv4) {
    return { reply: { ...answer, type: NAK, address: "0.0.0.0", hostName: undefined } };
  }
  return { reply: { ...answer, type: ACK }, ...more };
}

function leaseForStranger(
  { mac, type }: DhcpRequest,
  network: NetworkRecord,
  records: Records,
  now: number,
): { lease: LeaseRecord; dropped: readonly LeaseRecord[] } {
  // Never a name that the client chose: it could be a unikernel's.
  const unikernel = `host-${mac.replaceAll(":", "")}`;
  const seconds = type === DISCOVER ? OFFER_S : HOUR_S;
  return planLease(records, network, unikernel, { device: DHCP_DEVICE, mac }, now, now + seconds * 1000);
}

/** Answers until it is stopped. Throws OsError where frames can't be seen (CAP_NET_RAW). */
export async function startDhcp(
  networks: Networks,
  network: NetworkRecord,
  warn: (sentence: string) => void,
): Promise<{ stop(): void }> {
  const { bridge, name, ipv4 } = network;
  if (ipv4 === null) return { stop: () => undefined };
  const mac = readFileSync(`/sys/class/net/${bridge}/address`, "utf8").trim();
  const fd = packetSocket(bridge, ETHERTYPE_IPV4, DHCP_FILTER);
  const socket = await watchDescriptor(fd, {
    data(frame) {
      const request = readDhcp(frame);
      if (request === undefined) return;
      const answerNow = () => answerDhcp(request, { ...network, ipv4 }, mac, networks.records(), Date.now());
      const reply = ({ reply: answer }: DhcpAnswer) => {
        if (answer !== undefined) socket.write(writeDhcp(request, answer));
      };
      const complain = (error: unknown) => {
        if (!(error instanceof NetworkError)) throw error;
        warn(`${name}: no address for ${request.mac}: ${error.message}`);
      };
      try {
        const answer = answerNow();
        const isRecorded = answer.putLease !== undefined || (answer.dropLeases ?? []).length > 0;
        if (!isRecorded) return reply(answer);
      } catch (error) {
        return complain(error);
      }
      // An address is given once: nobody else gives any meanwhile.
      networks
        .exclusively(async () => {
          const answer = answerNow();
          networks.recordLease(answer);
          reply(answer);
        })
        .catch(complain);
    },
  });
  return { stop: () => socket.terminate() };
}
