import { cpSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "bun:test";
import { CHECKOUT, PATH_SHELLS, Sandbox } from "./sandbox.ts";

const PINS = join(CHECKOUT, "scripts", "bun");
const VERSION = "1.4.5";

/** An npm that "downloads" what package.json beside it asks for, and writes down how it was called. */
const FAKE_NPM = `
[ "$1" = ci ] || exit 9
echo "$*" >>"$LOG"
name=$(sed -n 's/.*"@oven\\/\\([a-z0-9-]*\\)": "\\([0-9.]*\\)".*/\\1/p' package.json)
version=$(sed -n 's/.*"@oven\\/\\([a-z0-9-]*\\)": "\\([0-9.]*\\)".*/\\2/p' package.json)
echo "$name $version \${npm_config_cache:-usual cache}" >>"$LOG"
grep -q "node_modules/@oven/$name" package-lock.json || exit 8
echo "added 1 package"
sleep 0.05
mkdir -p "node_modules/@oven/$name/bin"
printf '#!/bin/sh\\necho %s\\n' "\${GIVES:-$version}" >"node_modules/@oven/$name/bin/bun"
chmod 755 "node_modules/@oven/$name/bin/bun"
`;

/** A checkout without a Bun, and an npm that can fetch one. */
function withoutBun(shell: string): {
  box: Sandbox;
  script: string;
  env: { LOG: string };
  log: () => string[];
} {
  const box = new Sandbox(shell);
  cpSync(PINS, box.path("checkout", "scripts", "bun"), { recursive: true });
  box.fake("npm", FAKE_NPM);
  box.fake("node", "");
  const LOG = box.path("log");
  const log = () => (existsSync(LOG) ? readFileSync(LOG, "utf8").trimEnd().split("\n") : []);
  return { box, script: box.path("checkout", "scripts", "bun", "find-bun.sh"), env: { LOG }, log };
}

describe.each(PATH_SHELLS)("find-bun.sh, under %s", (shell) => {
  test("prints the Bun on PATH if it has the pinned version, and asks no one", async () => {
    const { box, script, env, log } = withoutBun(shell);
    using _ = box;
    box.fake("bun", `echo ${VERSION}`);
    const result = await box.script(script, [], { env });
    expect(result).toEqual({ status: 0, stdout: `${box.tools}/bun\n`, stderr: "" });
    expect(log()).toEqual([]);
  });

  test("fetches one by npm where PATH has another version, once", async () => {
    const { box, script, env, log } = withoutBun(shell);
    using _ = box;
    box.fake("bun", "echo 1.4.4");
    const bun = box.path("checkout", ".cache", "bun", `${VERSION}-bun-linux-x64`, "bun");
    const first = await box.script(script, [], { env });
    expect(first).toMatchObject({ status: 0, stdout: `${bun}\n` });
    const second = await box.script(script, [], { env });
    expect(second).toEqual({ status: 0, stdout: `${bun}\n`, stderr: "" });
    expect(log()).toEqual([
      "ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error",
      `bun-linux-x64 ${VERSION} usual cache`,
    ]);
    expect(readdirSync(box.path("checkout", ".cache", "bun"))).toEqual([`${VERSION}-bun-linux-x64`]);
  });

  test.each([
    ["x86_64", true, "bun-linux-x64"],
    ["x86_64", false, "bun-linux-x64-baseline"],
    ["aarch64", true, "bun-linux-aarch64"],
  ])("on %s with AVX2 %p takes %s", async (machine, avx2, name) => {
    const { box, script, env, log } = withoutBun(shell);
    using _ = box;
    box.fake("uname", `case $1 in -m) echo ${machine} ;; *) echo Linux ;; esac`);
    const grep = Bun.which("grep") ?? "";
    box.fake("grep", `case $* in *cpuinfo*) exit ${avx2 ? 0 : 1} ;; *) exec ${grep} "$@" ;; esac`);
    const { stdout } = await box.script(script, [], { env });
    expect(stdout).toEndWith(`/.cache/bun/${VERSION}-${name}/bun\n`);
    expect(log()[1]).toStartWith(`${name} ${VERSION} `);
  });

  test("gives npm a cache where there is no home directory", async () => {
    const { box, script, env, log } = withoutBun(shell);
    using _ = box;
    expect((await box.script(script, [], { env: { ...env, HOME: undefined } })).status).toBe(0);
    expect(log()[1]).toContain("/checkout/.cache/bun/.new.");
    expect(readdirSync(box.path("checkout", ".cache", "bun"))).toEqual([`${VERSION}-bun-linux-x64`]);
  });

  test("two at once both get a whole Bun", async () => {
    const { box, script, env } = withoutBun(shell);
    using _ = box;
    const results = await Promise.all(Array.from({ length: 4 }, () => box.script(script, [], { env })));
    for (const { status, stdout } of results) {
      expect(status).toBe(0);
      expect((await box.run([stdout.trim(), "--version"], {})).stdout).toBe(`${VERSION}\n`);
    }
    expect(readdirSync(box.path("checkout", ".cache", "bun"))).toEqual([`${VERSION}-bun-linux-x64`]);
  });

  test("a Bun in the cache that does not run is replaced", async () => {
    const { box, script, env } = withoutBun(shell);
    using _ = box;
    box.write(`checkout/.cache/bun/${VERSION}-bun-linux-x64/bun`, "#!/bin/sh\nexit 132\n");
    const { stdout } = await box.script(script, [], { env });
    expect((await box.run([stdout.trim(), "--version"], {})).stdout).toBe(`${VERSION}\n`);
  });

  test("says what is missing, and leaves nothing behind, where it cannot get one", async () => {
    const cases: [(box: Sandbox) => void, string][] = [
      [(box) => box.remove("npm"), "error: Bun 1.4.5 is needed to build robur, and npm to fetch it\n"],
      [(box) => box.remove("node"), "error: npm is here, but node is not on PATH\n"],
      [
        (box) => box.fake("npm", "echo ENOTFOUND >&2; exit 1"),
        "ENOTFOUND\nerror: npm could not fetch Bun 1.4.5\n",
      ],
      [(box) => box.fake("npm", "exit 0"), "error: the Bun that npm fetched does not run here\n"],
      [(box) => box.fake("uname", "echo riscv64"), "error: there is no Bun for riscv64 on riscv64"],
    ];
    for (const [spoil, message] of cases) {
      const { box, script, env } = withoutBun(shell);
      using _ = box;
      spoil(box);
      const { status, stdout, stderr } = await box.script(script, [], { env });
      expect(stderr).toContain(message);
      expect(stderr).toMatch(/\n {2}\S/);
      expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
      const left = Object.entries(box.snapshot("checkout")).filter(([name]) => name.includes(".cache"));
      expect(left.filter(([, what]) => !what.startsWith("directory"))).toEqual([]);
      expect(left.filter(([name]) => name.includes(".new"))).toEqual([]);
    }
  });
});

describe("the pins", () => {
  const lock: unknown = JSON.parse(readFileSync(join(PINS, "package-lock.json"), "utf8"));
  const pins: unknown = JSON.parse(readFileSync(join(PINS, "package.json"), "utf8"));
  const names = ["@oven/bun-linux-aarch64", "@oven/bun-linux-x64", "@oven/bun-linux-x64-baseline"];

  test("are all of one version, in both files, with a SHA-512 each", () => {
    const versions = Object.fromEntries(names.map((name) => [name, VERSION]));
    expect(pins).toMatchObject({ optionalDependencies: versions });
    const locked = names.map((name) => [
      `node_modules/${name}`,
      { version: VERSION, integrity: expect.stringMatching(/^sha512-[A-Za-z0-9+/]{86}==$/) },
    ]);
    expect(lock).toMatchObject({ packages: Object.fromEntries(locked) });
  });

  test("name no host, so that npm asks the registry that it is set to", () => {
    expect(JSON.stringify(lock)).not.toMatch(/resolved|https?:/);
  });

  test("are the version that these tests run on", () => {
    expect(Bun.version).toBe(VERSION);
  });
});
