/** `orb rebuild`: a recorded build once more, and whether it came out the same. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  type ChangeRecord,
  type ChangeRecordDifference,
  compareChangeRecords,
  readChangeRecord,
} from "../../opam/change-record.ts";
import { readDuniverse } from "../../opam/duniverse.ts";
import { parseOpam } from "../../opam/parse-opam.ts";
import { printOpam } from "../../opam/print-opam.ts";
import { type OpamPackage, type SwitchExport, readSwitchExport } from "../../opam/switch-export.ts";
import { type OpamFile, fieldOf } from "../../opam/syntax.ts";
import { type CommonOptions, inSwitch, isUnikernel } from "./build.ts";
import { fetchAll } from "./download.ts";
import { type EnvironmentRecord, readRecord, recordedPlace, systemDifferences } from "./environment.ts";
import { Opam, say } from "./opam.ts";
import { OrbError } from "./orb-error.ts";
import { compareOutputs, isOutput } from "../reproduce/outputs.ts";
import { collectOutputs, readChanges } from "./outputs.ts";
import type { PublishedFile } from "./recorded-build.ts";
import { withSwitch } from "./session.ts";
import { installSystemPackages } from "./system-packages.ts";
import { systemVariables } from "./system-variables.ts";
import {
  DUNIVERSE_FIELD,
  fetchSource,
  inBuildDirectory,
  installFrom,
  lockLocation,
  runField,
} from "./unikernel.ts";

export interface RebuildOptions extends CommonOptions {
  readonly ignoreEnvironment: boolean;
}

/**
 * Rebuilds from the record in `directory`, and compares with its build-hashes, or with the files that somebody
 * published. Answers in what files it differs. Throws OrbError.
 */
export async function rebuildPackage(
  directory: string,
  options: RebuildOptions,
  published?: readonly PublishedFile[],
): Promise<ChangeRecordDifference[]> {
  const record = readRecord(readInput(directory, "build-environment"));
  const exported = readSwitchExport(readInput(directory, "opam-switch"));
  const [root, ...others] = exported.roots;
  if (root === undefined || others.length > 0) {
    throw new OrbError("failed", `opam-switch has ${exported.roots.length} roots`, {
      why: "a build has exactly one",
    });
  }
  if (published === undefined) {
    const before = readChangeRecord(readInput(directory, `${root.name}.build-hashes`));
    const { record: after } = await buildAgain(directory, record, exported, root, options);
    return compareChangeRecords(before, after);
  }
  if (!published.some(({ path }) => isOutput(path))) {
    throw new OrbError("failed", "there are no files to compare with", { why: "that build has given none" });
  }
  const { files } = await buildAgain(directory, record, exported, root, options);
  // Hidden files are not sent by workers, so nobody can have published them.
  const sent = files.filter(({ path }) => !/(^|\/)\./.test(path));
  return compareOutputs(published, sent).flatMap(({ path, state }) =>
    state === "same" ? [] : [{ path, side: SIDES[state] }],
  );
}

const SIDES = { differs: "both", missing: "left", new: "right" } as const;

function readInput(directory: string, name: string): string {
  const path = join(directory, name);
  if (existsSync(path)) return readFileSync(path, "utf8");
  throw new OrbError("failed", `there is no ${path}`, { why: "a recorded build has it" });
}

