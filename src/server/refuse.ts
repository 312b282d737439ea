/** The one place where an error becomes an answer. */
import { explainSqlite } from "../db/database-error.ts";
import { firstError } from "../lib/errors.ts";
import type { Visit } from "./access/visit.ts";
import type { ServerContext } from "./context.ts";
import { isBuildsPath } from "./builds/paths.ts";
import { buildsProblem, nothingThere } from "./builds/refuse-builds.tsx";
import { type Problem, problemJson, problemOf, wantsPage } from "./http/error-response.ts";
import { errorPage } from "./pages/error-page.tsx";

/** Nobody hears it; the log and the audit log do. */
const GONE: Problem = {
  status: 400,
  code: "broken-off",
  message: "the connection was closed before the request was whole",
};

/** The answer for an error: a page for browsers, JSON for all others. Faults go to the log. */
export function refuse(
  { db, log }: Pick<ServerContext, "db" | "log">,
  request: Request,
  visit: Visit,
  thrown: unknown,
): Response {
  const error = firstError(thrown);
  // Reading meets damaged pages as well, and only writing has its words for them.
  const problem = request.signal.aborted ? GONE : problemOf(explainSqlite(error, db.filename));
  if (problem.status >= 500 && problem.code !== "not-set-up") {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    log("error", text, { id: visit.id });
  }
  const isOfBuilds = isBuildsPath(new URL(request.url).pathname);
  if (wantsPage(request)) {
    return isOfBuilds && problem.status === 404
      ? nothingThere(request, visit, problem)
      : errorPage(problem, visit, request);
  }
  return isOfBuilds ? buildsProblem(request, problem) : problemJson(problem, visit.id);
}
