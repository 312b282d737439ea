/** `robur upgrade`: another version in the place of this executable. */
import { realpathSync } from "node:fs";
import yargs from "yargs";
import { dataDirectory } from "../lib/data-directory.ts";
import { UsageError } from "../lib/errors.ts";
import { VERSION } from "../lib/version.ts";
import { print, printError } from "../linux/libc.ts";
import { hashFile } from "../db/backup/copy-database.ts";
import { databasePath } from "../db/open.ts";
import { serverOf } from "../db/server-lock.ts";
import { type Release, compareVersions, fetchRelease } from "../release/fetch-release.ts";
import { chooseOrigin, originPath, readOrigin } from "../release/origin.ts";
import { installRelease, previousPath, rollBack } from "../release/place-executable.ts";
import { ReleaseError } from "../release/release-error.ts";
import { longWork } from "./long-work.ts";
import { parse } from "./parse.ts";

const say = (text: string) => printError(`${text}\n`);

/** The entry of the command. */
export async function main(argv: readonly string[]): Promise<void> {
  const flags = await parse(
    yargs([...argv])
      .scriptName("robur upgrade")
      .locale("en")
      .version(false)
      .usage(
        "robur upgrade\n\nPuts the newest version in the place of this executable, once its signature and hashes are\nchecked; the one before is kept for --rollback. Nothing that runs is stopped. Where releases\nlie and whose they are was written down by install.sh (/etc/robur/origin, or\n~/.config/robur/origin); ROBUR_BASE_URL and ROBUR_PUBLIC_KEY say otherwise, and so do the flags.",
      )
      .option("check", { type: "boolean", default: false, describe: "only say what there is" })
      .option("version", { type: "string", requiresArg: true, describe: "this version, also an older one" })
      .option("rollback", { type: "boolean", default: false, describe: "back to the executable before" })
      .option("from", {
        type: "string",
        requiresArg: true,
        describe: "where the releases lie: http or https",
      })
      .option("key", {
        type: "string",
        requiresArg: true,
        describe: "the public key: 32 bytes in base64, or PEM",
      })
      .option("json", { type: "boolean", default: false, describe: "with --check: as JSON" })
      .example("robur upgrade --check", "is there a newer one?")
      .example("robur upgrade --rollback", "the one before was better")
      .strict()
      .help()
      .alias("help", "h")
      .wrap(null),
  );
  if (flags === undefined) return;
  const { check, rollback, json } = flags;
  if (rollback && (check || flags.version !== undefined || flags.from !== undefined)) {
    throw new UsageError("--rollback goes alone", { hint: "robur upgrade --rollback" });
  }
  if (rollback) {
    const target = installed();
    say(`${target} is ${rollBack(target)} again; the other one is kept as ${previousPath(target)}`);
    afterwards();
    return;
  }
  const isRoot = process.getuid?.() === 0;
  const origin = chooseOrigin(flags, process.env, readOrigin(originPath(process.env, isRoot)));
  const release = await fetchRelease(origin, flags.version?.replace(/^v/, ""), process.arch);
  if (check) tellWhatThereIs(release, json);
  else await upgrade(release, flags.version !== undefined);
}

function tellWhatThereIs({ version, commit, address }: Release, json: boolean): void {
  const order = compareVersions(version, VERSION);
  if (json) {
    print(
      `${JSON.stringify({ installed: VERSION, available: version, commit, address, isNewer: order > 0 }, null, 2)}\n`,
    );
    return;
  }
  if (order > 0) print(`robur ${version} is there, and this is ${VERSION}\n  try: robur upgrade\n`);
  else print(`robur ${VERSION} is the newest${order < 0 ? `; ${address} has ${version}` : ""}\n`);
}

async function upgrade(release: Release, isAskedFor: boolean): Promise<void> {
  const { version } = release;
  const target = installed();
  if (compareVersions(version, VERSION) < 0 && !isAskedFor) {
    throw new ReleaseError(
      "older",
      `${release.address} has robur ${version}, which is older than this ${VERSION}`,
      {
        why: "an old release that is passed off as the newest may have holes that were mended since",
        hint: `robur upgrade --version ${version}`,
      },
    );
  }
  if (hashFile(target).sha256 === release.sha256) {
    say(`robur ${version} is installed already: ${target}`);
    return;
  }
  await longWork(`downloading robur ${version}`, (work) => installRelease(release, target, work));
  say(`${target} is robur ${version} now; robur ${VERSION} is kept as ${previousPath(target)}`);
  say(`SHA-256 ${release.sha256}`);
  afterwards();
}

/** The executable's own path. Throws ReleaseError not-installed. */
function installed(): string {
  if (Bun.isStandaloneExecutable) return realpathSync(process.execPath);
  throw new ReleaseError("not-installed", "this robur runs from its sources", {
    hint: "git pull && ./install.sh",
  });
}

/** A server goes on as the version that it was started as. */
function afterwards(): void {
  const directory = dataDirectory(undefined, process.env, process.getuid?.() === 0);
  const server = serverOfOrNone(databasePath(directory));
  if (server === undefined) return;
  say(`the server (process ${server}) goes on as it was until it is restarted: systemctl restart robur`);
  say("unikernels run on meanwhile; the database is copied before it is changed");
}

function serverOfOrNone(database: string): number | undefined {
  try {
    return serverOf(database)?.pid;
  } catch (error) {
    // Of somebody else's data directory nothing can be said, and nothing must be.
    if (error instanceof Error && "code" in error) return undefined;
    throw error;
  }
}
