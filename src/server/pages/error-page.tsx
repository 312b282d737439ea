/** Errors for people. Who isn't signed in is led there, and before set-up it is told how that is done. */
import { ErrorPage, NotSetUpPage } from "../../../web/pages/gate.tsx";
import type { Visit } from "../access/visit.ts";
import { type Problem, retryHeader } from "../http/error-response.ts";
import { html, pageContext, seeOther } from "./render.tsx";

export function errorPage(problem: Problem, visit: Visit, request: Request): Response {
  const { status, code } = problem;
  const page = pageContext(request, visit);
  if (code === "not-signed-in") {
    const { pathname, search } = new URL(request.url);
    // A form that was sent can't be sent again: back to its page.
    const next = request.method === "GET" ? pathname + search : "/";
    return seeOther(next === "/" ? "/sign-in" : `/sign-in?next=${encodeURIComponent(next)}`);
  }
  if (code === "not-set-up") return html(<NotSetUpPage page={page} />, status);
  return html(
    <ErrorPage page={page} status={status} complaint={problem} id={visit.id} />,
    status,
    retryHeader(problem),
  );
}
