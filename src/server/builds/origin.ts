/** This server as its visitor reached it, for commands and feeds that are used elsewhere. */
import { visitOf } from "../access/visit.ts";

/** `https://builds.example`, without a slash at its end. */
export function originOf(request: Request): string {
  const { host } = new URL(request.url);
  return `${visitOf(request).isSecure ? "https" : "http"}://${host}`;
}
