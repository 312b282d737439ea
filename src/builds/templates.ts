/**
 * How an orb job becomes a script: builder's template of the platform where there is one, else robur's own. Read when
 * the job is handed out, so that an edit takes effect with the next one.
 */
import { readFileSync } from "node:fs";
import { RoburError } from "../lib/errors.ts";
import type { Outcome, Platform, Work } from "./api.ts";
import { done, refuse } from "./api.ts";
import { DEFAULT_REPOSITORIES } from "./orb/template.ts";

/** Gives the template of a platform. Throws TemplateError for one that is there and can't be used. */
export type ScriptSource = (platform: Platform) => string;

export class TemplateError extends RoburError<"unreadable"> {}

/** `/etc/builder` and its like, and the template that takes the place of a missing one. */
export function templateFiles(
  directory: string,
  fallback: (platform: Platform) => string,
  read: (path: string) => string | undefined = readTemplate,
): ScriptSource {
  return (platform) => read(`${directory}/orb-build.template.${platform}`) ?? fallback(platform);
}

function readTemplate(path: string): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path));
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    // Built by another template than the one that somebody wrote, the job would be another one.
    throw new TemplateError("unreadable", `${path} can't be read (${code ?? "it is no text"})`);
  }
}

/** Where a template has the repositories that a job names. */
const REPOSITORIES = "%%REPOSITORIES%%";

/** The script that does the work. Replaces in the original's order, so a package may name the platform. */
export function scriptFor(
  work: Work,
  platform: Platform,
  templates: ScriptSource,
  defaults: string = DEFAULT_REPOSITORIES,
): Outcome<string> {
  if (work.kind === "script") return done(work.script);
  let template: string;
  try {
    template = templates(platform);
  } catch (error) {
    if (error instanceof TemplateError) return refuse("invalid", error.message);
    throw error;
  }
  if (template.trim() === "") return refuse("invalid", `the orb template of ${platform} is empty`);
  const { repositories = [] } = work;
  // Built from others than it says, the job would be another one.
  if (repositories.length > 0 && !template.includes(REPOSITORIES)) {
    return refuse(
      "invalid",
      `the job names repositories, and the orb template of ${platform} has no ${REPOSITORIES}`,
      `--repos='${REPOSITORIES}' in the template`,
    );
  }
  const script = template
    .replaceAll(REPOSITORIES, () => (repositories.length === 0 ? defaults : repositories.join(",")))
    .replaceAll("%%OPAM_PACKAGE%%", () => work.opamPackage)
    .replaceAll("%%PLATFORM%%", () => platform);
  return done(script);
}
