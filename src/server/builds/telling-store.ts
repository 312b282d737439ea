/** A store of builds that says of each new one that it is there: for builds that are made here, not sent here. */
import type { Build, BuildStore, UploadOutcome } from "../../store/api.ts";

/** The same store; `tell` is called once for each build that it takes. */
export function tellingStore(builds: BuildStore, tell: (build: Build) => void): BuildStore {
  const told = (outcome: UploadOutcome): UploadOutcome => {
    if (outcome.ok) tell(outcome.build);
    return outcome;
  };
  return {
    ...builds,
    add: async (build) => told(await builds.add(build)),
    upload: async (record, options) => told(await builds.upload(record, options)),
  };
}
