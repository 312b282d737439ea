import { describe, expect, test } from "bun:test";
import type { Sha256 } from "../../../src/lib/sha256.ts";
import { sha256Of } from "../../../src/lib/sha256-of.ts";
import type { BuildId, BuildSummary, JobName, Platform } from "../../../src/store/api.ts";
import { type Lab, type SampleRecord, openLab, recordBytes, SAMPLE, upload } from "./lab.ts";

const HOUR = 3600_000;
const START = Date.UTC(2026, 0, 1);

const id = (number: number) => SAMPLE.uuid.replace(/...$/, String(number).padStart(3, "0")) as BuildId;
const hello = "hello" as JobName;
const debian = "debian-12" as Platform;

interface Sample {
  readonly at: number;
  readonly output?: string;
  readonly input?: string;
  readonly platform?: string;
  readonly job?: string;
}

/** A build for each: its number is its place, its start so many hours after the first. */
async function give(lab: Lab, samples: readonly Sample[]): Promise<void> {
  for (const [number, { at, output, input = "i", platform = debian, job = hello }] of samples.entries()) {
    const files: SampleRecord["files"] = [
      ...(output === undefined ? [] : [["bin/hello.hvt", output] as const]),
      ["opam-switch", `opam-version: "2.0"\nx-input: "${input}"\n`],
      ["build-environment", "OS=linux"],
      ["system-packages", ""],
    ];
    const startedAt = START + at * HOUR;
    const bytes = await recordBytes({
      uuid: id(number),
      name: job,
      platform,
      startedAt,
      finishedAt: startedAt + HOUR / 2,
      files,
    });
    expect((await upload(lab.store, bytes)).ok).toBe(true);
  }
}

const numbers = (builds: readonly BuildSummary[]) => builds.map((build) => Number(build.id.slice(-3)));
const numberOf = (build: BuildSummary | undefined) => build && Number(build.id.slice(-3));

describe("latest", () => {
  test("is the newest with a main binary, however it ended, of a platform if one is named", async () => {
    await using lab = openLab();
    await give(lab, [
      { at: 1, output: "a" },
      { at: 3, output: "b" },
      { at: 2, output: "c", platform: "freebsd-14" },
      { at: 4 },
      { at: 9, output: "d", job: "other" },
    ]);
    expect(numberOf(lab.store.latest(hello))).toBe(1);
    expect(numberOf(lab.store.latest(hello, "freebsd-14" as Platform))).toBe(2);
    expect(lab.store.latest(hello, "ubuntu-22.04" as Platform)).toBeUndefined();
    expect(lab.store.latest("unknown" as JobName)).toBeUndefined();
  });
});

test("neighbours are of the same job and platform, and have another output", async () => {
  await using lab = openLab();
  await give(lab, [
    { at: 1, output: "a" },
    { at: 2, output: "b" },
    { at: 3, output: "b" },
    { at: 4, output: "b" },
    { at: 5 },
    { at: 6, output: "c" },
    { at: 7, output: "d", platform: "freebsd-14" },
    { at: 8, output: "e", job: "other" },
    { at: 9, output: "c" },
  ]);
  const of = (number: number) => {
    const { previous, next, latest } = lab.store.neighbours(lab.store.build(id(number))!);
    return [previous, next, latest].map(numberOf);
  };
  expect(of(2)).toEqual([0, 5, 8]);
  expect(of(0)).toEqual([undefined, 1, 8]);
  expect(of(8)).toEqual([3, undefined, 8]);
  // A failed build has only the latest.
  expect(of(4)).toEqual([undefined, undefined, 8]);
  expect(of(6)).toEqual([undefined, undefined, 6]);
});

test("outputs are those of the job, each with its newest build", async () => {
  await using lab = openLab();
  await give(lab, [
    { at: 1, output: "a" },
    { at: 2, output: "b" },
    { at: 3, output: "a", platform: "freebsd-14" },
    { at: 4 },
    { at: 5, output: "a", job: "other" },
  ]);
  const outputs = lab.store.outputsOf(hello);
  expect(
    outputs.map(({ newest, count, oldestAt }) => [numberOf(newest), count, (oldestAt - START) / HOUR]),
  ).toEqual([
    [2, 2, 1],
    [1, 1, 2],
  ]);
  expect(outputs.map(({ output }) => output)).toEqual([sha256Of("a"), sha256Of("b")]);
  const onDebian = lab.store.outputsOf(hello, { platform: debian });
  expect(onDebian.map(({ newest, count }) => [numberOf(newest), count])).toEqual([
    [1, 1],
    [0, 1],
  ]);
  expect(lab.store.outputsOf(hello, { limit: 1, start: 1 }).map(({ newest }) => numberOf(newest))).toEqual([
    1,
  ]);
  expect(lab.store.outputsOf("unknown" as JobName)).toEqual([]);
});

