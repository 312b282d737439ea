/** Errors below the original's addresses: a page for browsers, `{"error": …}` where JSON was asked for, else text. */
import { BuildsErrorPage } from "../../../web/pages/builds-error.tsx";
import type { Visit } from "../access/visit.ts";
import { type Problem, retryHeader } from "../http/error-response.ts";
import { html, pageContext } from "../pages/render.tsx";
import { wantsJson } from "./negotiate.ts";

/** The page where nothing was found: it leads on by a search. */
export function nothingThere(request: Request, visit: Visit, problem: Problem): Response {
  const { pathname, searchParams } = new URL(request.url);
  const query = pathname === "/hash" ? (searchParams.get("sha256") ?? "").slice(0, 200) : "";
  return html(
    <BuildsErrorPage
      page={pageContext(request, visit)}
      {...{ problem, query }}
      asked={pathname}
      id={visit.id}
    />,
    problem.status,
  );
}

/** For programs. */
export function buildsProblem(request: Request, problem: Problem): Response {
  const { status, message, why } = problem;
  const headers = {
    ...retryHeader(problem),
    ...(status === 401 ? { "www-authenticate": 'Basic realm="robur"' } : {}),
    vary: "Accept",
  };
  const text = why === undefined ? message : `${message}: ${why}`;
  if (wantsJson(request)) {
    return new Response(JSON.stringify({ error: text }), {
      status,
      headers: { ...headers, "content-type": "application/json" },
    });
  }
  return new Response(`${status === 401 ? "Unauthorized!" : text}\n`, {
    status,
    headers: { ...headers, "content-type": "text/plain; charset=utf-8" },
  });
}
