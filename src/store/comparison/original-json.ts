/**
 * A comparison in builder-web's JSON. Its `env_diff` and `package_diff` have the sides swapped, and clients show them as
 * they come, so they stay swapped; `added`, `removed` and `changed` beside them say what is meant.
 */
import type { ComparedBuild, Comparison, Part } from "./comparison.ts";
import type { KeyedChanges } from "./keyed-lines.ts";

/** `2024-09-03T10:11:12-00:00`: UTC, of whatever zone. */
function instant(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}-00:00`;
}

/** An object to be written as JSON. Parts that couldn't be compared are empty lists. */
export function originalJson(comparison: Comparison) {
  return {
    left: buildJson(comparison.left),
    right: buildJson(comparison.right),
    env_diff: keyedJson(comparison.environment),
    package_diff: keyedJson(comparison.systemPackages),
    opam_diff: { ...opamJson(comparison), duniverse_diff: duniverseJson(comparison) },
  };
}

function buildJson({ job, id, platform, startedAt, finishedAt, main, name }: ComparedBuild) {
  return {
    job: job ?? name,
    uuid: id ?? "",
    platform: platform ?? "",
    start_time: instant(startedAt ?? 0),
    finish_time: instant(finishedAt ?? 0),
    main_binary: main !== undefined,
    main_binary_size: main?.size ?? null,
  };
}

function keyedJson(part: Part<KeyedChanges>) {
  const { added, removed, changed } =
    part.state === "compared" ? part : { added: [], removed: [], changed: [] };
  const packages = (list: KeyedChanges["added"]) => list.map(({ name, value }) => ({ name, version: value }));
  const versions = changed.map(({ name, left, right }) => ({
    name,
    version_left: left,
    version_right: right,
  }));
  return {
    left_packages: packages(added),
    right_packages: packages(removed),
    different_versions: versions,
    added: packages(added),
    removed: packages(removed),
    changed: versions,
  };
}

/** Versions ascend, the other lists descend, as the original's do. */
function opamJson({ opam }: Comparison) {
  const { added, removed, versions, files } =
    opam.state === "compared" ? opam : { added: [], removed: [], versions: [], files: [] };
  return {
    opam_diff: files
      .map(({ name, version, diff }) => ({
        package_version: `${name}.${version}`,
        effectively_equal: false,
        diff,
      }))
      .toReversed(),
    version_diff: versions.map(({ name, left, right }) => ({
      name,
      version_left: left,
      version_right: right,
    })),
    only_in_left: removed.toReversed(),
    only_in_right: added.toReversed(),
  };
}

function duniverseJson({ duniverse }: Comparison) {
  const { added, removed, changed } =
    duniverse.state === "compared" ? duniverse : { added: [], removed: [], changed: [] };
  return {
    left: removed.map(({ directory, url }) => ({ name: directory, value: url })),
    right: added.map(({ directory, url }) => ({ name: directory, value: url })),
    detailed_diff: changed.map(({ directory, leftUrl, rightUrl, hashes }) => ({
      name: directory,
      left_url: leftUrl,
      right_url: rightUrl,
      hashes: hashes.map(({ kind, left, right }) => ({ kind, left: left ?? null, right: right ?? null })),
    })),
    ...(duniverse.state === "unreadable" ? { error: duniverse.error } : {}),
  };
}
