/**
 * A network without any right to make one: passt stands between a unikernel's frames and ordinary sockets of this
 * user. It speaks QEMU's stream protocol, frames with their length as 4 bytes before them, big-endian
 * (passt(1), qemu's net/stream.c). A guest reads and writes frames alone, so a pair of sockets that keep messages
 * apart goes to its tender, for hvt and spt alike, and the two are joined here.
 *
 * One passt serves one device, and ends when its connection does.
 */
import { networkInterfaces } from "node:os";
import { setCloseOnExec, close, readSmallFile } from "../linux/libc.ts";
import { socketPair, watchDescriptor, type DescriptorSocket } from "../linux/sockets.ts";
import { cidr, formatAddress } from "./addresses.ts";
import { NetworkError } from "./network-error.ts";
import { checkPortFree, formatPort, type PortSpec } from "./ports.ts";
import { findProgram, needProgram } from "./programs.ts";

/** Bytes of the length before each frame. */
const PREFIX = 4;
/** Longer frames don't exist (65535 and an Ethernet header); whoever says so has lost the thread. */
const FRAME_MAX = 65_535 + 18;
/** What waits for passt to read it; more is dropped, as a full queue of a network card drops. */
const WAITING_MAX = 1024 * 1024;
/** The descriptor that passt finds its connection at. */
const PASSED_FD = 3;

export interface PasstSpec {
  /** The unikernel's address with prefix length, and its router's, which is this host. */
  readonly ipv4: string;
  readonly gateway: string;
  readonly ports: readonly PortSpec[];
}

export interface Passt {
  /** For the tender; closed by the caller once the tender has it. */
  readonly fd: number;
  /** Resolves to what passt said when it ended early. */
  readonly failed: Promise<NetworkError>;
  stop(): Promise<void>;
}

/** Whether it is installed. */
export const hasPasst = () => findProgram("passt") !== undefined;

/** passt's own arguments. Ports that aren't published are closed: its default is to forward by number. */
export function passtArguments({ ipv4, gateway, ports }: PasstSpec): string[] {
  const address = cidr(ipv4);
  const forms = (protocol: PortSpec["protocol"]) =>
    ports
      .filter((port) => port.protocol === protocol)
      .map(({ address: at, hostPort, guestPort }) => `${at === "" ? "" : `${at}/`}${hostPort}:${guestPort}`);
  const tcp = forms("tcp");
  const udp = forms("udp");
  return [
    ...["--foreground", "--quiet", "--stderr", "--one-off", "--fd", String(PASSED_FD), "--ipv4-only"],
    ...["--address", formatAddress(address), "--netmask", String(address.length), "--gateway", gateway],
    // The guest's resolver is the router's address; passt asks the host's.
    ...["--dns-forward", gateway, "--mtu", "1500"],
    ...(tcp.length === 0 ? ["--tcp-ports", "none"] : tcp.flatMap((form) => ["--tcp-ports", form])),
    ...(udp.length === 0 ? ["--udp-ports", "none"] : udp.flatMap((form) => ["--udp-ports", form])),
  ];
}

/** Starts passt and joins it to a descriptor for a tender. Throws NetworkError. */
export async function startPasst(spec: PasstSpec): Promise<Passt> {
  const program = needProgram("passt");
  for (const port of spec.ports) checkPortFree(port, []);
  const [ours, theirs] = socketPair("stream");
  const [pump, guest] = socketPair("messages");
  setCloseOnExec(theirs, false);
  const child = Bun.spawn([program, ...passtArguments(spec), ...wayOut()], {
    stdio: ["ignore", "ignore", "pipe", theirs],
  });
  close(theirs);
  const { promise: failed, resolve } = Promise.withResolvers<NetworkError>();
  let isStopped = false;
  void Promise.all([child.exited, child.stderr.text()]).then(([status, said]) => {
    if (!isStopped) resolve(passtFailure(status, said, spec));
  });
  const sockets = await join(ours, pump);
  return {
    fd: guest,
    failed,
    async stop() {
      isStopped = true;
      for (const socket of sockets) socket.terminate();
      await child.exited;
    },
  };
}

