/** What `robur build` does with the builds that are kept. */
import { formatSize } from "../lib/units.ts";
import { print, printError } from "../linux/libc.ts";
import { resultText } from "../protocols/builder/result-text.ts";
import type { BuildSummary } from "../store/api.ts";
import { formatDuration } from "../lib/duration.ts";
import { BUILD_COLUMNS } from "./client/build-text.ts";
import { type BuildAnswer, listBuilds, listJobs, resolveBuild } from "./client/builds.ts";
import { ask, connect } from "./client/connect.ts";
import { sayUnfinished } from "./client/definitions.ts";
import { type ListFlags, printList } from "./client/list.ts";
import { confirm } from "./confirm.ts";
import { formatTable, formatTime, printable } from "./table.ts";

interface ToHost {
  readonly host: string | undefined;
}

/** `robur build ls`. */
export async function list(
  flags: ToHost &
    ListFlags & {
      readonly job: string | undefined;
      readonly platform: string | undefined;
      readonly failed: boolean;
      readonly limit: number;
    },
): Promise<void> {
  const client = connect(flags.host);
  const { platform, failed, limit } = flags;
  const kind = failed ? "failed" : "all";
  const builds =
    flags.job === undefined
      ? (await listJobs(client))
          .flatMap(({ recent }) => recent)
          .filter((of) => platform === undefined || of.platform === platform)
          .flatMap(({ builds }) => builds.filter(({ main }) => !failed || main === undefined).slice(0, 1))
          .toSorted((a, b) => b.startedAt - a.startedAt)
          .slice(0, limit)
      : await listBuilds(client, flags.job, { platform, kind, limit });
  const isTable = flags.format === "table" && !flags.json && !flags.quiet;
  if (isTable && !failed && platform === undefined) await sayUnfinished(client, flags.job);
  printList(BUILD_COLUMNS, builds, ({ id }) => id, flags);
}

/** `robur build show`. */
export async function show(flags: ToHost & { build: string; json: boolean }): Promise<void> {
  const answer = await resolveBuild(connect(flags.host), flags.build);
  if (flags.json) return print(`${JSON.stringify(answer, null, 2)}\n`);
  const { build, neighbours, reproductions } = answer;
  const reproduced = reproductions.sameInputSameOutput.length + reproductions.otherInputSameOutput.length;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ["Build", build.id],
    ["Job", build.job],
    ["Platform", build.platform],
    ["Result", resultText(build.result)],
    ["Started", formatTime(build.startedAt)],
    ["Took", formatDuration(build.finishedAt - build.startedAt)],
    ["Input", build.inputId],
    ["Worker", build.worker],
    ["Uploaded by", build.uploadedBy],
    ["Pinned", build.isPinned ? "yes" : undefined],
    [
      "Target",
      build.solo5 === undefined ? undefined : `${build.solo5.abi.target} ${build.solo5.abi.version}`,
    ],
    [
      "Devices",
      build.solo5?.manifest.devices.map(({ name, type }) => `${name} (${type})`).join(" ") || undefined,
    ],
    ["Previous", neighbours.previous?.id],
    [
      "Reproduced",
      build.main === undefined
        ? undefined
        : `by ${reproduced} other ${reproduced === 1 ? "build" : "builds"}`,
    ],
  ];
  for (const [name, text] of facts)
    if (text !== undefined) print(`${`${name}:`.padEnd(13)}${printable(text)}\n`);
  const others = reproductions.sameInputOtherOutput;
  if (others.length > 0) {
    print(
      `\nNot reproducible: the same inputs gave something else in\n${others.map(({ id }) => `  ${id}\n`).join("")}`,
    );
  }
  printPapers(answer);
  if (build.artifacts.length === 0) return;
  print("\n");
  print(
    formatTable(
      [
        { title: "FILE", text: ({ path }) => path },
        { title: "SIZE", text: ({ size }) => formatSize(size), isRight: true },
        { title: "SHA-256", text: ({ sha256 }) => sha256 },
        { title: "", text: ({ isKept }) => (isKept ? "" : "(not kept)") },
      ],
      build.artifacts,
    ),
  );
}

/** What came of building it again, and who has signed what. */
function printPapers({ rebuilds, statements }: BuildAnswer): void {
  const lines = [
    ...rebuilds.map(({ verdict, finishedAt, summary }) => [verdict, formatTime(finishedAt), summary ?? ""]),
    ...statements.map(({ kind, signers, createdAt }) => [
      kind === "provenance" ? "built" : "rebuilt",
      formatTime(createdAt),
      `signed by ${signers.map(({ name }) => name).join(", ") || "somebody unknown"}`,
    ]),
  ];
  if (lines.length === 0) return;
  print("\n");
  for (const [what = "", when = "", text = ""] of lines) {
    print(`${what.padEnd(8)} ${when}  ${printable(text)}\n`);
  }
}

/** `robur build pin` and `unpin`. */
export async function pin(flags: ToHost & { build: string }, isPinned: boolean): Promise<void> {
  const client = connect(flags.host);
  const { build } = await resolveBuild(client, flags.build);
  await client.request(`/api/v1/builds/${build.id}/pin`, {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: new Response(JSON.stringify({ isPinned })).body!,
  });
  print(`${build.id}\n`);
}

/** `robur build rm`. */
export async function remove(flags: ToHost & { build: readonly string[]; yes: boolean }): Promise<void> {
  const client = connect(flags.host);
  // Those that don't exist are found out before anybody is asked, and before the first is gone.
  const builds: BuildSummary[] = [];
  for (const text of flags.build) builds.push((await resolveBuild(client, text)).build);
  const names = builds.map(({ id, job }) => `${id} of ${job}`);
  const command = `robur build rm --yes ${flags.build.join(" ")}`;
  if (!confirm(`remove ${names.join(", ")} for good?`, flags.yes, command)) {
    printError("nothing was changed\n");
    process.exitCode = 1;
    return;
  }
  for (const { id } of builds) {
    await client.request(`/api/v1/builds/${id}`, { method: "DELETE" });
    print(`${id}\n`);
  }
}

/** `robur build verify-inputs`. Ends with 1 where there are such builds. */
export async function verifyInputs(flags: ToHost & { json: boolean }): Promise<void> {
  const client = connect(flags.host);
  const { found } = await ask(client, client.api.unreproducible.get());
  if (found.length > 0) process.exitCode = 1;
  if (flags.json) return print(`${JSON.stringify(found, null, 2)}\n`);
  for (const { inputId, builds } of found) {
    print(`input ${inputId}\n`);
    for (const { id, job, platform, output } of builds)
      print(`  ${output}  ${job} on ${platform}, build ${id}\n`);
  }
  if (found.length === 0) print("no two builds with the same inputs gave different outputs\n");
}
