import { afterAll, describe, expect, test } from "bun:test";
import { hashesBeginning, parseSearch, searchText } from "../../../src/store/builds/search.ts";
import { openLab } from "./lab.ts";
import { generateBuilds, generatedId, generatedMain } from "./generate.ts";

const lab = openLab();
afterAll(() => lab[Symbol.asyncDispose]());
generateBuilds(lab.db, 600);

function find(text: string, limit = 1000) {
  const outcome = searchText(lab.db, text, { limit });
  if (!outcome.ok) throw new Error(outcome.message);
  return outcome.value;
}

describe("a search", () => {
  test("for a part of a name finds the job and its builds, newest first", () => {
    const { jobs, builds, hasMore } = find("HELL");
    expect(jobs).toEqual([
      { name: "hello", section: "Unikernels", synopsis: "The hello unikernel" },
    ] as object[] as typeof jobs);
    expect(builds).toHaveLength(200);
    expect(builds.every(({ job }) => String(job) === "hello")).toBe(true);
    expect(builds.map(({ startedAt }) => startedAt)).toEqual(
      builds.map(({ startedAt }) => startedAt).toSorted((a, b) => b - a),
    );
    expect(hasMore).toBe(false);
  });

  test("for words finds what has all of them", () => {
    expect(find("unikernel dns").jobs.map(({ name }) => String(name))).toEqual(["dns-primary"]);
    expect(find("hello dns")).toEqual({ jobs: [], builds: [], hasMore: false });
    expect(find("%").builds).toEqual([]);
  });

  test("for the beginning of a hash finds the main binary first, then other files", () => {
    const main = generatedMain(0)!;
    const { builds } = find(main.slice(0, 12));
    expect(builds.length).toBeGreaterThan(0);
    expect(builds.every((build) => build.main?.sha256 === main)).toBe(true);
    expect(find(main.toUpperCase()).builds).toEqual(builds);
    expect(find(main.slice(0, 7)).builds).toEqual(builds);
    const environment = lab.store
      .build(generatedId(0))!
      .artifacts.find(({ path }) => path === "build-environment")!;
    expect(find(environment.sha256).builds).toHaveLength(600);
    expect(find(main.slice(0, 3)).builds).toEqual([]);
    // As opam files and lists of checksums have it.
    for (const text of [`sha256:${main}`, `SHA256=${main.slice(0, 9)}`, `hello sha-256:${main}`])
      expect(find(text.replace("hello", builds[0]!.job)).builds).toEqual(builds);
  });

  test("knows whether the beginning of a hash is one file's or several's", () => {
    const main = generatedMain(0)!;
    expect(hashesBeginning(lab.db, main.slice(0, 12))).toEqual([main]);
    expect(hashesBeginning(lab.db, main.toUpperCase())).toEqual([main]);
    for (const none of ["", "12", "zzzz", "f".repeat(64), `${main}0`])
      expect(hashesBeginning(lab.db, none)).toEqual([]);
  });

  test("for the beginning of a UUID finds the build", () => {
    expect(find(generatedId(7)).builds.map(({ id }) => id)).toEqual([generatedId(7)]);
  });

  test("for a platform and dates finds what is within", () => {
    const day = Date.UTC(2020, 0, 10);
    const { builds } = find("platform:debian-12 since:2020-01-10 before:2020-01-11");
    expect(builds).toHaveLength(3);
    expect(
      builds.every(({ startedAt, platform }) => startedAt >= day && String(platform) === "debian-12"),
    ).toBe(true);
    expect(find("since:2020-01-10T00:00Z before:2020-01-10T01:00:00+01:00").builds).toEqual([]);
  });

  test("for a package and its versions finds the builds that had it", () => {
    // A switch a week with x509 0.WEEK.0, six builds a day.
    expect(find("x509 < 0.2.0").builds).toHaveLength(84);
    expect(find("x509<0.2.0 platform:debian-12").builds).toHaveLength(42);
    expect(find("hello x509 >= 0.1 & < 0.2").builds).toHaveLength(14);
    expect(find("x509 = 0.10.0").builds).toHaveLength(42);
    expect(find("package:x509").builds).toHaveLength(600);
    expect(find("package:x509.0.1.0").builds).toHaveLength(42);
    expect(find("x50 < 1").builds).toEqual([]);
  });

  test("is answered in pages", () => {
    const whole = find("hello").builds;
    const page = searchText(lab.db, "hello", { limit: 30, start: 60 });
    expect(page).toMatchObject({ ok: true, value: { jobs: [], hasMore: true } });
    if (page.ok) expect(page.value.builds).toEqual(whole.slice(60, 90));
    const last = searchText(lab.db, "hello", { limit: 30, start: 170 });
    expect(last).toMatchObject({ ok: true, value: { hasMore: false } });
  });

  test("for a platform's name finds its builds", () => {
    expect(find("debian-12").builds).toHaveLength(300);
    expect(find("debian").builds).toEqual([]);
    expect(find("hello freebsd-14").builds).toHaveLength(100);
  });

  test("for nothing finds nothing", () => {
    expect(find("   ")).toEqual({ jobs: [], builds: [], hasMore: false });
  });
});

describe("a search that can't be understood is refused", () => {
  test.each([
    ["since:yesterday", "yesterday is no date"],
    ["before:2020-13-01", "is no date"],
    ["since:2020-01-01T00:00", "is no date"],
    ["a b c d e f g h i j k", "more than 10 terms"],
    ["x".repeat(501), "501 characters"],
    ["package:<>", "package"],
    ["x509 <", "< stands alone"],
    ["ab".repeat(64), "which has 64 digits; this has 128, as SHA-512"],
    ["a".repeat(65), "this has 65, too many"],
    ["sha512:abcd", "not by sha512"],
    ["hello blake2b=abcd", "not by blake2b"],
    ["md5=0123", "not by md5"],
  ])("%p", (text, message) => {
    expect(parseSearch(text)).toEqual({ ok: false, message: expect.stringContaining(message) });
  });
});
