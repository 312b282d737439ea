/**
 * How an orb job becomes a script: builder's template of the platform where there is one, else robur's own. Read when
 * the job is handed out, so that an edit takes effect with the next one.
 */
import { readSmallFile } from "../linux/libc.ts";
import type { Outcome, Platform, Work } from "./api.ts";
import { done, refuse } from "./api.ts";
import { DEFAULT_REPOSITORIES } from "./orb/template.ts";

/** Gives the template of a platform. */
export type ScriptSource = (platform: Platform) => string;

/** `/etc/builder` and its like, and the template that takes the place of a missing one. */
export function templateFiles(
  directory: string,
  fallback: (platform: Platform) => string,
  read: (path: string) => string | undefined = readSmallFile,
): ScriptSource {
  return (platform) => read(`${directory}/orb-build.template.${platform}`) ?? fallback(platform);
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
  const template = templates(platform);
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
