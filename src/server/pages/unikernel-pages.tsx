/** The start, the list, and the pages of one unikernel. */
import { Elysia, t } from "elysia";
import { HomePage } from "../../../web/pages/home.tsx";
import { ReferencePage } from "../../../web/pages/reference.tsx";
import { ConsolePage, RANGES, RemovePage, UnikernelPage } from "../../../web/pages/unikernel.tsx";
import { UnikernelsPage, pathOf } from "../../../web/pages/unikernels.tsx";
import type { ConsoleCursor, Outcome, Resolution } from "../../orchestrator/api.ts";
import { visitOf } from "../access/visit.ts";
import { activeSince } from "../builds/api-routes.ts";
import { wantsJson } from "../builds/negotiate.ts";
import type { ServerContext } from "../context.ts";
import { actorFor, granted, nameIn } from "../routes/ask.ts";
import { itemJson } from "../routes/console-json.ts";
import type { ApiDocument } from "../routes/reference.ts";
import { Name } from "../routes/schemas.ts";
import { hostFigures } from "../routes/system.ts";
import { publicStart } from "./build-pages.tsx";
import { html, ownPath, pageContext, readForm, seeOther } from "./render.tsx";

/** Lines of the console on a unikernel's page; all of them are on the console's own. */
const TAIL = 200;
const PAGE_OF_LINES = 2000;

/** Strangers, and programs that ask for JSON, come for the builds; all others for everything. */
function start(context: ServerContext, request: Request): Response {
  const { scopes } = visitOf(request).principal;
  return wantsJson(request) || !scopes.has("read")
    ? publicStart(context, request)
    : homePage(context, request);
}

function homePage({ orchestrator, builds, now }: ServerContext, request: Request): Response {
  const actor = actorFor(request);
  const samples = [...orchestrator.stats.latest(actor).values()];
  return html(
    <HomePage
      page={pageContext(request, visitOf(request), now())}
      unikernels={orchestrator.list(actor)}
      events={orchestrator.events.read(actor, { limit: 12 }).toReversed()}
      used={{
        cpu: samples.reduce((sum, { cpu }) => sum + (cpu ?? 0), 0),
        resident: samples.reduce((sum, { resident }) => sum + resident, 0),
      }}
      host={hostFigures()}
      jobs={builds.overview({ activeSince: activeSince(now()) })}
    />,
  );
}

function unikernelPage({ orchestrator, now }: ServerContext, request: Request, text: string): Response {
  const actor = actorFor(request);
  const name = nameIn(text);
  const asked = new URL(request.url).searchParams.get("course");
  const resolution: Resolution = RANGES.find(([range]) => range === asked)?.[0] ?? "raw";
  const unikernel = granted(orchestrator.inspect(actor, name));
  const lines = granted(orchestrator.console.read(actor, name, { tail: TAIL }));
  return html(
    <UnikernelPage
      page={pageContext(request, visitOf(request), now())}
      unikernel={unikernel}
      lines={lines.items.map((item) => itemJson(item))}
      next={lines.next}
      series={granted(orchestrator.stats.series(actor, name, { resolution }))}
      events={orchestrator.events.read(actor, { name, limit: 10 }).toReversed()}
    />,
  );
}

function consolePage({ orchestrator, now }: ServerContext, request: Request, text: string): Response {
  const actor = actorFor(request);
  const name = nameIn(text);
  const after = /^\d{1,15}$/.exec(new URL(request.url).searchParams.get("after") ?? "0")?.[0] ?? "0";
  const query = { after: Number(after) as ConsoleCursor, limit: PAGE_OF_LINES };
  const { items, next, end } = granted(orchestrator.console.read(actor, name, query));
  return html(
    <ConsolePage
      page={pageContext(request, visitOf(request), now())}
      name={name}
      lines={items.map((item) => itemJson(item))}
      older={next < end ? next : undefined}
    />,
  );
}

/** Starts, stops or restarts, and goes back to where the button was. */
async function act(
  { orchestrator }: ServerContext,
  request: Request,
  text: string,
  action: "start" | "stop" | "restart",
): Promise<Response> {
  const actor = actorFor(request);
  const name = nameIn(text);
  const fields = await readForm(request);
  const outcome: Outcome<unknown> = await orchestrator[action](actor, name);
  granted(outcome);
  return seeOther(ownPath(fields.get("back"), pathOf(name)));
}

export function unikernelPages(context: ServerContext, document: () => ApiDocument) {
  const { orchestrator } = context;
  const see = { detail: { hide: true }, params: Name };
  const form = { ...see, parse: "none" } as const;
  return new Elysia({ name: "unikernel-pages" })
    .get("/", ({ request }) => start(context, request), { detail: { hide: true } })
    .get(
      "/reference",
      ({ request }) =>
        html(<ReferencePage page={pageContext(request, visitOf(request))} document={document()} />),
      { detail: { hide: true } },
    )
    .get(
      "/unikernels",
      ({ request }) => {
        const actor = actorFor(request);
        const page = pageContext(request, visitOf(request), context.now());
        return html(
          <UnikernelsPage
            page={page}
            unikernels={orchestrator.list(actor)}
            stats={orchestrator.stats.latest(actor)}
          />,
        );
      },
      { detail: { hide: true }, query: t.Object({}) },
    )
    .get("/unikernels/:name", ({ request, params }) => unikernelPage(context, request, params.name), see)
    .get(
      "/unikernels/:name/console",
      ({ request, params }) => consolePage(context, request, params.name),
      see,
    )
    .get(
      "/unikernels/:name/remove",
      ({ request, params }) => {
        const unikernel = granted(orchestrator.inspect(actorFor(request), nameIn(params.name)));
        return html(<RemovePage page={pageContext(request, visitOf(request))} unikernel={unikernel} />);
      },
      see,
    )
    .post(
      "/unikernels/:name/start",
      ({ request, params }) => act(context, request, params.name, "start"),
      form,
    )
    .post("/unikernels/:name/stop", ({ request, params }) => act(context, request, params.name, "stop"), form)
    .post(
      "/unikernels/:name/restart",
      ({ request, params }) => act(context, request, params.name, "restart"),
      form,
    )
    .post(
      "/unikernels/:name/remove",
      async ({ request, params }) => {
        granted(await orchestrator.remove(actorFor(request), nameIn(params.name), { force: true }));
        return seeOther("/unikernels");
      },
      form,
    );
}
