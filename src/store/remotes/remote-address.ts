/** Addresses of other servers. Pure. */
import { RemoteError } from "./remote-error.ts";

export interface RemoteAddress {
  /** `https://builds.robur.coop`, without a slash behind. */
  readonly origin: string;
  /** The header Authorization; undefined for who asks as nobody in particular. */
  readonly authorization: string | undefined;
}

/**
 * `https://builds.robur.coop`, `http://name:password@192.168.1.5:3000/upload`: the name and password that builder's
 * uploaders have in their address are taken from there. Throws RemoteError bad-address.
 */
export function parseRemoteAddress(text: string): RemoteAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol) || url.hostname === "") {
    throw bad(text, "it is https://NAME or http://NAME:PORT");
  }
  const path = url.pathname.replace(/\/+$/, "");
  if ((path !== "" && path !== "/upload") || url.search !== "" || url.hash !== "") {
    throw bad(text, "the builds are at the root of a server: nothing may stand behind its name");
  }
  const { username, password, origin } = url;
  if (username === "" && password === "") return { origin, authorization: undefined };
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { origin, authorization: `Basic ${Buffer.from(credentials).toString("base64")}` };
}

function bad(text: string, why: string): RemoteError {
  // What stands before the @ is nothing for a terminal or a log.
  return new RemoteError("bad-address", `${text.replace(/\/\/[^/@]*@/, "//…@")} is no address of a server`, {
    why,
    hint: "https://builds.robur.coop",
  });
}
