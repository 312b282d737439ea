/** From a file to a running unikernel, without and with scripts. */
import { Elysia, t } from "elysia";
import type { FormState } from "../../../web/components/form.tsx";
import { ConfigurePage, UploadPage } from "../../../web/pages/deploy.tsx";
import { pathOf } from "../../../web/pages/unikernels.tsx";
import type { ImageView, Sha256 as Sha256Type } from "../../orchestrator/api.ts";
import { ROOT_PATH, isNameWithin, parseName } from "../../orchestrator/names.ts";
import { visitOf } from "../access/visit.ts";
import type { ServerContext } from "../context.ts";
import { problemOf } from "../http/error-response.ts";
import { HttpError } from "../http/http-error.ts";
import { actorFor, granted } from "../routes/ask.ts";
import { readUploadForm } from "../routes/deploy-upload.ts";
import { Sha256 } from "../routes/schemas.ts";
import { listNetworks, listVolumes } from "../routes/system.ts";
import { formDefaults, readDeployForm } from "./deploy-form.ts";
import { html, pageContext, readForm, seeOther } from "./render.tsx";
import { sampleImage } from "./sample.ts";

const Params = t.Object({ sha256: Sha256 });

/** A name for a new unikernel that is free: hello, hello-2 … in the visitor's path. */
function freeName(context: ServerContext, request: Request, base: string): string {
  const actor = actorFor(request);
  const front = actor.path === ROOT_PATH ? "" : `${actor.path}:`;
  const taken = new Set<string>(context.orchestrator.list(actor).map(({ name }) => name));
  for (let i = 1; ; i++) {
    const name = `${front}${base}${i === 1 ? "" : `-${i}`}`;
    if (!taken.has(name)) return name;
  }
}

function configurePage(
  context: ServerContext,
  request: Request,
  image: ImageView,
  form: FormState,
  status: number,
) {
  const visit = visitOf(request);
  const networks = listNetworks(context.db).map(({ name }) => name);
  const volumes = listVolumes(context.db, visit.principal.path).map(({ name }) => name);
  const page = pageContext(request, visit);
  return html(
    <ConfigurePage page={page} image={image} networks={networks} volumes={volumes} form={form} />,
    status,
  );
}

function uploadPage({ orchestrator }: ServerContext, request: Request, error?: HttpError): Response {
  const visit = visitOf(request);
  const { path } = visit.principal;
  const images = orchestrator.images
    .list()
    .filter(({ usedBy }) => path === ROOT_PATH || usedBy.some((name) => isNameWithin(name, path)))
    .map((image) => ({ ...image, usedBy: image.usedBy.filter((name) => isNameWithin(name, path)) }))
    .toSorted((a, b) => b.createdAt - a.createdAt);
  const complaint = error === undefined ? undefined : problemOf(error);
  return html(
    <UploadPage page={pageContext(request, visit)} images={images} complaint={complaint} />,
    error?.status ?? 200,
  );
}

async function upload(context: ServerContext, request: Request): Promise<Response> {
  try {
    const { image } = await readUploadForm(context, request);
    if (image === undefined) throw new HttpError(422, "no-image", "no file was chosen");
    return seeOther(`/deploy/${image.sha256}`);
  } catch (error) {
    if (!(error instanceof HttpError) || error.status >= 500) throw error;
    return uploadPage(context, request, error);
  }
}

async function createFromForm(
  context: ServerContext,
  request: Request,
  sha256: Sha256Type,
): Promise<Response> {
  const image = granted(context.orchestrator.images.inspect(sha256));
  const values = Object.fromEntries(await readForm(request));
  const result = readDeployForm(values, image);
  if (!result.ok) {
    const complaint = { message: "something in the form is not as it should be" };
    return configurePage(context, request, image, { values, errors: result.errors, complaint }, 422);
  }
  const outcome = await context.orchestrator.create(actorFor(request), { ...result.wanted, image: sha256 });
  if (outcome.ok) return seeOther(pathOf(outcome.value.unikernel.name));
  const { message, hint } = outcome.refusal;
  const status = outcome.refusal.code === "conflict" ? 409 : 422;
  return configurePage(context, request, image, { values, errors: {}, complaint: { message, hint } }, status);
}

async function runSample(context: ServerContext, request: Request): Promise<Response> {
  const { orchestrator } = context;
  const actor = actorFor(request);
  const image = granted(await orchestrator.images.put(actor, sampleImage()));
  const name = parseName(freeName(context, request, "hello"))!;
  const config = {
    memoryMb: 16,
    args: ["--hello=Hello!"],
    restart: { kind: "no" } as const,
  };
  const { unikernel } = granted(await orchestrator.create(actor, { name, image: image.sha256, config }));
  return seeOther(pathOf(unikernel.name));
}

export function deployPages(context: ServerContext) {
  const hide = { detail: { hide: true } };
  const form = { ...hide, parse: "none" } as const;
  return new Elysia({ name: "deploy-pages" })
    .get("/deploy", ({ request }) => uploadPage(context, request), hide)
    .post("/deploy", ({ request }) => upload(context, request), form)
    .post("/deploy/sample", ({ request }) => runSample(context, request), form)
    .get(
      "/deploy/:sha256",
      ({ request, params }) => {
        const image = granted(context.orchestrator.images.inspect(params.sha256 as Sha256Type));
        const values = formDefaults(freeName(context, request, "unikernel"));
        return configurePage(context, request, image, { values, errors: {} }, 200);
      },
      { ...hide, params: Params },
    )
    .post(
      "/deploy/:sha256",
      ({ request, params }) => createFromForm(context, request, params.sha256 as Sha256Type),
      { ...form, params: Params },
    );
}
