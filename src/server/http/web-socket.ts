/** WebSockets (RFC 6455), once the front door has let one in. */

/** One open connection. */
export interface Socket {
  /** Text, or bytes as a binary message. */
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code: number, reason: string): void;
}

/** What a connection is for. Each is made for one connection. */
export interface SocketHandlers {
  open(socket: Socket): void;
  message(data: string | Uint8Array): void;
  close(): void;
}

/** The longest message that is taken. */
const MESSAGE_MAX = 64 * 1024;
/** What a connection that takes nothing may have waiting; senders wait for acknowledgements long before. */
const BACKLOG_MAX = 4 * 1024 * 1024;

/** Hands everything to the handlers that a connection was made with. */
export const WEB_SOCKETS: Bun.WebSocketHandler<SocketHandlers> = {
  maxPayloadLength: MESSAGE_MAX,
  backpressureLimit: BACKLOG_MAX,
  closeOnBackpressureLimit: true,
  // Pings go out before that: who is there but silent stays.
  idleTimeout: 120,
  sendPings: true,
  perMessageDeflate: false,
  open(ws) {
    ws.data.open({
      send: (data) => void ws.send(data),
      close: (code, reason) => ws.close(code, reason),
    });
  },
  message(ws, data) {
    ws.data.message(typeof data === "string" ? data : new Uint8Array(data));
  },
  close(ws) {
    ws.data.close();
  },
};
