/** Which of a resource's forms an answer has. Pure. */

/**
 * Whether JSON is asked for, as builder-web decides it: an element of Accept is application/json, wherever it stands
 * and whatever its q. `*` doesn't count.
 */
export function wantsJson(request: Request): boolean {
  return (request.headers.get("accept") ?? "")
    .split(",")
    .some((element) => element.split(";")[0]!.trim() === "application/json");
}

/** An answer in JSON: compact, and with the bare type that the original sends. */
export function json(value: unknown, headers: Readonly<Record<string, string>> = {}, status = 200): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: { "content-type": "application/json", vary: "Accept", ...headers },
  });
}

/** To another path of this server: without scheme and host, since the original's clients read nothing else. */
export function redirect(status: 301 | 302 | 303 | 307, path: string): Response {
  return new Response(null, {
    status,
    headers: { location: path, "content-length": "0", "cache-control": "no-cache", vary: "Accept" },
  });
}
