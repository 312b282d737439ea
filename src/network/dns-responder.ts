/**
 * The DNS of a network: names of unikernels are answered from the records, everything else is asked of the host's
 * own resolver and handed back. UDP and TCP, on the bridge's address only, so it meets no resolver on 127.0.0.53.
 */
import { readFileSync } from "node:fs";
import { hostOf, parseAddress } from "./addresses.ts";
import { RCODE, type DnsQuestion, idOf, readQuestion, withId, writeAnswer } from "./dns-message.ts";
import { answerName } from "./dns-names.ts";
import { NetworkError } from "./network-error.ts";
import type { Networks } from "./networks.ts";
import { listeners, processOfSocket } from "./ports.ts";
import type { NetworkRecord } from "./records.ts";

const PORT = 53;
const UPSTREAM_TIMEOUT_MS = 4000;
/** Questions that may wait for the host's resolver at one time; a flood is refused, not queued. */
const WAITING_MAX = 256;
const TCP_MAX = 64;
const TCP_IDLE_S = 10;

/** The name servers in a resolv.conf(5), those of this network left out. */
export function nameServers(text: string, own: readonly string[]): string[] {
  return text.split("\n").flatMap((line) => {
    const [, address = ""] = /^\s*nameserver\s+([^\s#;%]+)/.exec(line) ?? [];
    return parseAddress(address) === undefined || own.includes(address) ? [] : [address];
  });
}

/** Answers until it is stopped. Throws NetworkError port-in-use with the name of who has port 53. */
export async function startDns(networks: Networks, network: NetworkRecord): Promise<{ stop(): void }> {
  const { name, ipv4 } = network;
  if (ipv4 === null) return { stop: () => undefined };
  const hostname = hostOf(ipv4);
  const own = [network.ipv4, network.ipv6].filter((address) => address !== null).map(hostOf);
  const upstream = () => nameServers(readFileSync("/etc/resolv.conf", "utf8"), own);
  let waiting = 0;

  const answer = async (message: Uint8Array, overTcp: boolean): Promise<Uint8Array | undefined> => {
    const question = readQuestion(message);
    if (question === undefined) return undefined;
    const known = answerName(question, network, networks.records());
    if (known !== undefined) return writeAnswer(question, known);
    if (waiting >= WAITING_MAX) return refuse(question, RCODE.refused);
    waiting += 1;
    try {
      const found = await forward(message, upstream(), overTcp);
      return found ?? refuse(question, RCODE.failure);
    } finally {
      waiting -= 1;
    }
  };

  try {
    const udp = await Bun.udpSocket({
      hostname,
      port: PORT,
      binaryType: "uint8array",
      socket: {
        data(socket, data, port, address) {
          void answer(data, false).then((reply) => {
            if (reply !== undefined && !socket.closed) socket.send(reply, port, address);
          });
        },
        error: () => undefined,
      },
    });
    const tcp = listenTcp(hostname, (message) => answer(message, true));
    return {
      stop() {
        udp.close();
        tcp.stop(true);
      },
    };
  } catch (error) {
    if ((error as { code?: string }).code !== "EADDRINUSE") throw error;
    const holder = listeners().find(({ port, address }) => port === PORT && ["", hostname].includes(address));
    const who =
      holder === undefined ? "another program" : (processOfSocket(holder.inode) ?? "another program");
    throw new NetworkError("port-in-use", `no names on the network ${name}: ${who} has port 53`, {
      hint: `let it listen on other addresses than ${hostname}`,
    });
  }
}

function refuse(question: DnsQuestion, rcode: number): Uint8Array {
  return writeAnswer(question, { rcode, answers: [], isAuthoritative: false });
}

/** Asks one name server after the other, as the question came: a client over TCP is answered over TCP. */
async function forward(
  message: Uint8Array,
  servers: readonly string[],
  overTcp: boolean,
): Promise<Uint8Array | undefined> {
  for (const server of servers) {
    const id = crypto.getRandomValues(new Uint16Array(1))[0]!;
    const question = withId(message, id);
    const reply = await (overTcp ? askTcp(question, server) : askUdp(question, server));
    if (reply !== undefined) return withId(reply, idOf(message));
  }
  return undefined;
}

/** A socket of its own for each question: the port that the answer must come to can't be guessed. */
async function askUdp(question: Uint8Array, server: string): Promise<Uint8Array | undefined> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
  const timer = setTimeout(() => resolve(undefined), UPSTREAM_TIMEOUT_MS);
  const socket = await Bun.udpSocket({
    connect: { hostname: server, port: PORT },
    binaryType: "uint8array",
    socket: {
      data(_, reply) {
        if (reply.length >= 12 && idOf(reply) === idOf(question)) resolve(reply);
      },
      error: () => resolve(undefined),
    },
  });
  socket.send(question);
  const reply = await promise;
  clearTimeout(timer);
  socket.close();
  return reply;
}

async function askTcp(question: Uint8Array, server: string): Promise<Uint8Array | undefined> {
  const { promise, resolve } = Promise.withResolvers<Uint8Array | undefined>();
  const timer = setTimeout(() => resolve(undefined), UPSTREAM_TIMEOUT_MS);
  const messages = new TcpMessages();
  try {
    const socket = await Bun.connect({
      hostname: server,
      port: PORT,
      socket: {
        binaryType: "uint8array",
        open: (socket) => void socket.write(withLength(question)),
        data: (_, data) => {
          for (const reply of messages.add(data)) if (idOf(reply) === idOf(question)) resolve(reply);
        },
        close: () => resolve(undefined),
        error: () => resolve(undefined),
      },
    });
    const reply = await promise;
    socket.terminate();
    return reply;
  } catch {
    // It takes no connections; the next one may.
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

/** Messages over TCP have two bytes of length before them (RFC 1035, 4.2.2). */
function withLength(message: Uint8Array): Uint8Array {
  return new Uint8Array([message.length >> 8, message.length & 255, ...message]);
}

export class TcpMessages {
  #rest: Uint8Array = new Uint8Array();

  /** The messages that are whole with these bytes; each has at least a header. */
  add(bytes: Uint8Array): Uint8Array[] {
    let rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const messages: Uint8Array[] = [];
    while (rest.length >= 2) {
      const length = (rest[0]! << 8) | rest[1]!;
      if (rest.length < 2 + length) break;
      if (length >= 12) messages.push(rest.slice(2, 2 + length));
      rest = rest.subarray(2 + length);
    }
    this.#rest = rest.slice();
    return messages;
  }
}

function listenTcp(
  hostname: string,
  answer: (message: Uint8Array) => Promise<Uint8Array | undefined>,
): Bun.TCPSocketListener<TcpMessages> {
  let open = 0;
  return Bun.listen<TcpMessages>({
    hostname,
    port: PORT,
    socket: {
      binaryType: "uint8array",
      open(socket) {
        socket.data = new TcpMessages();
        open += 1;
        if (open > TCP_MAX) socket.terminate();
        else socket.timeout(TCP_IDLE_S);
      },
      close: () => void (open -= 1),
      timeout: (socket) => socket.terminate(),
      error: () => undefined,
      data(socket, data) {
        for (const message of socket.data.add(data)) {
          void answer(message).then((reply) => {
            if (reply === undefined) socket.terminate();
            else socket.write(withLength(reply));
          });
        }
      },
    },
  });
}
