/**
 * The record of a build that came from a builder-web's data directory, which kept none: made of what it kept, as
 * builder-web makes one for its address `exec`. So the build can be taken over by others, and is built again from it.
 */
import { Turns } from "../../lib/turns.ts";
import { encodeEntry } from "../../protocols/builder/record-writer.ts";
import { RECORD_LIMITS } from "../../protocols/builder/record.ts";
import { DerError } from "../../protocols/der/der-error.ts";
import type {
  BuildId,
  BuildResult,
  Content,
  ContentSession,
  ContentStore,
  JobName,
  Platform,
} from "../api.ts";
import { ConsoleSpool } from "../builds/console-spool.ts";
import type { BuildFile, KeptRecord } from "../builds/insert-build.ts";
import { makeRecord } from "../builds/make-record.ts";
import { consoleEntries } from "./console-entries.ts";

export interface ImportedBuild {
  readonly id: BuildId;
  readonly job: JobName;
  readonly platform: Platform;
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly result: BuildResult;
  readonly script: Content;
  readonly console: Content;
  /** In the table's order. */
  readonly artifacts: readonly BuildFile[];
  /** The job's, which a record has as its first file. */
  readonly readme: string | null;
}

const README = "README.md";

/** Undefined where a file is lost, or is larger than any record may have it. Its contents are held by the session. */
export async function importedRecord(
  contents: ContentStore,
  session: ContentSession,
  build: ImportedBuild,
): Promise<KeptRecord | undefined> {
  const { artifacts, script, console, readme } = build;
  const files = artifacts.flatMap(({ path, content }) => (content === undefined ? [] : [{ path, content }]));
  const isWhole = files.length === artifacts.length;
  if (!isWhole || script.size > RECORD_LIMITS.script || console.size > RECORD_LIMITS.console)
    return undefined;
  await using spool = new ConsoleSpool(contents, session);
  const turns = new Turns();
  for await (const entry of consoleEntries(contents.read(console))) {
    await spool.push(encodeEntry(entry));
    if (turns.isDue) await turns.give();
  }
  const hasOwn = readme === null || files.some(({ path }) => path === README);
  const first = hasOwn ? [] : [{ path: README, content: await session.put(Buffer.from(readme, "utf8")) }];
  const fields = {
    ...build,
    ...{ name: build.job, uuid: build.id, script: await contents.bytes(script, RECORD_LIMITS.script) },
  };
  try {
    return await makeRecord(session, fields, spool, [...first, ...files.toReversed()]);
  } catch (error) {
    // Half a character somewhere: nothing that a record could say.
    if (error instanceof DerError) return undefined;
    throw error;
  }
}
