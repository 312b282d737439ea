/** Which server is meant. Pure, but for looking which sockets there are. */
import { existsSync } from "node:fs";
import { UsageError } from "../../lib/errors.ts";
import { dataDirectory } from "../../lib/data-directory.ts";
import { socketPath } from "../../lib/socket-path.ts";

/** A Unix socket of this machine, or an address with a token. */
export type Target =
  | { readonly kind: "socket"; readonly path: string; readonly isChosen: boolean }
  | { readonly kind: "http"; readonly origin: string; readonly token: string | undefined };

type Environment = Readonly<Record<string, string | undefined>>;

/** The service's, whose group may use it without being root. */
const SYSTEM_SOCKET = "/run/robur/robur.sock";

/** --host, ROBUR_HOST, then the sockets where a server of this user or of the system has one. Throws UsageError. */
export function chooseTarget(
  host: string | undefined,
  environment: Environment,
  isRoot: boolean,
  exists: (path: string) => boolean = existsSync,
): Target {
  const asked = host ?? (environment["ROBUR_HOST"] || undefined);
  if (asked !== undefined) return parseHost(asked, environment);
  const own = socketPath(undefined, environment, isRoot, dataDirectory(undefined, environment, isRoot));
  const isElsewhere = !exists(own) && environment["ROBUR_SOCKET"] === undefined && exists(SYSTEM_SOCKET);
  return { kind: "socket", path: isElsewhere ? SYSTEM_SOCKET : own, isChosen: false };
}

function parseHost(text: string, environment: Environment): Target {
  const path = text.startsWith("unix://") ? text.slice("unix://".length) : text;
  if (path.startsWith("/")) return { kind: "socket", path, isChosen: true };
  if (URL.canParse(text)) {
    const { protocol, origin } = new URL(text);
    if (protocol === "http:" || protocol === "https:") {
      return { kind: "http", origin, token: environment["ROBUR_TOKEN"] || undefined };
    }
  }
  throw new UsageError(`${text} is no server`, {
    why: "it is https://NAME, http://NAME:PORT, or unix:///PATH",
    hint: "--host https://robur.example.org",
  });
}

/** A server as error messages name it. */
export function nameOfTarget(target: Target): string {
  return target.kind === "socket" ? target.path : target.origin;
}
