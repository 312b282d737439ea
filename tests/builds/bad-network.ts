/** A network between a worker and its server, which can go silent and can break a connection. */
import { type Socket, connect, createServer } from "node:net";

export class BadNetwork implements Disposable {
  readonly #target: number;
  readonly #sockets = new Set<Socket>();
  #isSilent = false;
  #breakAt: { readonly path: string; readonly bytes: number } | undefined;
  /** How many connections it broke. */
  broken = 0;
  readonly #server = createServer({ allowHalfOpen: true }, (socket) => this.#pass(socket));

  private constructor(target: number) {
    this.#target = target;
  }

  /** To a port of the loopback. */
  static async open(target: number): Promise<BadNetwork> {
    const network = new BadNetwork(target);
    const { promise, resolve } = Promise.withResolvers<void>();
    network.#server.listen(0, "127.0.0.1", () => resolve());
    await promise;
    return network;
  }

  get origin(): string {
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
  }

  /** Nothing gets through any more, in either direction, and nobody is told. */
  silence(): void {
    this.#isSilent = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** What was sent meanwhile never arrives: its connections are forgotten. */
  mend(): void {
    this.#isSilent = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Breaks the next connection with a request for that path, when so many bytes of it have passed. */
  breakNext(path: string, bytes: number): void {
    this.#breakAt = { path, bytes };
  }

  #pass(near: Socket): void {
    const far = connect({ host: "127.0.0.1", port: this.#target });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(socket);
      if (this.#isSilent) socket.pause();
      socket.on("end", () => other.end());
      socket.on("error", () => undefined);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
    far.on("data", (bytes: Uint8Array) => near.write(bytes));
    let passed = 0;
    let limit: number | undefined;
    near.on("data", (bytes: Uint8Array) => {
      const { path = "", bytes: count = 0 } = this.#breakAt ?? {};
      if (path !== "" && Buffer.from(bytes).includes(`POST ${path}`)) {
        this.#breakAt = undefined;
        passed = 0;
        limit = count;
      }
      passed += bytes.length;
      if (limit === undefined || passed < limit) return far.write(bytes);
      this.broken += 1;
      near.destroy();
      return far.destroy();
    });
  }

  [Symbol.dispose](): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
