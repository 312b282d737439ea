/** Addresses: what to listen on, and under which ones a browser gets here. Pure but for the list of interfaces. */
import { networkInterfaces } from "node:os";
import { UsageError } from "../lib/errors.ts";

export interface Listen {
  /** Without brackets. */
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
}

/** `127.0.0.1:8080`, `[::1]:8080`, `:8080` for all addresses, `8080` for the loopback. Throws UsageError. */
export function parseListen(text: string): Listen {
  const [, bracketed, plain, digits = ""] =
    /^(?:(?:\[([0-9a-fA-F:.%\w]+)\]|([^:[\]]*)):)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === "" || port > 65_535) {
    throw new UsageError(`--listen ${text}: not an address and a port`, { hint: "--listen 127.0.0.1:8080" });
  }
  if (bracketed !== undefined) return { host: bracketed, port };
  if (plain === undefined) return { host: "127.0.0.1", port };
  return { host: plain === "" || plain === "*" ? "0.0.0.0" : plain, port };
}

/** An address as it stands in a URL. */
export function baseUrl({ host, port }: Listen): string {
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

export function isLoopback({ host }: Listen): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

/** The URLs under which a server that listens there is reached: one for each of this machine's addresses. */
export function reachableUrls(listen: Listen, interfaces = networkInterfaces()): string[] {
  const { host, port } = listen;
  if (host !== "0.0.0.0" && host !== "::") return [baseUrl(listen)];
  const addresses = Object.values(interfaces).flatMap((list = []) => list);
  const outer = addresses.filter(({ internal, family, address }) => {
    if (internal) return false;
    // Link-local addresses need the name of the browser's own interface behind them.
    return family === "IPv4" ? !address.startsWith("169.254.") : host === "::" && !/^fe[89ab]/i.test(address);
  });
  return ["127.0.0.1", ...outer.map(({ address }) => address)].map((address) =>
    baseUrl({ host: address, port }),
  );
}
