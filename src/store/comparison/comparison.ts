/**
 * What is different between two builds: their inputs, their files, how they ended. Pure; every input may be missing or
 * unreadable, and then only what depends on it is left out. Everything in a comparison can be written as JSON.
 */
import type { ElfComparison } from "../../image/elf-comparison.ts";
import { OpamError } from "../../opam/opam-error.ts";
import { type DuniverseChanges, compareDuniverses, readDuniverse } from "../../opam/duniverse.ts";
import type { SwitchExport } from "../../opam/switch-export.ts";
import type { BuildId, BuildResult, Sha256, Solo5Notes } from "../api.ts";
import {
  type ArtifactChanges,
  type ComparedFile,
  type InputFile,
  compareArtifacts,
} from "./artifact-changes.ts";
import { type ConsoleChanges, type ConsoleText, compareConsoles } from "./console-changes.ts";
import { type KeyedChanges, type KeyedLines, compareKeyed } from "./keyed-lines.ts";
import { type OpamChanges, compareSwitches } from "./opam-changes.ts";
import { type Solo5Changes, compareSolo5 } from "./solo5-changes.ts";

/** One of a build's inputs, as far as it could be had. */
export type Input<T> =
  | { readonly state: "read"; readonly value: T }
  | { readonly state: "missing" }
  | { readonly state: "unreadable"; readonly error: string };

/** What is known of a build itself; of files in a directory nothing but their name is. */
export interface ComparedBuild {
  /** What people know it by: `hello@5a0c31f2…`, or a directory. */
  readonly name: string;
  readonly id?: BuildId;
  readonly job?: string;
  readonly platform?: string;
  /** Milliseconds since 1970. */
  readonly startedAt?: number;
  readonly finishedAt?: number;
  readonly result?: BuildResult;
  readonly main?: { readonly path: string; readonly sha256: Sha256; readonly size: number };
}

/** A build, read as far as a comparison needs it. */
export interface Comparable {
  readonly build: ComparedBuild;
  readonly files: readonly ComparedFile[];
  readonly switchExport: Input<SwitchExport>;
  readonly environment: Input<KeyedLines>;
  readonly systemPackages: Input<KeyedLines>;
  readonly solo5: Input<Solo5Notes>;
  readonly console: Input<ConsoleText>;
}

/** A part of a comparison, or why there is none. */
export type Part<T> =
  | ({ readonly state: "compared" } & T)
  | { readonly state: "missing"; readonly sides: readonly Side[] }
  | { readonly state: "unreadable"; readonly sides: readonly Side[]; readonly error: string };

export type Side = "left" | "right";

export interface Comparison {
  readonly left: ComparedBuild;
  readonly right: ComparedBuild;
  /** Both have a main binary, and it is the same. */
  readonly isSameOutput: boolean | undefined;
  readonly opam: Part<OpamChanges>;
  readonly duniverse: Part<DuniverseChanges>;
  readonly environment: Part<KeyedChanges>;
  readonly systemPackages: Part<KeyedChanges>;
  /** Whether the files that say what went in are the same byte for byte; undefined where one side lacks it. */
  readonly inputs: Readonly<Record<InputFile, boolean | undefined>>;
  readonly files: ArtifactChanges;
  readonly solo5: Part<Solo5Changes>;
  /** Undefined where they ended the same way, or it isn't known how. */
  readonly result: { readonly left: BuildResult; readonly right: BuildResult } | undefined;
  /** Milliseconds. Undefined where it isn't known of both. */
  readonly duration: { readonly left: number; readonly right: number } | undefined;
  readonly console: Part<ConsoleChanges>;
  /** The binaries from within, where somebody had them looked into, and which files those were. */
  readonly elf?: ElfComparison;
  readonly elfFiles?: { readonly left: string; readonly right: string };
}

/** Left is by custom the older one. */
export function compareBuilds(left: Comparable, right: Comparable): Comparison {
  const { main: leftMain, result: leftResult } = left.build;
  const { main: rightMain, result: rightResult } = right.build;
  const leftDuration = durationOf(left.build);
  const rightDuration = durationOf(right.build);
  return {
    left: left.build,
    right: right.build,
    isSameOutput:
      leftMain === undefined || rightMain === undefined ? undefined : leftMain.sha256 === rightMain.sha256,
    opam: part(left.switchExport, right.switchExport, compareSwitches),
    duniverse: part(duniverseOf(left), duniverseOf(right), compareDuniverses),
    environment: part(left.environment, right.environment, compareKeyed),
    systemPackages: part(left.systemPackages, right.systemPackages, compareKeyed),
    inputs: {
      "opam-switch": isSameFile(left, right, "opam-switch"),
      "build-environment": isSameFile(left, right, "build-environment"),
      "system-packages": isSameFile(left, right, "system-packages"),
    },
    files: compareArtifacts(left.files, right.files),
    solo5: part(left.solo5, right.solo5, compareSolo5),
    result:
      leftResult === undefined || rightResult === undefined || Bun.deepEquals(leftResult, rightResult)
        ? undefined
        : { left: leftResult, right: rightResult },
    duration:
      leftDuration === undefined || rightDuration === undefined
        ? undefined
        : { left: leftDuration, right: rightDuration },
    console: part(left.console, right.console, compareConsoles),
  };
}

function isSameFile(left: Comparable, right: Comparable, path: InputFile): boolean | undefined {
  const hashIn = ({ files }: Comparable) => files.find((file) => file.path === path)?.sha256;
  const leftHash = hashIn(left);
  const rightHash = hashIn(right);
  return leftHash === undefined || rightHash === undefined ? undefined : leftHash === rightHash;
}

function duniverseOf({ switchExport }: Comparable): Input<ReturnType<typeof readDuniverse>> {
  if (switchExport.state !== "read") return switchExport;
  // Of a build that failed: what it would have vendored isn't known, and nothing is wrong with the export.
  if (switchExport.value.roots.length === 0) return { state: "missing" };
  try {
    return { state: "read", value: readDuniverse(switchExport.value) };
  } catch (error) {
    if (!(error instanceof OpamError)) throw error;
    return { state: "unreadable", error: error.message };
  }
}

function durationOf({ startedAt, finishedAt }: ComparedBuild): number | undefined {
  return startedAt === undefined || finishedAt === undefined ? undefined : finishedAt - startedAt;
}

function part<T, C extends object>(
  left: Input<T>,
  right: Input<T>,
  compare: (left: T, right: T) => C,
): Part<C> {
  if (left.state === "read" && right.state === "read")
    return { state: "compared", ...compare(left.value, right.value) };
  const sidesThatAre = (state: Input<T>["state"]): Side[] => [
    ...(left.state === state ? (["left"] as const) : []),
    ...(right.state === state ? (["right"] as const) : []),
  ];
  if (left.state === "unreadable" || right.state === "unreadable") {
    const error = left.state === "unreadable" ? left.error : right.state === "unreadable" ? right.error : "";
    return { state: "unreadable", sides: sidesThatAre("unreadable"), error };
  }
  return { state: "missing", sides: sidesThatAre("missing") };
}
