/** From a page's components to an answer, and what every page is told. */
import type { VNode } from "preact";
import { renderToString } from "preact-render-to-string";
import type { PageContext, Theme } from "../../../web/components/layout.tsx";
import type { Visit } from "../access/visit.ts";
import { BUNDLE } from "../assets.ts";
import { readCookie } from "../http/cookies.ts";
import { HttpError } from "../http/http-error.ts";

export const THEME_COOKIE = "robur_theme";

/** A page as an answer. */
export function html(page: VNode, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(`<!doctype html>${renderToString(page)}`, {
    status,
    headers: { "content-type": "text/html; charset=utf-8", ...headers },
  });
}

/** To another page, by GET. */
export function seeOther(path: string, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(null, { status: 303, headers: { location: path, ...headers } });
}

/** What pages know of their visitor. */
export function pageContext(request: Request, visit: Visit, now = Date.now()): PageContext {
  const { kind, user, scopes, who } = visit.principal;
  const { script, style, icon } = BUNDLE;
  return {
    theme: readTheme(readCookie(request, THEME_COOKIE)),
    path: new URL(request.url).pathname,
    user:
      kind === "anonymous"
        ? undefined
        : { name: user?.name ?? who, mayWrite: scopes.has("write"), mayOperate: scopes.has("operate") },
    assets: { script, style, icon },
    now,
  };
}

export function readTheme(text: string | undefined): Theme {
  return text === "light" || text === "dark" ? text : "auto";
}

/** A form's fields; it is small, the front door has seen to that. Throws HttpError 415. */
export async function readForm(request: Request): Promise<URLSearchParams> {
  const type = request.headers.get("content-type") ?? "";
  if (request.body !== null && !type.startsWith("application/x-www-form-urlencoded")) {
    throw new HttpError(415, "not-a-form", "this must be sent as a form");
  }
  return new URLSearchParams(await request.text());
}

/** Where to go after a form, as far as it is a page of ours: never to another site. */
export function ownPath(text: string | null, otherwise: string): string {
  if (text === null || !/^\/(?![/\\])[\x21-\x7e]*$/.test(text)) return otherwise;
  const url = URL.parse(text, "http://own.invalid");
  return url?.origin === "http://own.invalid" ? url.pathname + url.search : otherwise;
}
