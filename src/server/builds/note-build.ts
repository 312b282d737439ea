/** A build that is now in the store: said to whoever follows events, so hooks tell of it. */
import { resultText } from "../../protocols/builder/result-text.ts";
import { type Build, type BuildId, parseBuildId } from "../../store/api.ts";
import type { ServerContext } from "../context.ts";
import { buildPath } from "./paths.ts";

/** To be called once for each build, after it was stored. `notedBuild` finds the build in the sentence again. */
export function noteBuild(
  { orchestrator, builds, log }: Pick<ServerContext, "orchestrator" | "builds" | "log">,
  build: Build,
): void {
  const { id, job, platform, result, uploadedBy } = build;
  const isGood = build.main !== undefined;
  log("info", "build stored", { job, build: id, platform, result: resultText(result), who: uploadedBy });
  orchestrator.tell(
    isGood ? "build-finished" : "build-failed",
    `${job} on ${platform}: ${isGood ? "built" : `no main binary, ${resultText(result)}`} (${buildPath(build)})`,
  );
  const [other] = builds.reproductions(build).sameInputOtherOutput;
  if (other === undefined) return;
  orchestrator.tell(
    "build-differs",
    `${job} on ${platform}: the same inputs gave something else before (${buildPath(build)}, ${buildPath(other)})`,
  );
}

/** The build that such a sentence is about; undefined for any other. Pure. */
export function notedBuild(text: string): BuildId | undefined {
  const [, id = ""] = /\(\/job\/[^()\s]+\/build\/([0-9a-f-]{36})\)$/.exec(text) ?? [];
  return parseBuildId(id);
}