async function buildAgain(
  directory: string,
  record: EnvironmentRecord,
  exported: SwitchExport,
  root: OpamPackage,
  options: RebuildOptions,
): Promise<{ readonly record: ChangeRecord; readonly files: readonly PublishedFile[] }> {
  const place = recordedPlace(record);
  const path = record.variables.get("PATH") ?? "";
  const system = systemVariables(path);
  const differences = systemDifferences(record, system);
  for (const line of differences) say(`this system is another one: ${line}`);
  if (differences.length > 0 && !options.ignoreEnvironment) {
    throw new OrbError("failed", "this system is another one than the recorded", {
      why: differences.join("\n"),
      hint: "--ignore-env-differences",
      exitStatus: 125,
    });
  }
  const list = join(directory, "system-packages");
  if (!options.skipSystem && existsSync(list)) {
    await installSystemPackages(readFileSync(list, "utf8"), system, path);
  }
  const opam = new Opam(options.path, record.variables, place);
  const session = {
    ...options,
    // Not to install them is no reason not to record them.
    skipSystem: false,
    ...{ opam, environment: record.variables, system, repositories: [] },
  };
  return withSwitch(session, async () => {
    const file = exported.packages.get(root.name);
    if (file === undefined) throw new OrbError("failed", `opam-switch has no package ${root.name}`);
    const isVendored = fieldOf(file, DUNIVERSE_FIELD) !== undefined;
    await importSwitch(opam, isVendored ? withoutRoot(directory, root) : readInput(directory, "opam-switch"));
    const { text, record: changes } =
      isVendored || isUnikernel(file, root.name)
        ? await rebuildUnikernel(opam, exported, root, file, options)
        : readChanges(opam.prefix, root.name);
    const files = collectOutputs(opam.prefix, options.out, root.name, text, changes);
    return { record: changes, files };
  });
}

async function importSwitch(opam: Opam, text: string): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), "orb-import-"));
  try {
    const path = join(scratch, "opam-switch");
    writeFileSync(path, text);
    await opam.run("switch import", "switch", "import", inSwitch(opam), path);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The export with everything but its root. */
function withoutRoot(directory: string, { name, version }: OpamPackage): string {
  const { items } = parseOpam(readInput(directory, "opam-switch"));
  const kept = items.flatMap((item): OpamFile["items"][number][] => {
    if (item.kind === "section") return item.type === "package" && item.name === name ? [] : [item];
    if (item.name === "roots") return [{ ...item, value: { kind: "list", values: [] } }];
    if (item.name !== "installed") return [item];
    const all = item.value.kind === "list" ? item.value.values : [item.value];
    const values = all.filter((value) => value.kind !== "string" || value.value !== `${name}.${version}`);
    return [{ ...item, value: { kind: "list", values } }];
  });
  return printOpam({ items: kept });
}

async function rebuildUnikernel(
  opam: Opam,
  exported: SwitchExport,
  root: OpamPackage,
  file: OpamFile,
  options: RebuildOptions,
): Promise<{ readonly text: string; readonly record: ChangeRecord }> {
  const full = `${root.name}.${root.version}`;
  return inBuildDirectory(options.keepBuild, async (directory) => {
    return withRepositoryOf(opam, exported, async () => {
      await fetchSource(opam, full, directory);
      const location = lockLocation(file);
      if (location !== undefined) {
        const duniverse = join(directory, dirname(dirname(location)), "duniverse");
        rmSync(duniverse, { recursive: true, force: true });
        mkdirSync(duniverse, { recursive: true });
        writeFileSync(join(duniverse, "dune"), "(vendored_dirs *)");
        await fetchAll(readDuniverse(exported).values(), duniverse, options.cache);
      }
      await runField(opam, file, "x-mirage-configure", directory);
      return installFrom(opam, { ...root, options }, file, directory);
    });
  });
}

/**
 * While a repository has the packages of the export: the root, whose source opam fetches, and those that it needs, which
 * a newer opam otherwise takes for packages that there are no more.
 */
async function withRepositoryOf<T>(opam: Opam, exported: SwitchExport, work: () => Promise<T>): Promise<T> {
  const scratch = mkdtempSync(join(tmpdir(), "orb-root-"));
  try {
    writeFileSync(join(scratch, "repo"), 'opam-version: "2.0"\n');
    for (const { name, version } of [...exported.installed, ...exported.roots]) {
      const file = exported.packages.get(name);
      if (file === undefined || /[/\0]/.test(`${name}${version}`)) continue;
      const folder = join(scratch, "packages", name, `${name}.${version}`);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, "opam"), printOpam(file));
    }
    const added = ["repository", "add", "--this-switch", inSwitch(opam), "--kind=local", "orb-root", scratch];
    await opam.run("repository", ...added);
    return await work();
  } finally {
    await opam.try("repository", "remove", "--all", "orb-root");
    rmSync(scratch, { recursive: true, force: true });
  }
}
