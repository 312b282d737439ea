/** What a build's files say of its job, and what its switch has installed. */
import { describeRoot } from "../../opam/classify.ts";
import { OpamError } from "../../opam/opam-error.ts";
import { type SwitchExport, readSwitchExport } from "../../opam/switch-export.ts";
import { MIB } from "../../lib/units.ts";
import type { Content, ContentStore } from "../api.ts";
import { baseName } from "./artifact-path.ts";
import type { BuildRows, JobTags } from "./insert-build.ts";

/** Larger ones are kept, but not read. */
const SWITCH_MAX = 16 * MIB;
const README_MAX = MIB;
/** A switch with more packages isn't found by them: each is a row. */
const PACKAGES_MAX = 10_000;

export interface Described {
  readonly tags: JobTags;
  readonly packages: BuildRows["packages"];
}

/** `files`: all of a record's, those that are no artifacts included. What can't be read counts as not found. */
export async function describeFiles(
  contents: ContentStore,
  files: readonly { readonly path: string; readonly content: Content }[],
): Promise<Described> {
  const readme = files.find(({ path }) => path === "README.md") ?? named(files, "README.md");
  const text = readme === undefined ? undefined : await textOf(contents, readme.content, README_MAX);
  const read = await switchOf(contents, files);
  const installed = files.some(({ path }) => path === "opam-switch") ? (read?.installed ?? []) : [];
  return {
    tags: { ...(read === undefined ? {} : rootTags(read)), readme: text },
    packages: installed.length > PACKAGES_MAX ? [] : installed,
  };
}

async function switchOf(
  contents: ContentStore,
  files: readonly { readonly path: string; readonly content: Content }[],
): Promise<SwitchExport | undefined> {
  const file = named(files, "opam-switch");
  const text = file === undefined ? undefined : await textOf(contents, file.content, SWITCH_MAX);
  if (text === undefined) return undefined;
  try {
    return readSwitchExport(text);
  } catch (error) {
    if (error instanceof OpamError) return undefined;
    throw error;
  }
}

function rootTags(read: SwitchExport): JobTags {
  return describeRoot(read) ?? {};
}

function named<T extends { readonly path: string }>(files: readonly T[], name: string): T | undefined {
  return files.find(({ path }) => baseName(path) === name);
}

async function textOf(contents: ContentStore, content: Content, limit: number): Promise<string | undefined> {
  if (content.size > limit) return undefined;
  return new TextDecoder().decode(await contents.bytes(content, limit));
}
