import { RoburError } from "../lib/errors.ts";

/** Everything that keeps a network from being what was asked for. */
export type NetworkErrorCode =
  /** No network, unikernel or publication of that name. */
  | "missing"
  | "exists"
  | "in-use"
  | "bad-name"
  | "bad-range"
  /** No free private range, or no free address in a range. */
  | "exhausted"
  | "bad-port"
  | "port-in-use"
  /** No CAP_NET_ADMIN. */
  | "not-permitted"
  /** ip or nft or passt isn't installed. */
  | "program-missing"
  /** ip or nft refused what it was told. */
  | "program-failed"
  | "no-bridge"
  /** Another robur is changing networks and doesn't come to an end. */
  | "busy"
  | "not-confirmed";

export class NetworkError extends RoburError<NetworkErrorCode> {}
