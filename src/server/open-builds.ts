/** Builds as a part of the server: the service, this machine's workers, and builder's own protocol. */
import type { Database } from "bun:sqlite";
import { attestBuild } from "../builds/attestations/attest.ts";
import { LocalWorkers, readTrouble } from "../builds/local-workers.ts";
import { type BuildService, openBuildService } from "../builds/service.ts";
import { defaultTemplate } from "../builds/orb/template.ts";
import { templateFiles } from "../builds/templates.ts";
import { hostPlatform } from "../builds/worker/host-platform.ts";
import { type WireListener, listenBuilder } from "../builds/wire/listen.ts";
import { errorLine } from "../lib/errors.ts";
import { type BuildStore, type ContentStore, type Platform, parsePlatform } from "../store/api.ts";
import { isLoopback } from "./addresses.ts";
import type { Log } from "./log.ts";

export interface OpenBuildsOptions {
  readonly db: Database;
  readonly contents: ContentStore;
  readonly builds: BuildStore;
  readonly dataDirectory: string;
  /** Workers of this machine reach the server by it; without one there are none. */
  readonly socket: string | undefined;
  readonly settings: BuildSettings;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
}

/** What `robur serve` is told about builds. */
export interface BuildSettings {
  /** Workers of this machine. */
  readonly workers: number;
  /** What they build for; empty: what this machine is. */
  readonly platforms: readonly string[];
  /** What makes sandboxes. */
  readonly sandbox: "bwrap" | "docker" | "podman";
  readonly unsafeNoSandbox: boolean;
  /** For so long the sandbox of a job's newest failed build stays for a shell; 0: not at all. */
  readonly keepFailedHours: number;
  /** Where builder's workers and clients come; undefined: nowhere. */
  readonly builderListen: { readonly host: string; readonly port: number } | undefined;
  /** Where orb's templates are. */
  readonly templateDirectory: string;
  /** A worker that says nothing for so long is gone. */
  readonly lostAfterMs: number;
}

export const DEFAULT_BUILD_SETTINGS: BuildSettings = {
  workers: 0,
  platforms: [],
  sandbox: "bwrap",
  unsafeNoSandbox: false,
  keepFailedHours: 24,
  builderListen: undefined,
  templateDirectory: "/etc/builder",
  lostAfterMs: 30_000,
};

export interface OpenBuilds extends AsyncDisposable {
  readonly service: BuildService;
  /** Starts workers and opens builder's door; the server listens by now. */
  begin(): void;
}

/** Opens the service. */
export function openBuilds(options: OpenBuildsOptions): OpenBuilds {
  const { db, contents, builds, settings, log, socket } = options;
  const report = (text: string) => log("warning", text, { part: "builds" });
  let hasBegun = false;
  let listener: WireListener | undefined;
  const service = openBuildService({
    ...{ db, contents, builds, report, lostAfterMs: settings.lostAfterMs },
    templates: templateFiles(settings.templateDirectory, defaultTemplate),
    onWork: () => hasBegun && workers.start(),
    ownPlatforms: ownPlatforms(settings),
    trouble: () => (settings.workers === 0 ? undefined : readTrouble(options.dataDirectory)),
    onEnd: ({ job, number, outcome }) =>
      log("info", "build ended", { run: `${job}:${number}`, outcome: outcome ?? "" }),
    onKept: async (attempt, sandbox) => {
      const build = builds.build(attempt.uuid);
      if (build === undefined) return;
      const { assignment, run } = attempt;
      const work = service.job(assignment.job)?.work;
      const how = {
        ...{
          timeoutMs: assignment.timeoutMs,
          limits: assignment.limits,
          network: assignment.network,
          sandbox,
        },
        opamPackage: work?.kind === "orb" ? work.opamPackage : undefined,
        repositories: work?.kind === "orb" ? work.repositories : undefined,
        reason: service.run(run)?.reason ?? "",
      };
      await attestBuild({ db, builds, contents }, build, how, Date.now());
    },
  });
  const workers = new LocalWorkers({
    count: socket === undefined ? 0 : settings.workers,
    args: [
      ...["--host", `unix://${socket}`, "--data-dir", options.dataDirectory],
      ...settings.platforms.flatMap((platform) => ["--platform", platform]),
      ...["--keep-failed", String(settings.keepFailedHours), "--sandbox", settings.sandbox],
      ...(settings.unsafeNoSandbox ? ["--unsafe-no-sandbox"] : []),
    ],
    environment: options.environment,
    report,
    onEnd: (name) => service.desk.loseWorker(name, "its worker was killed"),
  });
  return {
    service,
    begin() {
      hasBegun = true;
      if (
        service.jobs().length > 0 ||
        service.platforms().some((platform) => service.queue(platform).length > 0)
      ) {
        workers.start();
      }
      if (settings.builderListen === undefined) return;
      const { host, port } = settings.builderListen;
      if (!isLoopback({ host, port })) {
        report(
          `whoever reaches ${host}:${port} may have any script built: builder's protocol has no passwords`,
        );
      }
      try {
        listener = listenBuilder({ service, ...settings.builderListen, report });
      } catch (error) {
        // The original may run beside it: that is no reason not to serve at all.
        report(errorLine(error));
      }
    },
    async [Symbol.asyncDispose]() {
      listener?.stop();
      await workers[Symbol.asyncDispose]();
      await service[Symbol.asyncDispose]();
    },
  };
}

/** What the workers of this machine are for. */
function ownPlatforms({ workers, platforms }: BuildSettings): Platform[] {
  if (workers === 0) return [];
  const names = platforms.length > 0 ? platforms : [hostPlatform() ?? ""];
  return names.flatMap((name) => parsePlatform(name) ?? []);
}
