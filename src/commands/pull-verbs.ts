/** What `robur pull` does. */
import { UsageError } from "../lib/errors.ts";
import { print, printError } from "../linux/libc.ts";
import { type BuildId, type JobName, parseJobName, parsePlatform } from "../store/api.ts";
import {
  announcedMain,
  latestBuild,
  mainBinaryPath,
  remoteBuildBy,
} from "../store/remotes/builder-web-client.ts";
import { downloadFile, isDirectory } from "../store/remotes/download.ts";
import type { RemoteAddress } from "../store/remotes/remote-address.ts";
import { RemoteError } from "../store/remotes/remote-error.ts";
import { askRemote } from "../store/remotes/remote-request.ts";
import { parseBuildRef } from "./client/builds.ts";
import { chooseOther } from "./client/remotes.ts";
import { doImport } from "./import-verbs.ts";
import { withProgress } from "./progress.ts";

export interface PullFlags {
  readonly host: string | undefined;
  readonly job: string;
  readonly from: string | undefined;
  readonly platform: string | undefined;
  readonly output: string | undefined;
  readonly store: boolean;
}

/** Prints what sha256sum would, or the build's id with --store. */
export async function pull(flags: PullFlags): Promise<void> {
  const { job, prefix } = readRef(flags.job);
  const platform = flags.platform === undefined ? undefined : parsePlatform(flags.platform);
  if (flags.platform !== undefined && platform === undefined) {
    throw new UsageError(`${flags.platform} can't be a platform's name`, { hint: "--platform debian-12" });
  }
  if (prefix !== undefined && platform !== undefined) {
    throw new UsageError("a build that is named has its platform", { hint: "without --platform" });
  }
  const { address, url } = await chooseOther(flags.from, flags.host);
  const id =
    prefix === undefined
      ? (await latestBuild(address, job, platform)).id
      : await remoteBuildBy(address, job, prefix);
  if (!flags.store) return pullFile(address, job, id, flags.output);
  const summary = await doImport(flags, { kind: "build", url, job, id }, () => ({
    ...{ kind: "build", remote: address, job, id },
  }));
  if (summary.damaged > 0) process.exitCode = 1;
  else print(`${id}\n`);
  if (summary.alreadyThere > 0) printError(`build ${id} of ${job} is here already\n`);
}

function readRef(text: string): { job: JobName; prefix: string | undefined } {
  const ref = parseBuildRef(text);
  const job = ref.kind === "job" ? parseJobName(ref.job) : undefined;
  if (ref.kind === "job" && job !== undefined) return { job, prefix: ref.prefix };
  throw new UsageError(`${text} names no job`, { hint: "robur pull hello, or robur pull hello@5a0c31f2" });
}

async function pullFile(
  remote: RemoteAddress,
  job: JobName,
  id: BuildId,
  output: string | undefined,
): Promise<void> {
  const path = mainBinaryPath(job, id);
  const announced = await announcedMain(remote, job, id);
  if (announced === undefined) {
    throw new RemoteError("missing", `build ${id} of ${job} has no main binary`, {
      why: `${remote.origin} has no such build, or it failed`,
    });
  }
  const name = output ?? announced.filename;
  // oxlint-disable-next-line no-control-regex
  if (output === undefined && (/[\0-\x1f/\x7f]/.test(name) || name === "" || name.startsWith("."))) {
    throw new UsageError(`the file's name is ${JSON.stringify(name)}, which is none for here`, {
      hint: "--output FILE",
    });
  }
  if (await isDirectory(name)) throw new UsageError(`${name} is a directory`, { hint: "--output FILE" });
  const { sha256 } = await withProgress(`fetching ${name}`, (onProgress) =>
    downloadFile(name, {
      ...{ sha256: announced.sha256, size: announced.size, onProgress },
      from: (offset) =>
        askRemote(remote, path, offset === 0 ? {} : { headers: { range: `bytes=${offset}-` } }),
    }),
  );
  print(`${sha256}  ${name}\n`);
}
