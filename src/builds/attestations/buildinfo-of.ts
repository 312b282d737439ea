/** A build as a Debian .buildinfo file. */
import type { Sha256 } from "../../lib/sha256.ts";
import type { Artifact, Build, BuildStore, ContentStore } from "../../store/api.ts";
import { formatBuildinfo } from "../../trust/buildinfo.ts";
import { isOutput } from "../reproduce/outputs.ts";
import {
  DEBIAN_NAMES,
  type InputTexts,
  opamPackagesOf,
  readEnvironment,
  readSystemPackages,
} from "./ingredients.ts";

/** The sums that the format wants beside SHA-256; nobody is to rely on them. */
export interface OldSums {
  readonly md5: string;
  readonly sha1: string;
}

/** What was summed up once, by content: it doesn't change. */
const known = new Map<Sha256, OldSums>();
const KNOWN_MAX = 10_000;

/** The sums of a build's results, by path; those whose bytes are missing are left out. */
export async function oldSums(
  builds: BuildStore,
  contents: ContentStore,
  { id, artifacts }: Build,
): Promise<ReadonlyMap<string, OldSums>> {
  const sums = new Map<string, OldSums>();
  for (const { path, sha256 } of artifacts.filter(({ path }) => isOutput(path))) {
    const content = known.has(sha256) ? undefined : builds.artifact(id, path)?.content;
    if (content !== undefined) {
      const [md5, sha1] = [new Bun.CryptoHasher("md5"), new Bun.CryptoHasher("sha1")];
      for await (const piece of contents.read(content)) {
        md5.update(piece);
        sha1.update(piece);
      }
      if (known.size >= KNOWN_MAX) known.clear();
      known.set(sha256, { md5: md5.digest("hex"), sha1: sha1.digest("hex") });
    }
    const found = known.get(sha256);
    if (found !== undefined) sums.set(path, found);
  }
  return sums;
}

/**
 * The file's text. `machine`: Debian's name of what builds without a record of it were made on; `basePackages`: what the
 * root file system of such a build had, NAME:ARCHITECTURE=VERSION a line. Pure.
 */
export function buildinfoOf(
  build: Build,
  inputs: InputTexts,
  sums: ReadonlyMap<string, OldSums>,
  machine: string,
  basePackages?: string,
): string {
  const environment = readEnvironment(inputs.environment ?? "");
  const opamPackages = opamPackagesOf(inputs.opamSwitch);
  const root = opamPackages.find(({ name }) => name === environment.get("ORB_BUILDING_PACKAGE"));
  const arch = environment.get("ARCH");
  const architecture = arch === undefined ? machine : (DEBIAN_NAMES[arch] ?? arch);
  return formatBuildinfo({
    source: root?.name ?? build.job,
    version: root?.version ?? "0",
    architecture,
    builtAt: build.finishedAt,
    buildPath: environment.get("PREFIX"),
    outputs: build.artifacts
      .filter(({ path }) => isOutput(path))
      .map((artifact: Artifact) => ({ ...artifact, ...sums.get(artifact.path) })),
    systemPackages: readSystemPackages(inputs.systemPackages ?? basePackages ?? "").map(
      ({ name, version }) => ({ name: withoutOwn(name, architecture), version }),
    ),
    opamPackages,
    environment: [...environment],
  });
}

/** The name without the architecture that is meant where none is named. */
function withoutOwn(name: string, own: string): string {
  const [bare = "", architecture] = name.split(":");
  return architecture === "all" || architecture === own ? bare : name;
}
