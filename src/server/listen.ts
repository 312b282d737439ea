/** The two doors: TCP, and a Unix socket whose file mode says who may come in. */
import { chmodSync, chownSync, lstatSync, mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { RoburError } from "../lib/errors.ts";
import { readSmallFile } from "../linux/libc.ts";
import type { Listen } from "./addresses.ts";
import type { Peer } from "./access/visit.ts";
import type { Door } from "./front-door.ts";
import { UPLOAD_LIMIT } from "./http/limit-body.ts";
import { type SocketHandlers, WEB_SOCKETS } from "./http/web-socket.ts";

export type ListenErrorCode = "address-in-use" | "not-permitted" | "bad-address";

export class ListenError extends RoburError<ListenErrorCode> {}

type Server = Bun.Server<SocketHandlers>;

const COMMON = {
  // Above the limit that is told in words; this one only cuts off.
  maxRequestBodySize: UPLOAD_LIMIT + (1 << 20),
  idleTimeout: 30,
  development: false,
  // Follows from the line above otherwise: two servers would share a port, and each would get half of the requests.
  reusePort: false,
} as const;

/** Serves on an address. Throws ListenError. */
export function listenTcp({ host, port }: Listen, door: Door): Server {
  try {
    return Bun.serve({
      ...COMMON,
      hostname: host,
      port,
      websocket: WEB_SOCKETS,
      fetch: (request, server) => {
        const address = server.requestIP(request)?.address ?? "";
        return answer(door, request, server, { via: "tcp", address });
      },
    });
  } catch (error) {
    throw explain(error, `${host}:${port}`);
  }
}

/** Serves on a Unix socket of mode 0660, of the group robur where that exists. Throws ListenError. */
export async function listenUnix(path: string, door: Door): Promise<Server> {
  await removeStale(path);
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  // The runtime makes sockets that everybody may use; the mask is there before the file is.
  const mask = process.umask(0o117);
  try {
    // The runtime takes an idle time-out here as well; its types don't know that.
    const server = Bun.serve({
      ...(COMMON as Omit<typeof COMMON, "idleTimeout" | "reusePort">),
      unix: path,
      websocket: WEB_SOCKETS,
      fetch: (request, server) => answer(door, request, server, { via: "socket", address: "" }),
    });
    chmodSync(path, 0o660);
    giveToGroup(path);
    return server;
  } catch (error) {
    throw explain(error, path);
  } finally {
    process.umask(mask);
  }
}

/** Through the door; what became a WebSocket gets no further answer. */
async function answer(
  door: Door,
  request: Request,
  server: Server,
  from: Pick<Peer, "via" | "address">,
): Promise<Response | undefined> {
  let isUpgraded = false;
  let isWaiting = false;
  const response = await door(request, {
    ...from,
    keepOpen: () => server.timeout(request, 0),
    waitForAnswer: () => {
      isWaiting = true;
      server.timeout(request, 0);
    },
    upgrade: (data) => (isUpgraded = server.upgrade(request, { data })),
  });
  // The connection may be used again, or have been left: it must not stay for ever.
  if (isWaiting) server.timeout(request, COMMON.idleTimeout);
  return isUpgraded ? undefined : response;
}

/** A socket that nobody listens on is what a server left behind that was killed. Throws ListenError. */
async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new ListenError("bad-address", `${path} is no socket`, { hint: "another --socket" });
  }
  const isAlive = await Bun.connect({ unix: path, socket: { data() {} } }).then(
    (socket) => (socket.end(), true),
    () => false,
  );
  if (isAlive) {
    throw new ListenError("address-in-use", `${path}: another server listens there`, {
      hint: "another --socket",
    });
  }
  rmSync(path, { force: true });
}

/** Only root, or a member of the group, can give it away; for all others the socket stays their own. */
function giveToGroup(path: string): void {
  const gid = groupId(readSmallFile("/etc/group") ?? "", "robur");
  const isMember =
    process.getuid?.() === 0 || (gid !== undefined && process.getgroups?.().includes(gid) === true);
  if (gid !== undefined && isMember) chownSync(path, process.getuid?.() ?? 0, gid);
}

/** The number of a group in a group(5) file's text. */
export function groupId(text: string, name: string): number | undefined {
  for (const line of text.split("\n")) {
    const [group, , gid = ""] = line.split(":");
    if (group === name && /^\d+$/.test(gid)) return Number(gid);
  }
  return undefined;
}

function explain(error: unknown, address: string): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "EADDRINUSE") {
    return new ListenError("address-in-use", `${address}: another program listens there`, {
      hint: "another --listen, such as --listen 127.0.0.1:8081",
    });
  }
  if (code === "EACCES" || code === "EPERM") {
    return new ListenError("not-permitted", `${address}: permission denied`, {
      hint: "a port from 1024 on, or another --socket",
    });
  }
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND" || code === "EAI_NONAME") {
    return new ListenError("bad-address", `${address}: this machine doesn't have that address`, {
      hint: "ip address",
    });
  }
  return error;
}
