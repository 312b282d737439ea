/**
 * builder's TCP protocol: workers of version 5 and clients of versions 11 to 13. It knows no passwords: who reaches
 * the port may have any script executed, so it is bound to the loopback unless told otherwise.
 */
import { type Server, type Socket, createServer } from "node:net";
import { RoburError } from "../../lib/errors.ts";
import { CLIENT_VERSION, WORKER_VERSION } from "../../protocols/builder/messages.ts";
import type { BuildService } from "../service.ts";
import { serveClient } from "./serve-client.ts";
import { serveWorker } from "./serve-worker.ts";
import { Peer, PeerError } from "./peer.ts";

export interface WireOptions {
  readonly service: BuildService;
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  readonly report: (text: string) => void;
}

export interface WireListener {
  /** With the port that was taken; once it is. */
  readonly listening: Promise<{ readonly host: string; readonly port: number }>;
  stop(): void;
}

/** Workers wait for hours, so there may be many connections. */
const CONNECTIONS_MAX = 512;
const HELLO_MS = 30_000;
const HELLO_MAX = 4096;
/** Of a client's command: its script. */
const COMMAND_MAX = 16 * 1024 * 1024;
/** What earlier clients of the same grammar send. */
const OLDEST_CLIENT = 11;

/** Listens. A port that is taken is reported, and nothing else happens. */
export function listenBuilder({ service, host, port, report }: WireOptions): WireListener {
  const sockets = new Set<Socket>();
  const stopping = new AbortController();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    if (sockets.size >= CONNECTIONS_MAX) {
      socket.on("error", () => undefined);
      return socket.destroy();
    }
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    const peer = new Peer(socket, HELLO_MAX);
    void converse(service, peer, stopping.signal)
      .catch((error: unknown) => report(`builder connection ${peer.address}: ${describe(error)}`))
      .finally(() => peer.close());
  });
  const { promise: listening, resolve } = Promise.withResolvers<{ host: string; port: number }>();
  server.on("error", (error) => report(explain(error, host, port)));
  server.listen({ host, port, backlog: 64 }, () => resolve({ host, port: portOf(server, port) }));
  return {
    listening,
    stop() {
      stopping.abort();
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function portOf(server: Server, otherwise: number): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : otherwise;
}

function explain(error: Error, host: string, port: number): string {
  const isTaken = "code" in error && error.code === "EADDRINUSE";
  const why = isTaken ? "another program has the port" : error.message;
  return `builder's protocol is not served on ${host}:${port}: ${why} (--builder-listen ADDRESS:PORT, or off)`;
}

function describe(error: unknown): string {
  return error instanceof RoburError ? error.message : String(error);
}

async function converse(service: BuildService, peer: Peer, stopping: AbortSignal): Promise<void> {
  const hello = await peer.read(HELLO_MS);
  if (hello.type !== "client-hello") throw new PeerError("bad-frame", "it doesn't begin with a hello");
  const { role, version } = hello;
  const isKnown =
    role === "worker" ? version === WORKER_VERSION : version >= OLDEST_CLIENT && version <= CLIENT_VERSION;
  if (!isKnown) {
    const known = role === "worker" ? WORKER_VERSION : `${OLDEST_CLIENT} to ${CLIENT_VERSION}`;
    await peer.send({ type: "failure", message: `version ${version} is not known here: ${role} ${known}` });
    return;
  }
  if (role === "client") peer.allow(COMMAND_MAX);
  await peer.send({ type: "server-hello" });
  await (role === "worker"
    ? serveWorker(service, peer, stopping)
    : serveClient(service, peer, version, stopping));
}
