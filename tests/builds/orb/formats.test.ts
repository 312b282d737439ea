import { describe, expect, test } from "bun:test";
import { readFileSync, rmSync, symlinkSync, mkdirSync, writeFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { parseAtom, readSolution } from "../../../src/builds/orb/build.ts";
import { cachePath, fetchAll, gitSource } from "../../../src/builds/orb/download.ts";
import {
  buildEnvironment,
  formatRecord,
  placeSwitch,
  readRecord,
  recordedPlace,
  sanitisePath,
  systemDifferences,
} from "../../../src/builds/orb/environment.ts";
import { withFullCommits } from "../../../src/builds/orb/full-commits.ts";
import { collectOutputs } from "../../../src/builds/orb/outputs.ts";
import { OPAM_STAND_IN } from "../../../src/builds/orb/stand-in.ts";
import { linuxVariables, normaliseArch } from "../../../src/builds/orb/system-variables.ts";
import { defaultTemplate } from "../../../src/builds/orb/template.ts";
import { readChangeRecord } from "../../../src/opam/change-record.ts";
import { parsePlatform } from "../../../src/store/api.ts";
import { temporaryDirectory } from "../../robur.ts";

const vector = (name: string) => readFileSync(join(import.meta.dir, "../../vectors/orb", name), "utf8");
const debian = linuxVariables("x86_64", 'ID=debian\nVERSION_ID="12"\n', undefined, "6.1.0");

describe("build-environment", () => {
  test("is the original's, byte for byte", () => {
    const place = placeSwitch("/home/user/orb/root/myswitch", undefined);
    const environment = buildEnvironment({
      home: "/home/user/orb/home",
      path: "/usr/local/bin:/usr/bin:/bin:/home/user/bin",
      isPathFirst: false,
      date: 1_589_138_087.5,
      solverTimeout: "300",
      name: "duration",
      place,
    });
    expect(formatRecord(environment, place.name, debian)).toBe(vector("build-environment"));
  });

  test("has HOME and PATH in the order of whoever called", () => {
    const place = placeSwitch("/r/s", undefined);
    const wish = { home: "/h", path: "/bin", date: 1, solverTimeout: undefined, name: "n", place };
    const first = (isPathFirst: boolean) =>
      [...buildEnvironment({ ...wish, isPathFirst }).keys()].slice(0, 3);
    expect(first(false)).toEqual(["HOME", "PATH", "SOURCE_DATE_EPOCH"]);
    expect(first(true)).toEqual(["PATH", "HOME", "SOURCE_DATE_EPOCH"]);
  });

  test("comes back as it was written, whatever the values are", () => {
    const value = fc.string().filter((text) => !/[\n\0]/.test(text));
    const key = fc
      .stringMatching(/^[A-Z][A-Z_]{0,10}$/)
      .filter((name) => !/^(OS|ARCH|ORB_DATA|SWITCH_PATH)/.test(name));
    fc.assert(
      fc.property(fc.array(fc.tuple(key, value)), (pairs) => {
        const environment = new Map(pairs);
        const record = readRecord(formatRecord(environment, "sw", debian));
        expect([...record.variables]).toEqual([...environment]);
        expect(systemDifferences(record, debian)).toEqual([]);
      }),
    );
  });

  test("names what is different, and only that", () => {
    const record = readRecord("SWITCH_PATH=sw\nOS_VERSION=11\nORB_DATA=2\nOS=linux");
    expect(systemDifferences(record, debian)).toEqual(["OS_VERSION was 11, is 12"]);
  });

  test("says where the switch was", () => {
    expect(recordedPlace(readRecord(vector("build-environment")))).toEqual({
      root: "/home/user/orb/root",
      name: "myswitch",
      isRootGiven: true,
    });
    expect(recordedPlace(readRecord("HOME=/root\nSWITCH_PATH=sw"))).toMatchObject({ root: "/root/.opam" });
    expect(() => readRecord("HOME=/root")).toThrow("doesn't name a switch");
    expect(() => readRecord("SWITCH_PATH=../../etc")).toThrow("doesn't name a switch");
  });

  test("has no variable with a line end", () => {
    expect(() => formatRecord(new Map([["A", "1\nB=2"]]), "sw", debian)).toThrow("more than one line");
  });
});

test("PATH holds the system's directories only, always in the same order", () => {
  expect(sanitisePath(undefined)).toBe("/bin:/sbin:/usr/bin:/usr/local/bin:/usr/local/sbin:/usr/sbin");
  expect(sanitisePath("/usr/sbin:/opt/bin:/usr/bin/:/bin")).toBe("/bin:/usr/sbin");
});

test("machines have opam's names", () => {
  expect(["i686", "amd64", "x86_64", "aarch64", "armv7l", "ppc64le", "riscv64"].map(normaliseArch)).toEqual([
    ...["x86_32", "x86_64", "x86_64", "arm64", "arm32", "ppc64", "riscv64"],
  ]);
  expect(
    linuxVariables("x86_64", 'ID=ubuntu\nID_LIKE="debian x"\nVERSION_ID="24.04"', "24.10\n", "6"),
  ).toEqual({
    ...{ arch: "x86_64", os: "linux", osDistribution: "ubuntu", osVersion: "24.10", osFamily: "debian" },
  });
});

test("packages are named with or without a version", () => {
  expect(parseAtom("mirage-crypto.0.11.3")).toEqual({ name: "mirage-crypto", version: "0.11.3" });
  expect(parseAtom("duration=0.2")).toEqual({ name: "duration", version: "0.2" });
  expect(parseAtom("duration")).toEqual({ name: "duration", version: undefined });
  for (const text of ["", "-y", "a>=1", "a b", "a.", "../a", "a;b"])
    expect(() => parseAtom(text)).toThrow("is no package");
});

test("what opam would install is read from what every opam prints", () => {
  const solution = [
    { name: "base-bytes", version: "base" },
    { name: "lwt", version: "5.7.0" },
  ];
  const old =
    "The following actions would be performed:\n  - install base-bytes base  [required by lwt]\n  ∗ install lwt        5.7.0\n===== 2 to install =====\n";
  const since =
    "The following actions would be performed:\n=== install 2 packages\n  - base-bytes base  [required by lwt]\n  ∗ lwt        5.7.0\n";
  expect(readSolution(old)).toEqual(solution);
  expect(readSolution(since)).toEqual(solution);
  expect(readSolution("Nothing to do.\n")).toEqual([]);
});

describe("an export's commits", () => {
  const commit = "0123456789abcdef0123456789abcdef01234567";
  const place = "git+https://git.example.org/somebody/something.git";
  const exported = (hash: string) => `opam-version: "2.0"
installed: ["a.1" "b.2"]
package "a" {
  url {
    src: "${place}#${hash}"
  }
}
package "b" {
  url {
    src: "https://example.org/b#01234567"
    checksum: "md5=${"0".repeat(32)}"
  }
}
`;

  test("are whole, as newer opams write them, and lines are broken as they break them", () => {
    const asked: string[] = [];
    const whole = withFullCommits(exported("01234567"), (full) => {
      asked.push(full);
      return commit;
    });
    expect(asked).toEqual(["a.1"]);
    expect(whole).toBe(exported(commit).replace(`src: "git`, `src:\n      "git`));
  });

  test("stay as they are where nobody knows better", () => {
    for (const known of [undefined, commit.replace("0", "f")])
      expect(withFullCommits(exported("01234567"), () => known)).toBe(exported("01234567"));
    expect(withFullCommits(exported(commit), () => commit)).toBe(exported(commit));
  });
});

test("git sources name a commit", () => {
  const commit = "0123456789abcdef0123456789abcdef01234567";
  expect(gitSource(`git+https://example.org/a.git#${commit}`)).toEqual({
    url: "https://example.org/a.git",
    commit,
  });
  expect(gitSource("https://example.org/a.tar.gz")).toBeUndefined();
  for (const url of [
    "git+https://example.org/a.git#main",
    "git+https://example.org/a",
    `git+file:///etc#${commit}`,
  ]) {
    expect(() => gitSource(url)).toThrow(/names no commit|is no URL/);
  }
});

describe("fetching vendored sources", () => {
  const hash = (bytes: string) => ({
    kind: "sha256" as const,
    value: new Bun.CryptoHasher("sha256").update(bytes).digest("hex"),
  });

  test("asks the cache first, and refuses what is not what was recorded", async () => {
    const target = temporaryDirectory();
    const tar = Bun.spawnSync(["sh", "-c", "mkdir d && echo one > d/a && tar -cz d"], {
      cwd: temporaryDirectory(),
    }).stdout;
    const value = new Bun.CryptoHasher("sha512").update(tar).digest("hex");
    const asked: string[] = [];
    using server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch(request) {
        const { pathname } = new URL(request.url);
        asked.push(pathname);
        if (pathname === `/cache/sha512/${value.slice(0, 2)}/${value}`) return new Response(tar);
        return pathname === "/wrong" ? new Response("wrong") : new Response("none", { status: 404 });
      },
    });
    const at = `http://127.0.0.1:${server.port}`;
    await fetchAll(
      [{ directory: "one", url: `${at}/one.tgz`, hashes: [{ kind: "sha512", value }] }],
      target,
      `${at}/cache/`,
    );
    expect(readFileSync(join(target, "one/a"), "utf8")).toBe("one\n");
    expect(asked).toEqual([`/cache/${cachePath({ kind: "sha512", value })}`]);
    const wrong = { directory: "two", url: `${at}/wrong`, hashes: [hash("right")] };
    await expect(fetchAll([wrong], target, undefined)).rejects.toThrow("could not be fetched");
    await expect(fetchAll([{ ...wrong, hashes: [] }], target, undefined)).rejects.toThrow("has no hash");
    await expect(fetchAll([{ ...wrong, directory: "../two" }], target, undefined)).rejects.toThrow(
      "can't be",
    );
    await expect(fetchAll([{ ...wrong, url: "file:///etc/passwd" }], target, undefined)).rejects.toThrow(
      "no http URL",
    );
    expect(existsSync(join(target, "two"))).toBe(false);
  });
});

