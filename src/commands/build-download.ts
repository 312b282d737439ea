/** Files of the server's builds, and whole builds, brought here. */
import { basename } from "node:path";
import { print, printError } from "../linux/libc.ts";
import type { Artifact, Build } from "../store/api.ts";
import { downloadFile, isDirectory } from "../store/remotes/download.ts";
import { UsageError } from "../lib/errors.ts";
import { resolveBuild } from "./client/builds.ts";
import { ClientError } from "./client/client-error.ts";
import { type Client, connect } from "./client/connect.ts";
import { refuseTerminal, toStandardOutput } from "./output-file.ts";
import { withProgress } from "./progress.ts";

interface Flags {
  readonly host: string | undefined;
  readonly build: string;
  readonly output: string | undefined;
}

/** `robur build download`. Prints the file's name and its SHA-256, as sha256sum does. */
export async function download(flags: Flags & { readonly path: string | undefined }): Promise<void> {
  const client = connect(flags.host);
  const { build } = await resolveBuild(client, flags.build);
  const artifact = artifactOf(build, flags.path);
  const address = `${buildAddress(build)}/f/${artifact.path.split("/").map(encodeURIComponent).join("/")}`;
  const { sha256, size } = artifact;
  const path = flags.output ?? basename(artifact.path);
  if (path === "-") {
    refuseTerminal(`robur build download ${flags.build} --output ${basename(artifact.path)}`);
    return toStandardOutput(verified(await client.request(address), artifact));
  }
  await refuseDirectory(path, basename(artifact.path));
  await save(client, path, address, { sha256, size });
  print(`${sha256}  ${path}\n`);
}

/** `robur build export`. Prints the file's name. */
export async function exportBuild(flags: Flags & { readonly format: "tar" | "exec" }): Promise<void> {
  const client = connect(flags.host);
  const { build } = await resolveBuild(client, flags.build);
  const [lost, ...more] = build.artifacts.filter(({ isKept }) => !isKept);
  if (lost !== undefined && flags.format === "exec") throw isLost(build, lost);
  if (lost !== undefined)
    printError(
      `warning: ${lost.path}${more.length > 0 ? ` and ${more.length} more` : ""} can't be in it: the server has lost them\n`,
    );
  const name = `${build.job}-${build.id.slice(0, 8)}.${flags.format === "tar" ? "tar" : "full"}`;
  const address = `${buildAddress(build)}/${flags.format === "tar" ? "all.tar" : "exec"}`;
  const path = flags.output ?? name;
  if (path === "-") {
    refuseTerminal(`robur build export ${flags.build} --output ${name}`);
    const { body } = await client.request(address);
    return toStandardOutput(body ?? new Blob([]).stream());
  }
  await refuseDirectory(path, name);
  await save(client, path, address, { sha256: undefined, size: undefined });
  print(`${path}\n`);
}

async function refuseDirectory(path: string, name: string): Promise<void> {
  if (await isDirectory(path)) {
    throw new UsageError(`${path} is a directory`, { hint: `--output ${path.replace(/\/$/, "")}/${name}` });
  }
}

function artifactOf(build: Build, path: string | undefined): Artifact {
  const found = path === undefined ? build.main : build.artifacts.find((artifact) => artifact.path === path);
  if (found === undefined) {
    throw new ClientError(3, "not-found", `build ${build.id} has no ${path ?? "main binary"}`, {
      hint: `robur build show ${build.id}`,
    });
  }
  if (found.isKept) return found;
  throw isLost(build, found);
}

function isLost(build: Build, found: Artifact): ClientError {
  return new ClientError(3, "not-found", `the server has lost ${found.path} of build ${build.id}`, {
    why: `only its SHA-256 is known, ${found.sha256}`,
  });
}

const buildAddress = ({ job, id }: Build) => `/job/${encodeURIComponent(job)}/build/${id}`;

function save(
  client: Client,
  path: string,
  address: string,
  known: Pick<Parameters<typeof downloadFile>[1], "sha256" | "size">,
) {
  return withProgress(`fetching ${path}`, (onProgress) =>
    downloadFile(path, {
      ...known,
      onProgress,
      from: (offset) =>
        client.request(address, offset === 0 ? {} : { headers: { range: `bytes=${offset}-` } }),
    }),
  );
}

/** The bytes as they come; ends as an error where they aren't those that the server announced. */
async function* verified(response: Response, { sha256, path }: Artifact): AsyncGenerator<Uint8Array, void> {
  const hash = new Bun.CryptoHasher("sha256");
  for await (const piece of response.body ?? []) {
    hash.update(piece);
    yield piece;
  }
  if (hash.digest("hex") === sha256) return;
  throw new ClientError(1, "wrong-hash", `${path} did not come whole`, {
    why: `its SHA-256 isn't ${sha256}`,
  });
}
