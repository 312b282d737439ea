/** The DHCP and DNS responders of networks, in whichever robur process is there: one for each network at a time. */
import { O_CLOEXEC, O_CREAT, O_RDWR, OsError, close, open } from "../linux/libc.ts";
import { tryLock } from "../linux/sockets.ts";
import { startDhcp } from "./dhcp-responder.ts";
import { startDns } from "./dns-responder.ts";
import type { Networks } from "./networks.ts";
import { networkOf } from "./records.ts";

/** How soon another process takes over from one that ended. */
const TAKE_OVER_MS = 500;

export interface Responders {
  /** Resolves when every network was tried once. */
  readonly ready: Promise<void>;
  stop(): void;
}

interface Running {
  readonly network: string;
  stop(): void;
}

/**
 * Answers on these networks as long as it isn't stopped. Where another process does already, it waits for its end.
 * `warn` gets a sentence for a port that somebody else has.
 */
export function startResponders(
  networks: Networks,
  home: string,
  names: readonly string[],
  warn: (sentence: string) => void,
): Responders {
  let isStopped = false;
  const running = new Map<string, Running>();
  const said = new Set<string>();
  const sayOnce = (sentence: string) => {
    if (!said.has(sentence)) warn(sentence);
    said.add(sentence);
  };

  const tryAll = async () => {
    for (const name of names) {
      if (isStopped || running.has(name)) continue;
      const started = await tryStart(networks, home, name, sayOnce);
      if (started === undefined) continue;
      if (isStopped) started.stop();
      else running.set(name, started);
    }
  };
  const ready = tryAll();
  const timer = setInterval(() => {
    tryAll().catch((error: unknown) => sayOnce(error instanceof Error ? error.message : String(error)));
  }, TAKE_OVER_MS);
  timer.unref();
  return {
    ready,
    stop() {
      isStopped = true;
      clearInterval(timer);
      for (const one of running.values()) one.stop();
      running.clear();
    },
  };
}

async function tryStart(
  networks: Networks,
  home: string,
  name: string,
  warn: (sentence: string) => void,
): Promise<Running | undefined> {
  const network = networkOf(networks.records(), name);
  // Nobody asks us on a bridge of somebody else's, and where we give no addresses.
  if (network === undefined || network.adopted || network.ipv4 === null) return undefined;
  const path = `${home}/responder-${name}.lock`;
  const lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600);
  if (lock < 0) throw new OsError(path, -lock);
  if (!tryLock(lock)) {
    close(lock);
    return undefined;
  }
  const parts: { stop(): void }[] = [];
  for (const start of [startDhcp, startDns]) {
    try {
      parts.push(await start(networks, network, warn));
    } catch (error) {
      warn(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return {
    network: name,
    stop() {
      for (const part of parts) part.stop();
      close(lock);
    },
  };
}
