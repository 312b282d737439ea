/** The job that makes a build again: orb's rebuild from its record, or the same script once more. Pure. */
import { OpamError } from "../../opam/opam-error.ts";
import { readSwitchExport } from "../../opam/switch-export.ts";
import type { OriginalBuild } from "./original-build.ts";
import { ASIDE, type VariedJob, type Variation, exportTo, variedJob, variedRecord } from "./variations.ts";

export type RebuildKind = "orb" | "script";

/** An orb build has recorded what it was made of. */
export function rebuildKind({ inputs }: Pick<OriginalBuild, "inputs">): RebuildKind {
  return inputs.opamSwitch !== undefined && inputs.environment !== undefined ? "orb" : "script";
}

/** What a record that lost its list of installed files gets instead: robur compares the files themselves. */
const NO_HASHES = 'opam-version: "2.0"\n';

/** The job, with these variations of its surroundings. Throws OpamError for a switch export that can't be read. */
export function rebuildJob(original: OriginalBuild, variations: readonly Variation[]): VariedJob {
  if (rebuildKind(original) === "script") return variedJob(original.script, variations);
  const { opamSwitch = "", environment = "", systemPackages } = original.inputs;
  const text = new TextEncoder();
  const recorded = [
    { name: "opam-switch", text: opamSwitch },
    { name: "build-environment", text: variedRecord(environment, variations) },
    ...(systemPackages === undefined ? [] : [{ name: "system-packages", text: systemPackages }]),
    { name: `${rootName(opamSwitch)}.build-hashes`, text: hashesOf(original) },
  ];
  // orb takes its place and its variables from the record; what is left to the script is what surrounds orb.
  const outside = variations.filter((name) => !IN_RECORD.has(name));
  const told = variations.filter((name) => IN_RECORD.has(name)).map((name) => `echo "[varied] ${name}"`);
  const before = [
    'mkdir "$aside/recorded" || exit 125',
    ...recorded.map(({ name }) => `mv ./.recorded-${name} "$aside/recorded/${name}" || exit 125`),
    // Package managers are root's, and look at the clock: they come first.
    'orb system "$aside/recorded"',
    ...told,
  ];
  const script = [
    "#!/bin/sh",
    ASIDE[0],
    ...exportTo("$aside/recorded/build-environment"),
    'orb rebuild --skip-system --ignore-env-differences --disable-sandboxing --out=. "$aside/recorded"',
    "status=$?",
    // 3: it differs by its own list. What differs is found out afterwards, from the files.
    'test "$status" -eq 3 && exit 0; exit "$status"',
    "",
  ];
  const job = variedJob(text.encode(script.join("\n")), outside, before);
  const files = recorded.map((one) => ({ name: `.recorded-${one.name}`, content: text.encode(one.text) }));
  return { ...job, files: [...job.files, ...files] };
}

const IN_RECORD: ReadonlySet<Variation> = new Set(["environment", "home", "timezone", "build-path"]);

/** The package that the build was for. Throws OpamError. */
export function rootName(opamSwitch: string): string {
  const [root, ...others] = readSwitchExport(opamSwitch).roots;
  if (root !== undefined && others.length === 0 && /^[A-Za-z0-9_+-]+$/.test(root.name)) return root.name;
  throw new OpamError("bad-field", "roots: the switch export doesn't have exactly one");
}

function hashesOf({ files }: OriginalBuild): string {
  const file = files.find(({ path, size }) => path.endsWith(".build-hashes") && size < 16 * 1024 * 1024);
  return file === undefined ? NO_HASHES : Buffer.from(file.source.read(0, file.size)).toString("utf8");
}