test("outputs follow no link out of the prefix", () => {
  const prefix = temporaryDirectory();
  const out = temporaryDirectory();
  mkdirSync(join(prefix, "bin"));
  writeFileSync(join(prefix, "bin/a b;c"), "one");
  symlinkSync("a b;c", join(prefix, "bin/inside"));
  symlinkSync("/etc/passwd", join(prefix, "bin/outside"));
  const text = `opam-version: "2.0"
added: [
  "bin" {"D"}
  "bin/a b;c" {"F:${"0".repeat(32)}"}
  "bin/inside" {"L:a b;c"}
  "bin/outside" {"L:/etc/passwd"}
]
`;
  collectOutputs(prefix, out, "pkg", text, readChangeRecord(text));
  expect(readFileSync(join(out, "bin/a b;c"), "utf8")).toBe("one");
  expect(readFileSync(join(out, "bin/inside"), "utf8")).toBe("one");
  expect(existsSync(join(out, "bin/outside"))).toBe(false);
  // As the original's, it ends without a newline.
  expect(readFileSync(join(out, "pkg.build-hashes"), "utf8")).toBe(text.trimEnd());
  expect(vector("duration.build-hashes")).toBe(vector("duration.build-hashes").trimEnd());
  const escaping = `opam-version: "2.0"\nadded: "../x" {"F:${"0".repeat(32)}"}\n`;
  expect(() => collectOutputs(prefix, out, "pkg", escaping, readChangeRecord(escaping))).toThrow(
    "outside of its prefix",
  );
});

