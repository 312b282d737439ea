/** A build as a Debian .buildinfo file. */
import type { Build } from "../../store/api.ts";
import { formatBuildinfo } from "../../trust/buildinfo.ts";
import {
  DEBIAN_NAMES,
  type InputTexts,
  opamPackagesOf,
  readEnvironment,
  readSystemPackages,
} from "./ingredients.ts";

/** The file's text. Pure. */
export function buildinfoOf(build: Build, inputs: InputTexts): string {
  const environment = readEnvironment(inputs.environment ?? "");
  const opamPackages = opamPackagesOf(inputs.opamSwitch);
  const root = opamPackages.find(({ name }) => name === environment.get("ORB_BUILDING_PACKAGE"));
  const arch = environment.get("ARCH");
  return formatBuildinfo({
    source: root?.name ?? build.job,
    version: root?.version ?? "0",
    architecture: DEBIAN_NAMES[arch ?? ""] ?? arch ?? "unknown",
    builtAt: build.finishedAt,
    buildPath: environment.get("PREFIX"),
    outputs: build.artifacts,
    systemPackages: readSystemPackages(inputs.systemPackages ?? ""),
    opamPackages,
    environment: [...environment],
  });
}
