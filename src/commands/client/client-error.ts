/** What can go wrong between the command line and a server, and what a server refuses. */
import { RoburError } from "../../lib/errors.ts";

/** An error with an exit status of its own: 1 failure, 3 not found, 4 conflict, 5 not permitted, 124 too late. */
export class ClientError extends RoburError {
  readonly exitStatus: number;

  constructor(
    exitStatus: number,
    code: string,
    message: string,
    more: { why?: string; hint?: string; cause?: unknown } = {},
  ) {
    super(code, message, more);
    this.exitStatus = exitStatus;
  }
}

/** The exit status for an HTTP status. Pure. */
export function exitStatusOf(status: number): number {
  switch (status) {
    case 400:
      return 2;
    case 401:
    case 403:
      return 5;
    case 404:
      return 3;
    case 409:
      return 4;
    case 408:
    case 504:
      return 124;
    default:
      return 1;
  }
}

/** The body that every error of the API has. */
interface Problem {
  readonly code: string;
  readonly message: string;
  readonly why?: string;
  readonly hint?: string;
  readonly id?: string;
}

/** The error for an answer that isn't what was asked for. `where`: the server, for answers that robur never gives. */
export function refusalOf(status: number, body: unknown, where: string): ClientError {
  const problem = problemIn(body);
  if (problem === undefined) {
    return new ClientError(exitStatusOf(status), "not-robur", `${where} answers ${status}`, {
      why: "that is no answer of robur's; is another program there, or a proxy in between?",
    });
  }
  const { code, message, why, hint, id } = problem;
  const isFault = status >= 500 && status !== 503 && status !== 507;
  const isToken = ["not-signed-in", "invalid-token"].includes(code) || (code === "refused" && status === 401);
  const tokenHint = "ROBUR_TOKEN=robur_… ; robur token create, on the server, makes one";
  return new ClientError(exitStatusOf(status), code, isToken ? `${where}: ${message}` : message, {
    ...(why !== undefined ? { why } : isFault && id !== undefined ? { why: `request ${id}` } : {}),
    ...(isToken ? { hint: tokenHint } : hint === undefined ? {} : { hint }),
  });
}

function problemIn(body: unknown): Problem | undefined {
  if (typeof body !== "object" || body === null || !("error" in body)) return undefined;
  const { error } = body;
  // So they are below builder-web's addresses.
  if (typeof error === "string") return { code: "refused", message: error };
  if (typeof error !== "object" || error === null || !("code" in error) || !("message" in error))
    return undefined;
  return error as Problem;
}
