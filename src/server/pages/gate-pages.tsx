/** Setting up, signing in and out, and the colours. */
import { Elysia } from "elysia";
import type { VNode } from "preact";
import { type Complaint, SetupPage, SignInPage } from "../../../web/pages/gate.tsx";
import type { Limits } from "../access/limits.ts";
import { visitOf } from "../access/visit.ts";
import { AccountError } from "../accounts/account-error.ts";
import { isSetUp } from "../accounts/users.ts";
import type { ServerContext } from "../context.ts";
import { problemOf } from "../http/error-response.ts";
import { HttpError } from "../http/http-error.ts";
import { checkCredentials, setUpServer, signIn, signOut } from "../routes/sign-in.ts";
import { THEME_COOKIE, html, ownPath, pageContext, readForm, readTheme, seeOther } from "./render.tsx";

const YEAR_S = 365 * 86_400;

/** Does what a form asks for; what the visitor can mend is shown with the form, all else is an error. */
async function orAgain(
  work: () => Promise<Response>,
  again: (complaint: Complaint) => VNode,
): Promise<Response> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof AccountError) && !(error instanceof HttpError)) throw error;
    const problem = problemOf(error);
    const headers = problem.retryAfter === undefined ? {} : { "retry-after": String(problem.retryAfter) };
    return html(again(problem), problem.status, headers);
  }
}

export function gatePages(context: ServerContext, limits: Limits) {
  const hide = { detail: { hide: true } };
  const form = { ...hide, parse: "none" } as const;
  return new Elysia({ name: "gate-pages" })
    .get(
      "/setup",
      ({ request }) =>
        isSetUp(context.db)
          ? seeOther("/")
          : html(<SetupPage page={pageContext(request, visitOf(request))} />),
      hide,
    )
    .post(
      "/setup",
      async ({ request }) => {
        const visit = visitOf(request);
        const fields = await readForm(request);
        const [secret, user, password] = ["secret", "user", "password"].map(
          (name) => fields.get(name)?.trim() ?? "",
        );
        const asked = { secret: secret!, user: user!, password: password! };
        return orAgain(
          async () => {
            const admin = await setUpServer(context, limits, visit, asked);
            return seeOther("/", { "set-cookie": signIn(context, request, visit, admin) });
          },
          (complaint) => (
            <SetupPage
              page={pageContext(request, visit)}
              user={asked.user}
              secret={asked.secret}
              complaint={complaint}
            />
          ),
        );
      },
      form,
    )
    .get(
      "/sign-in",
      ({ request }) => {
        const visit = visitOf(request);
        const next = ownPath(new URL(request.url).searchParams.get("next"), "/");
        if (visit.principal.kind !== "anonymous") return seeOther(next);
        return html(<SignInPage page={pageContext(request, visit)} next={next} />);
      },
      hide,
    )
    .post(
      "/sign-in",
      async ({ request }) => {
        const visit = visitOf(request);
        const fields = await readForm(request);
        const asked = { user: fields.get("user")?.trim() ?? "", password: fields.get("password") ?? "" };
        const next = ownPath(fields.get("next"), "/");
        return orAgain(
          async () => {
            const user = await checkCredentials(context, limits, visit, asked);
            return seeOther(next, { "set-cookie": signIn(context, request, visit, user) });
          },
          (complaint) => (
            <SignInPage
              page={pageContext(request, visit)}
              next={next}
              user={asked.user}
              complaint={complaint}
            />
          ),
        );
      },
      form,
    )
    .post(
      "/sign-out",
      ({ request }) => seeOther("/sign-in", { "set-cookie": signOut(context, request, visitOf(request)) }),
      form,
    )
    .post(
      "/theme",
      async ({ request }) => {
        const fields = await readForm(request);
        const theme = readTheme(fields.get("theme") ?? undefined);
        const cookie = `${THEME_COOKIE}=${theme}; Path=/; SameSite=Lax; Max-Age=${YEAR_S}`;
        return seeOther(ownPath(fields.get("back"), "/"), { "set-cookie": cookie });
      },
      form,
    );
}
