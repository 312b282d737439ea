/** What a worker runs for an orb job where the platform has no template of its own. */
import type { Platform } from "../../store/api.ts";
import { BUILD_PACKAGES } from "../sandbox/platforms.ts";

/** 2020-05-10T19:14:47Z, which Robur's builders use: equal for all builds, so that dates make no difference. */
const DATE = 1_589_138_087;

/** What Robur's builders build from: opam's own repository, and that of Robur's unikernels. */
export const DEFAULT_REPOSITORIES =
  "default:https://opam.ocaml.org,unikernels:https://git.robur.coop/robur/unikernel-repo.git";

/**
 * The script, in which %%OPAM_PACKAGE%%, %%PLATFORM%% and %%REPOSITORIES%% are to be replaced. The sandbox has this
 * executable as /usr/bin/orb. It is a sandbox already, so opam makes none inside. Images of docker and podman have no
 * opam, so it is installed there.
 */
export function defaultTemplate(platform: Platform): string {
  const isFreebsd = platform.startsWith("freebsd");
  const installing = `command -v opam >/dev/null || {
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  apt-get -qq -y install --no-install-recommends ${BUILD_PACKAGES.join(" ")}
}
`;
  return `#!/bin/sh
set -ex
${isFreebsd ? "" : installing}orb build${isFreebsd ? "" : " --disable-sandboxing"} --solver-timeout=600 --switch-name=/tmp/myswitch \\
  --date=${DATE} --out=. \\
  --repos='%%REPOSITORIES%%' \\
  '%%OPAM_PACKAGE%%'
`;
}