test("reproductions are sought among all jobs and platforms, one for each other input and output", async () => {
  await using lab = openLab();
  await give(lab, [
    { at: 1, output: "a", input: "i" },
    { at: 2, output: "a", input: "i", platform: "freebsd-14" },
    { at: 3, output: "a", input: "i", job: "other" },
    { at: 4, output: "a", input: "j" },
    { at: 5, output: "a", input: "j" },
    { at: 6, output: "b", input: "i" },
    { at: 7, output: "b", input: "i" },
    { at: 8, output: "c", input: "k" },
    // The newest with input j has another output: it isn't what made this one again.
    { at: 9, output: "c", input: "j" },
    { at: 10, input: "i" },
  ]);
  const found = lab.store.reproductions(lab.store.build(id(0))!);
  expect(numbers(found.sameInputSameOutput)).toEqual([2, 1]);
  expect(numbers(found.otherInputSameOutput)).toEqual([4]);
  expect(numbers(found.sameInputOtherOutput)).toEqual([6]);
  const none = { sameInputSameOutput: [], otherInputSameOutput: [], sameInputOtherOutput: [] };
  expect(lab.store.reproductions(lab.store.build(id(9))!)).toEqual(none);
});

test("builds are listed newest first, by kind and platform, in pages", async () => {
  await using lab = openLab();
  await give(lab, [
    { at: 3, output: "a" },
    { at: 1, output: "b" },
    { at: 2 },
    { at: 4, platform: "freebsd-14" },
    { at: 5, job: "other" },
  ]);
  const list = (options: object) => numbers(lab.store.buildsOf(hello, { limit: 10, ...options }));
  expect(list({})).toEqual([3, 0, 2, 1]);
  expect(list({ kind: "successful" })).toEqual([0, 1]);
  expect(list({ kind: "failed" })).toEqual([3, 2]);
  expect(list({ kind: "failed", platform: debian })).toEqual([2]);
  expect(list({ limit: 2, start: 1 })).toEqual([0, 2]);
  expect(numbers(lab.store.failed({ limit: 10 }))).toEqual([4, 3, 2]);
  expect(numbers(lab.store.failed({ limit: 1, start: 1, platform: debian }))).toEqual([2]);
});

test("a file's builds are those that have it as main binary, then the others", async () => {
  await using lab = openLab();
  const environment = sha256Of("OS=linux");
  await give(lab, [
    { at: 1, output: "OS=linux", job: "other" },
    { at: 2, output: "a" },
    { at: 3, output: "b" },
  ]);
  expect(numbers(lab.store.containing(environment))).toEqual([0, 2, 1]);
  expect(numbers(lab.store.containing(environment, 2))).toEqual([0, 2]);
  expect(numbers(lab.store.containing(environment, 1))).toEqual([0]);
  expect(lab.store.containing(sha256Of("nothing") as Sha256)).toEqual([]);
});

test("a build is found by the beginning of its UUID", async () => {
  await using lab = openLab();
  await give(lab, [
    { at: 1, output: "a" },
    { at: 2, output: "b" },
  ]);
  expect(numbers(lab.store.resolve(id(1).toUpperCase()))).toEqual([1]);
  expect(numbers(lab.store.resolve(id(0).slice(0, 9)))).toEqual([0, 1]);
  for (const other of ["084", "0846", "0845%", "", `${id(0)}0`]) expect(lab.store.resolve(other)).toEqual([]);
});

describe("the overview", () => {
  test("shows each platform's last success and last runs", async () => {
    await using lab = openLab();
    await give(lab, [
      { at: 1, output: "a" },
      { at: 5 },
      { at: 2, output: "b", platform: "freebsd-14" },
      { at: 3, platform: "freebsd-14" },
      { at: 4, job: "broken" },
    ]);
    const [broken, first, ...rest] = lab.store.overview();
    expect(rest).toEqual([]);
    expect(broken).toMatchObject({ name: "broken", latest: [], newest: undefined });
    expect(broken?.recent.map(({ builds }) => numbers(builds))).toEqual([[4]]);
    expect(numbers(first!.latest)).toEqual([0, 2]);
    expect(numberOf(first!.newest)).toBe(2);
    expect(first!.recent.map(({ platform, builds }) => [String(platform), numbers(builds)])).toEqual([
      ["debian-12", [1, 0]],
      ["freebsd-14", [3, 2]],
    ]);
    expect(lab.store.jobs().map(String)).toEqual(["broken", "hello"]);
  });

  test("leaves out what hasn't succeeded for long, at the very millisecond", async () => {
    await using lab = openLab();
    await give(lab, [{ at: 0, output: "a" }, { at: 10 }]);
    const finished = START + HOUR / 2;
    expect(lab.store.overview({ activeSince: finished - 1 })).toHaveLength(1);
    expect(lab.store.overview({ activeSince: finished })).toEqual([]);
  });

  test("goes by section, then by name", async () => {
    await using lab = openLab();
    await give(lab, [
      { at: 1, output: "a", job: "zebra" },
      { at: 1, output: "a", job: "apple" },
      { at: 1, output: "a", job: "mango" },
    ]);
    lab.db.run("UPDATE job SET section = 'Packages' WHERE name = 'apple'");
    lab.db.run("UPDATE job SET section = 'Unikernels' WHERE name = 'mango'");
    expect(lab.store.overview().map(({ name }) => String(name))).toEqual(["apple", "zebra", "mango"]);
  });
});
