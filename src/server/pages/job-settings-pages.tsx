/** The pages on which jobs are defined, changed and removed. */
import { Elysia, t } from "elysia";
import type { FormState } from "../../../web/components/form.tsx";
import { JobSettingsPage } from "../../../web/pages/job-settings.tsx";
import type { JobDefinition, JobName, Platform } from "../../builds/api.ts";
import { DEFAULT_SETTINGS, readJobName } from "../../builds/schedule/settings.ts";
import { visitOf } from "../access/visit.ts";
import { jobSettingsPath } from "../builds/run-paths.ts";
import type { ServerContext } from "../context.ts";
import { notFound } from "../http/http-error.ts";
import { given, jobNameIn } from "../routes/build-answers.ts";
import { SCRIPT_IN_FORM, jobFields, readJobForm } from "./job-form.ts";
import { html, pageContext, readForm, seeOther } from "./render.tsx";

/** Throws HttpError 404. */
function existing({ buildService }: ServerContext, text: string): JobDefinition {
  const job = buildService.job(jobNameIn(text));
  if (job !== undefined) return job;
  throw notFound(`job ${text} that is defined here`);
}

function settingsPage(
  context: ServerContext,
  request: Request,
  { job, form, status = 200 }: { job: JobDefinition | undefined; form: FormState; status?: number },
): Response {
  const { buildService } = context;
  const size = job?.work.kind === "script" ? job.work.script.length : 0;
  return html(
    <JobSettingsPage
      page={pageContext(request, visitOf(request), context.now())}
      name={job?.name}
      form={form}
      platforms={buildService.platforms()}
      largeScript={size > SCRIPT_IN_FORM ? size : undefined}
      isSaved={new URL(request.url).searchParams.has("saved")}
    />,
    status,
  );
}

function newFields(context: ServerContext): Record<string, string> {
  const platform = context.buildService.ownPlatform() ?? context.buildService.platforms()[0];
  const platforms: Platform[] = platform === undefined ? [] : [platform];
  const work = { kind: "orb", opamPackage: "" } as const;
  return { ...jobFields({ ...DEFAULT_SETTINGS, work, platforms }), name: "" };
}

async function create(context: ServerContext, request: Request): Promise<Response> {
  const values = Object.fromEntries(await readForm(request));
  const name = readJobName(values["name"]?.trim() ?? "");
  const read = readJobForm(values, undefined);
  if (!name.ok || !read.ok) {
    const errors = {
      ...(read.ok ? {} : read.errors),
      ...(name.ok ? {} : { name: "Letters, digits and . _ + -, such as dns-primary." }),
    };
    const message = read.ok ? "something in the form is not as it should be" : read.complaint;
    return settingsPage(context, request, {
      ...{ job: undefined, status: 422 },
      form: { values, errors, complaint: { message } },
    });
  }
  return define(context, request, { name: name.value, before: undefined, values, settings: read.settings });
}

async function change(context: ServerContext, request: Request, text: string): Promise<Response> {
  const job = existing(context, text);
  const values = Object.fromEntries(await readForm(request));
  const read = readJobForm(values, job.work);
  if (!read.ok) {
    const { errors, complaint } = read;
    const form = { values, errors, complaint: { message: complaint } };
    return settingsPage(context, request, { job, form, status: 422 });
  }
  return define(context, request, { name: job.name, before: job, values, settings: read.settings });
}

interface Wanted {
  readonly name: JobName;
  readonly before: JobDefinition | undefined;
  readonly values: Readonly<Record<string, string>>;
  readonly settings: Parameters<typeof jobFields>[0];
}

function define(
  context: ServerContext,
  request: Request,
  { name, before, values, settings }: Wanted,
): Response {
  const { buildService } = context;
  const outcome = buildService.dispatch({ kind: "define", name, settings, isNew: before === undefined });
  if (outcome.ok) return seeOther(before === undefined ? "/queue" : `${jobSettingsPath(name)}?saved`);
  const { code, message, hint } = outcome.refusal;
  const form = { values, errors: {}, complaint: { message, hint } };
  return settingsPage(context, request, { job: before, form, status: code === "exists" ? 409 : 422 });
}

export function jobSettingsPages(context: ServerContext) {
  const hide = { detail: { hide: true } };
  const form = { ...hide, parse: "none" } as const;
  const OneJob = { params: t.Object({ job: t.String({ maxLength: 128 }) }) };
  return new Elysia({ name: "job-settings-pages" })
    .get(
      "/jobs/new",
      ({ request }) =>
        settingsPage(context, request, {
          job: undefined,
          form: { values: newFields(context), errors: {} },
        }),
      hide,
    )
    .post("/jobs/new", ({ request }) => create(context, request), form)
    .get(
      "/jobs/:job/settings",
      ({ request, params }) => {
        const job = existing(context, params.job);
        return settingsPage(context, request, { job, form: { values: jobFields(job), errors: {} } });
      },
      { ...hide, ...OneJob },
    )
    .post("/jobs/:job/settings", ({ request, params }) => change(context, request, params.job), {
      ...form,
      ...OneJob,
    })
    .post(
      "/jobs/:job/forget",
      async ({ request, params }) => {
        const { name } = existing(context, params.job);
        await readForm(request);
        given(context.buildService.dispatch({ kind: "forget", name }));
        return seeOther("/queue");
      },
      { ...form, ...OneJob },
    );
}
