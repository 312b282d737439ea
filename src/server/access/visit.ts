/**
 * What is known of a request beside the request: where it came in, who asks. Kept beside it, since the framework
 * hands the same Request object to every handler.
 */
import { HttpError } from "../http/http-error.ts";
import type { SocketHandlers } from "../http/web-socket.ts";
import type { Principal } from "./principal.ts";

/** Where a connection comes from. */
export interface Peer {
  readonly via: "tcp" | "socket";
  /** The other end's IP address; empty on the socket. */
  readonly address: string;
  /** Lets the connection be silent for as long as it likes: for streams. */
  readonly keepOpen: () => void;
  /** The same until the request is answered: for uploads. */
  readonly waitForAnswer?: () => void;
  /** Makes the connection a WebSocket; false where that can't be. The request's answer is not sent then. */
  readonly upgrade?: (handlers: SocketHandlers) => boolean;
}

export interface Visit {
  /** In error messages, the log and the audit log. */
  readonly id: string;
  readonly peer: Peer;
  /** The visitor's address, which behind a proxy is not the peer's. */
  readonly address: string;
  /** The visitor's connection is encrypted, as far as this server can know. */
  readonly isSecure: boolean;
  readonly principal: Principal;
  /** The audit log's entry of this request, while its outcome is to be written. */
  auditId: number | undefined;
}

const visits = new WeakMap<Request, Visit>();

export function rememberVisit(request: Request, visit: Visit): void {
  visits.set(request, visit);
}

/** The visit of a request that came through the front door; there is no other way in. */
export function visitOf(request: Request): Visit {
  const visit = visits.get(request);
  if (visit === undefined)
    throw new HttpError(500, "no-visit", "this request did not come through the front door");
  return visit;
}
