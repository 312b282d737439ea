/** The cookies of a request, and those of an answer. */

/** The value of a cookie; undefined where there is none. */
export function readCookie(request: Request, name: string): string | undefined {
  const header = request.headers.get("cookie");
  if (header === null) return undefined;
  for (const part of header.split(";")) {
    const at = part.indexOf("=");
    if (at > 0 && part.slice(0, at).trim() === name) return part.slice(at + 1).trim();
  }
  return undefined;
}

export interface CookieOptions {
  /** Seconds; 0 takes the cookie away. */
  readonly maxAge: number;
  readonly isSecure: boolean;
}

/** A Set-Cookie header: for this host only, out of reach of scripts, not sent along by other sites' forms. */
export function writeCookie(name: string, value: string, { maxAge, isSecure }: CookieOptions): string {
  const parts = [`${name}=${value}`, "Path=/", "HttpOnly", "SameSite=Lax", `Max-Age=${maxAge}`];
  if (isSecure) parts.push("Secure");
  return parts.join("; ");
}
