/**
 * HTTP/1.0 knows no Host, and what stands there needn't be one. The runtime has no more than the path for such a
 * request's address, which nothing else could parse.
 */

/** The request under an address that can be parsed; undefined where its Host can't be one (RFC 9112 3.2). */
export function addressed(request: Request): Request | undefined {
  if (URL.canParse(request.url)) return request;
  if ((request.headers.get("host") ?? "") !== "") return undefined;
  return new Request(`http://localhost${request.url}`, request);
}
