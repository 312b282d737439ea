import { describe, expect, test } from "bun:test";
import { mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Platform, Work } from "../../src/builds/api.ts";
import { DEFAULT_REPOSITORIES, defaultTemplate } from "../../src/builds/orb/template.ts";
import { DEFAULT_SETTINGS, checkSettings } from "../../src/builds/schedule/settings.ts";
import { scriptFor, templateFiles } from "../../src/builds/templates.ts";
import { temporaryDirectory } from "../robur.ts";

const DEBIAN = "debian-12" as Platform;
const BSD = "freebsd-14" as Platform;

function orb(...repositories: string[]): Work {
  return { kind: "orb", opamPackage: "hello", ...(repositories.length === 0 ? {} : { repositories }) };
}

describe("an orb job's script", () => {
  test("is the server's own template, with the package and the platform in it", () => {
    const made = scriptFor(orb(), DEBIAN, defaultTemplate);
    expect(made).toMatchObject({ ok: true });
    const { value } = made as { value: string };
    expect(value).toContain(`--repos='${DEFAULT_REPOSITORIES}'`);
    expect(value).toContain("'hello'");
    expect(value).toContain("--disable-sandboxing");
    expect(value).not.toContain("%%");
    expect((scriptFor(orb(), BSD, defaultTemplate) as { value: string }).value).not.toContain("sandboxing");
  });

  test("has the repositories that the job names, in their order", () => {
    const work = orb("own:https://opam.example/own", "default:https://opam.ocaml.org");
    expect((scriptFor(work, DEBIAN, defaultTemplate) as { value: string }).value).toContain(
      "--repos='own:https://opam.example/own,default:https://opam.ocaml.org'",
    );
  });

  test("is made from builder's template of the platform where there is one, replaced in builder's order", () => {
    const files = new Map([["/etc/builder/orb-build.template.debian-12", "o %%OPAM_PACKAGE%%\n"]]);
    const templates = templateFiles(
      "/etc/builder",
      () => "fallback\n",
      (path) => files.get(path),
    );
    const work: Work = { kind: "orb", opamPackage: "p-%%PLATFORM%%" };
    expect(scriptFor(work, DEBIAN, templates)).toEqual({ ok: true, value: "o p-debian-12\n" });
    expect(scriptFor(work, BSD, templates)).toEqual({ ok: true, value: "fallback\n" });
  });

  test("isn't made where the template would build from other repositories, or is empty", () => {
    const refused = scriptFor(orb("own:https://opam.example"), DEBIAN, () => "orb %%OPAM_PACKAGE%%\n");
    expect(refused).toMatchObject({ ok: false, refusal: { code: "invalid" } });
    expect(scriptFor(orb(), DEBIAN, () => " \n")).toMatchObject({ ok: false });
  });
});

describe("a template that is there and can't be used", () => {
  const directory = temporaryDirectory();
  const templates = templateFiles(directory, () => "fallback\n");
  const path = join(directory, "orb-build.template.debian-12");
  const made = () => scriptFor(orb(), DEBIAN, templates);

  test("isn't replaced by another one: the reason is said, and an edit takes effect at once", () => {
    expect(made()).toEqual({ ok: true, value: "fallback\n" });
    mkdirSync(path);
    expect(made()).toMatchObject({ ok: false, refusal: { message: `${path} can't be read (EISDIR)` } });
    rmdirSync(path);
    writeFileSync(path, Uint8Array.of(0xff, 0xfe));
    expect(made()).toMatchObject({
      ok: false,
      refusal: { message: expect.stringContaining("can't be read") },
    } as never);
    writeFileSync(path, "o %%OPAM_PACKAGE%%\n");
    expect(made()).toEqual({ ok: true, value: "o hello\n" });
  });
});

describe("the repositories of a job", () => {
  const check = (...repositories: string[]) =>
    checkSettings({ ...DEFAULT_SETTINGS, work: orb(...repositories), platforms: [] });

  test("are names with addresses", () => {
    for (const text of [
      "default:https://opam.ocaml.org",
      "pinned:git+https://github.com/ocaml/opam-repository.git#0123456789abcdef",
      "local:http://127.0.0.1:8000/repository",
      "keys:ssh://git@example.org/repository",
    ]) {
      expect([text, check(text).ok]).toEqual([text, true]);
    }
  });

  test("can't leave the place where they stand in the script", () => {
    for (const text of [
      "https://opam.ocaml.org",
      "default:/etc",
      "x:https://example.org/'; rm -rf /; '",
      "x:https://example.org/,y:https://example.net",
      "x:https://example.org/%%OPAM_PACKAGE%%",
      "x:https://example.org/\nmore",
      `x:https://example.org/${"a".repeat(1000)}`,
    ]) {
      expect([text, check(text).ok]).toEqual([text, false]);
    }
    expect(check("a:https://example.org", "a:https://example.net").ok).toBe(false);
    const many = Array.from({ length: 17 }, (_, at) => `r${at}:https://example.org`);
    expect(check(...many).ok).toBe(false);
  });
});