/** passt looks for a default route; on a host without one it must be told which interface leads out. */
function wayOut(): string[] {
  const routes = (readSmallFile("/proc/self/net/route") ?? "").split("\n").slice(1);
  if (routes.some((line) => line.split("\t")[1] === "00000000")) return [];
  const found = Object.entries(networkInterfaces()).find(([, addresses = []]) =>
    addresses.some(({ family, internal }) => family === "IPv4" && !internal),
  );
  return found === undefined ? [] : ["--interface", found[0]];
}

/** What it says without a system logger is of no interest. */
const withoutNoise = (text: string) =>
  text
    .split("\n")
    .filter((line) => !line.startsWith("Failed to send"))
    .join("\n")
    .trim();

function passtFailure(status: number, said: string, { ports }: PasstSpec): NetworkError {
  const why = withoutNoise(said) || `it ended with status ${status}`;
  const privileged = ports.find(({ hostPort }) => hostPort < 1024);
  const hint =
    privileged === undefined
      ? undefined
      : `a port from 1024 on: -p ${formatPort({ ...privileged, hostPort: privileged.hostPort + 8000 })}`;
  return new NetworkError("program-failed", "passt ended", { why, ...(hint === undefined ? {} : { hint }) });
}

/** Carries frames both ways between passt's stream and the guest's messages. */
async function join(stream: number, messages: number): Promise<DescriptorSocket[]> {
  const outgoing = new FrameQueue();
  const incoming = new FrameReader();
  const [passt, guest] = await Promise.all([
    watchDescriptor(stream, {
      data: (bytes) => {
        // A guest that doesn't keep up loses frames: write answers 0 where its queue is full.
        for (const frame of incoming.add(bytes)) guest.write(frame);
      },
      drain: () => outgoing.flush((bytes) => passt.write(bytes)),
    }),
    watchDescriptor(messages, {
      data: (frame) => {
        outgoing.add(frame);
        outgoing.flush((bytes) => passt.write(bytes));
      },
    }),
  ]);
  return [passt, guest];
}

/** Frames on their way to a stream that may take a part of one. */
export class FrameQueue {
  #waiting: Uint8Array[] = [];
  #size = 0;

  /** A frame is taken whole or not at all. */
  add(frame: Uint8Array): void {
    if (this.#size + frame.length > WAITING_MAX) return;
    const bytes = new Uint8Array(PREFIX + frame.length);
    new DataView(bytes.buffer).setUint32(0, frame.length, false);
    bytes.set(frame, PREFIX);
    this.#waiting.push(bytes);
    this.#size += bytes.length;
  }

  /** Writes until nothing is left or no more is taken. `write` answers how many bytes it took. */
  flush(write: (bytes: Uint8Array) => number): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const taken = Math.max(0, write(next));
      this.#size -= taken;
      if (taken < next.length) {
        this.#waiting[0] = next.subarray(taken);
        return;
      }
      this.#waiting.shift();
    }
  }
}

/** Frames out of a stream that cuts where it likes. */
export class FrameReader {
  #rest: Uint8Array = new Uint8Array();

  /** The frames that are whole with these bytes. Throws NetworkError program-failed for a length that can't be. */
  add(bytes: Uint8Array): Uint8Array[] {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const view = new DataView(all.buffer, all.byteOffset, all.byteLength);
    const frames: Uint8Array[] = [];
    let at = 0;
    while (all.length - at >= PREFIX) {
      const length = view.getUint32(at, false);
      if (length > FRAME_MAX)
        throw new NetworkError("program-failed", `passt sent a frame of ${length} bytes`);
      if (all.length - at < PREFIX + length) break;
      frames.push(all.subarray(at + PREFIX, at + PREFIX + length));
      at += PREFIX + length;
    }
    this.#rest = all.slice(at);
    return frames;
  }
}