test("the opam that builds find answers as the original's", () => {
  const directory = temporaryDirectory();
  const opam = join(directory, "opam");
  writeFileSync(opam, OPAM_STAND_IN, { mode: 0o755 });
  writeFileSync(join(directory, "x.in"), "-j %{jobs}% %{name}%");
  const ask = (...args: string[]) => {
    const { exitCode, stdout } = Bun.spawnSync([opam, ...args], {
      cwd: directory,
      env: { PREFIX: "/p", PATH: "/usr/bin:/bin" },
    });
    return [exitCode, stdout.toString()];
  };
  expect(ask("--version", "x")).toEqual([0, "2.1.2\n"]);
  expect(ask("config", "var", "prefix")).toEqual([0, "/p\n"]);
  expect(ask("var", "lib")).toEqual([0, "/p/lib\n"]);
  expect(ask("subst", "x")).toEqual([0, ""]);
  expect(ask("install", "x")).toEqual([1, ""]);
  expect(ask("config", "subst", "x")).toEqual([0, ""]);
  expect(readFileSync(join(directory, "x"), "utf8")).toBe("-j 1 %{name}%");
  rmSync(directory, { recursive: true });
});

test("the default template is a shell script with both variables' places", () => {
  const text = defaultTemplate(parsePlatform("debian-12")!);
  expect(text).toStartWith("#!/bin/sh\nset -ex\n");
  expect(text).toContain("--disable-sandboxing");
  expect(text).toContain("'%%OPAM_PACKAGE%%'");
  expect(Bun.spawnSync(["sh", "-n"], { stdin: new TextEncoder().encode(text) }).exitCode).toBe(0);
});
