/** Headers of every answer. */

/**
 * Nothing but our own files, no script or style in the page, no frame. Referrer-Policy same-origin and not
 * no-referrer, because with that browsers hide the Origin of our own forms as well.
 */
const SECURITY: readonly (readonly [string, string])[] = [
  [
    "content-security-policy",
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
      "font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  ],
  ["x-content-type-options", "nosniff"],
  ["x-frame-options", "DENY"],
  ["referrer-policy", "same-origin"],
  ["cross-origin-opener-policy", "same-origin"],
  ["cross-origin-resource-policy", "same-origin"],
  ["permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"],
];

/** For the pages that stand in frames of other pages of ours. */
export const FRAMED_BY_US: Readonly<Record<string, string>> = {
  "content-security-policy": SECURITY[0]![1].replace("frame-ancestors 'none'", "frame-ancestors 'self'"),
  "x-frame-options": "SAMEORIGIN",
};

/** For pages that have frames with other pages of ours in them. */
export const FRAMES_OURS: Readonly<Record<string, string>> = {
  "content-security-policy": `${SECURITY[0]![1]}; frame-src 'self'`,
};

/**
 * For the page with a terminal, which writes style sheets of its own as it learns colours and sizes. Scripts are as
 * limited there as anywhere.
 */
export const HAS_TERMINAL: Readonly<Record<string, string>> = {
  "content-security-policy": SECURITY[0]![1].replace("style-src 'self'", "style-src 'self' 'unsafe-inline'"),
};

/** Sets them where the answer doesn't say otherwise. What doesn't ask to be cached isn't. */
export function addHeaders(headers: Headers, id: string): void {
  for (const [name, value] of SECURITY) if (!headers.has(name)) headers.set(name, value);
  if (!headers.has("cache-control")) headers.set("cache-control", "no-store");
  headers.set("x-request-id", id);
}
