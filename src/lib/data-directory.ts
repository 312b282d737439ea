/** Where robur keeps what must survive. */
import { homedir } from "node:os";
import { join, resolve } from "node:path";

/**
 * The data directory, absolute: what was asked for, ROBUR_DATA_DIR, systemd's state directory, /var/lib/robur for
 * root, else the user's own.
 */
export function dataDirectory(
  asked: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
  isRoot: boolean,
): string {
  if (asked !== undefined) return resolve(asked);
  const { ROBUR_DATA_DIR, STATE_DIRECTORY, XDG_DATA_HOME, HOME } = environment;
  if (ROBUR_DATA_DIR) return resolve(ROBUR_DATA_DIR);
  if (STATE_DIRECTORY) return STATE_DIRECTORY.split(":")[0]!;
  if (isRoot) return "/var/lib/robur";
  if (XDG_DATA_HOME) return join(XDG_DATA_HOME, "robur");
  return join(HOME || homedir(), ".local/share/robur");
}
