/**
 * Keeps other sites from making a browser change something here in its user's name. Browsers tell with each request
 * that changes something which site it comes from (Origin, Sec-Fetch-Site); programs, which send no cookie, needn't.
 * Together with SameSite=Lax cookies this needs no secret in each form. https://fetch.spec.whatwg.org/#origin-header
 */

/** Why a request is refused, or undefined. Pure. */
export function refuseOrigin(request: Request, isCookieUsed: boolean): string | undefined {
  const isSafe = request.method === "GET" || request.method === "HEAD" || request.method === "OPTIONS";
  // A WebSocket begins as a GET, and no other rule keeps a page of another site from opening one.
  if (isSafe && !request.headers.has("upgrade")) return undefined;
  const site = request.headers.get("sec-fetch-site");
  if (site !== null && site !== "same-origin" && site !== "none")
    return `it comes from another site (${site})`;
  const origin = request.headers.get("origin");
  if (origin !== null) {
    return isOwn(origin, request.headers.get("host")) ? undefined : `it comes from ${origin}`;
  }
  if (site !== null || !isCookieUsed) return undefined;
  return "it doesn't tell where it comes from";
}

/** Only host and port count: behind a proxy the scheme that the browser sees is not this server's. */
function isOwn(origin: string, host: string | null): boolean {
  const parsed = URL.parse(origin);
  if (parsed === null || host === null) return false;
  const own = URL.parse(`${parsed.protocol}//${host}`);
  return own !== null && own.host === parsed.host;
}
