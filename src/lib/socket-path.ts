/** Where the server's Unix socket is. */
import { join } from "node:path";

/**
 * The socket: what was asked for, ROBUR_SOCKET, systemd's runtime directory, /run/robur for root, the user's runtime
 * directory, else in the data directory.
 */
export function socketPath(
  asked: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
  isRoot: boolean,
  dataDirectory: string,
): string {
  if (asked !== undefined) return asked;
  const { ROBUR_SOCKET, RUNTIME_DIRECTORY, XDG_RUNTIME_DIR } = environment;
  if (ROBUR_SOCKET) return ROBUR_SOCKET;
  if (RUNTIME_DIRECTORY) return join(RUNTIME_DIRECTORY.split(":")[0]!, "robur.sock");
  if (isRoot) return "/run/robur/robur.sock";
  return XDG_RUNTIME_DIR ? join(XDG_RUNTIME_DIR, "robur.sock") : join(dataDirectory, "robur.sock");
}
