/** Which server a worker works for, and by which protocol. Pure, but for looking which sockets there are. */
import { UsageError } from "../../lib/errors.ts";
import type { ServerAddress } from "../../builds/worker/server-link.ts";
import { chooseTarget } from "./target.ts";

export interface WorkerServerFlags {
  readonly server: string | undefined;
  readonly host: string | undefined;
  readonly protocol: "robur" | "builder" | undefined;
}

export type WorkerServer =
  | { readonly kind: "robur"; readonly address: ServerAddress }
  | { readonly kind: "builder"; readonly remote: { readonly host: string; readonly port: number } };

const BUILDER_PORT = "1234";
const EXAMPLE = "--server https://builds.example.org, or --server tcp://192.0.2.1:1234";

/** tcp:// is builder's protocol; everything else is a server of robur's own, as --host has it. Throws UsageError. */
export function chooseServer(
  { server, host, protocol }: WorkerServerFlags,
  environment: Readonly<Record<string, string | undefined>>,
  isRoot: boolean,
): WorkerServer {
  if (server !== undefined && host !== undefined && server !== host) {
    throw new UsageError("--server and --host: one of them", { hint: EXAMPLE });
  }
  const named = server ?? host;
  const isTcp = named?.startsWith("tcp://") === true;
  if (isTcp && protocol === "robur") {
    throw new UsageError(`${named} is a builder-server's address`, {
      why: "robur's own protocol is HTTP",
      hint: "--server https://builds.example.org",
    });
  }
  if (isTcp || protocol === "builder") return { kind: "builder", remote: parseRemote(named) };
  if (named !== undefined && !named.startsWith("/") && !named.includes("://")) {
    throw new UsageError(`${named} is no server`, { why: "it doesn't say by which protocol", hint: EXAMPLE });
  }
  const target = chooseTarget(named, environment, isRoot);
  const address: ServerAddress =
    target.kind === "http"
      ? { origin: target.origin, unix: undefined, token: target.token }
      : { origin: "http://localhost", unix: target.path, token: undefined };
  return { kind: "robur", address };
}

/** `tcp://HOST:PORT`, where all but HOST may be left out. */
function parseRemote(text = "127.0.0.1"): { readonly host: string; readonly port: number } {
  const [, six, plain = six ?? "", port = BUILDER_PORT] =
    /^(?:tcp:\/\/)?(?:\[([\da-fA-F:.]+)\]|([^:/[\]@\s]+))(?::(\d{1,5}))?\/?$/.exec(text) ?? [];
  if (plain !== "" && Number(port) > 0 && Number(port) < 65_536) return { host: plain, port: Number(port) };
  throw new UsageError(`${text}: not tcp://HOST:PORT`, { hint: "--server tcp://127.0.0.1:1234" });
}
