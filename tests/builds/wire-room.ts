/** A build service behind builder's protocol, and connections to it that are looked at. */
import { afterEach } from "bun:test";
import { type Socket, connect } from "node:net";
import { openDatabase } from "../../src/db/open.ts";
import { type BuildService, openBuildService } from "../../src/builds/service.ts";
import { type WireListener, listenBuilder } from "../../src/builds/wire/listen.ts";
import { FrameReader, messageFrame } from "../../src/protocols/builder/framing.ts";
import { type Message, decodeMessage } from "../../src/protocols/builder/messages.ts";
import { until } from "../robur.ts";
import { FakeStore } from "./fake-store.ts";

export interface Room {
  readonly service: BuildService;
  readonly store: FakeStore;
  readonly port: number;
  readonly reports: string[];
  now: number;
}

const open: { listener: WireListener; service: BuildService; sockets: Socket[] }[] = [];
afterEach(async () => {
  for (const { listener, service, sockets } of open.splice(0)) {
    for (const socket of sockets) socket.destroy();
    listener.stop();
    await service[Symbol.asyncDispose]();
  }
});

export async function room(): Promise<Room> {
  const store = new FakeStore();
  const reports: string[] = [];
  const clock = { now: Date.UTC(2026, 10, 21, 2, 6, 53) };
  const report = (text: string) => void reports.push(text);
  const service = openBuildService({
    ...{ db: openDatabase(":memory:"), contents: store.contents, builds: store.builds, report },
    templates: (platform) => `#!/bin/sh\norb %%OPAM_PACKAGE%% ${platform}\n`,
    now: () => clock.now,
  });
  const listener = listenBuilder({ service, host: "127.0.0.1", port: 0, report });
  open.push({ listener, service, sockets: [] });
  const { port } = await listener.listening;
  return {
    ...{ service, store, port, reports },
    get now() {
      return clock.now;
    },
    set now(now) {
      clock.now = now;
    },
  };
}

/** A connection that shows what came. */
export class Line {
  readonly socket: Socket;
  readonly got: Message[] = [];
  isOver = false;

  constructor(port: number, ...first: readonly (Message | Uint8Array)[]) {
    this.socket = connect({ host: "127.0.0.1", port });
    open.at(-1)!.sockets.push(this.socket);
    const reader = new FrameReader();
    this.socket.on("data", (bytes: Uint8Array) => this.got.push(...reader.push(bytes).map(decodeMessage)));
    this.socket.on("close", () => (this.isOver = true));
    this.socket.on("end", () => (this.isOver = true));
    this.socket.on("error", () => (this.isOver = true));
    for (const one of first) this.send(one);
  }

  send(one: Message | Uint8Array): void {
    this.socket.write(one instanceof Uint8Array ? one : messageFrame(one));
  }

  async end(): Promise<Message[]> {
    await until("the end of the connection", () => this.isOver);
    return this.got;
  }

  saw<Type extends Message["type"]>(type: Type): Promise<Extract<Message, { type: Type }>> {
    return until(type, () =>
      this.got.find((message): message is Extract<Message, { type: Type }> => message.type === type),
    );
  }
}

export const CLIENT: Message = { type: "client-hello", role: "client", version: 13 };
export const WORKER: Message = { type: "client-hello", role: "worker", version: 5 };
