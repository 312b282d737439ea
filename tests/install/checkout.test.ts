import { cpSync, existsSync, readFileSync, rmSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "bun:test";
import { CHECKOUT, fakeRobur, INSTALLER, PATH_SHELLS, Sandbox } from "./sandbox.ts";

/** Stands in for Bun: knows its version, and "builds" a robur whose commit is what src/main.ts says. */
const FAKE_BUN = `
[ "$1" != --version ] || { echo 1.4.5; exit; }
[ "$*" = "run build" ] || exit 9
echo built >>"$LOG"
echo "output of the build"
[ ! -e src/broken ] || { echo "src/broken: syntax error" >&2; exit 1; }
sleep 0.1
mkdir -p dist
sed "s/COMMIT/$(cat src/main.ts)/" robur.template >dist/robur.new
chmod 755 dist/robur.new
mv dist/robur.new dist/robur
`;

interface Checkout {
  box: Sandbox;
  env: { LOG: string };
  install: (args?: string[], env?: Record<string, string | undefined>) => ReturnType<Sandbox["install"]>;
  builds: () => number;
}

function checkout(shell: string): Checkout {
  const box = new Sandbox(shell);
  box.fake("bun", FAKE_BUN);
  box.write("checkout/install.sh", INSTALLER);
  box.write("checkout/package.json", '{\n  "name": "robur"\n}\n', 0o644);
  box.write("checkout/src/main.ts", "aaaa", 0o644);
  box.write("checkout/robur.template", fakeRobur("0.1.0", "COMMIT"), 0o644);
  cpSync(join(CHECKOUT, "scripts", "bun"), box.path("checkout", "scripts", "bun"), { recursive: true });
  const env = { LOG: box.path("log") };
  return {
    box,
    env,
    install: (args = [], more = {}) =>
      box.script(box.path("checkout", "install.sh"), args, { env: { ...env, ...more } }),
    builds: () => (existsSync(env.LOG) ? readFileSync(env.LOG, "utf8").split("\n").length - 1 : 0),
  };
}

describe.each(PATH_SHELLS)("in a checkout, under %s", (shell) => {
  test("builds and installs without a download tool, and runs what remains of the arguments", async () => {
    const { box, install } = checkout(shell);
    using _ = box;
    box.remove("curl", "wget", "openssl", "git", "flock");
    const { status, stdout, stderr } = await install(["run", "hello.hvt"]);
    expect(stderr).toContain("output of the build\n");
    expect(stderr).toContain(`installed robur 0.1.0 (commit aaaa): ${box.target}\n`);
    expect({ status, stdout }).toEqual({ status: 0, stdout: "argument: run\nargument: hello.hvt\n" });
    expect(box.snapshot("tmp")).toEqual({});
  });

  test("can be started from anywhere, by a relative path", async () => {
    const { box, env } = checkout(shell);
    using _ = box;
    const { status, stdout } = await box.script("../checkout/install.sh", ["run", "x"], { env });
    expect({ status, stdout }).toEqual({ status: 0, stdout: "argument: run\nargument: x\n" });
  });

  test("builds again only after a change of what is built", async () => {
    const { box, install, builds } = checkout(shell);
    using _ = box;
    await install();
    const second = await install(["exit", "5"]);
    expect(second.stderr).toContain("dist/robur is already built from these sources\n");
    expect(second.stderr).toContain(`already installed: ${box.target}\n`);
    expect([second.status, builds()]).toEqual([5, 1]);

    // A change that the times of the files do not show, as after unpacking an archive.
    const source = box.write("checkout/src/main.ts", "bbbb", 0o644);
    utimesSync(source, 1, 1);
    expect((await install()).stderr).toContain("installed robur 0.1.0 (commit bbbb)");
    box.write("checkout/src/added.ts", "", 0o644);
    await install();
    rmSync(box.path("checkout/src/added.ts"));
    await install();
    expect(builds()).toBe(4);
  });

  test("builds again where dist/robur was changed or removed, and installs again where only that is gone", async () => {
    const { box, install, builds } = checkout(shell);
    using _ = box;
    await install();
    box.write("checkout/dist/robur", fakeRobur("9.9.9"));
    await install();
    rmSync(box.path("checkout/dist/robur"));
    await install();
    expect(builds()).toBe(3);
    rmSync(box.target);
    await install();
    expect([builds(), existsSync(box.target)]).toEqual([3, true]);
  });

  test("builds again after a commit, which robur --version shows", async () => {
    const { box, install, builds } = checkout(shell);
    using _ = box;
    const identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"];
    const git = (...args: string[]) => box.run(["git", "-C", box.path("checkout"), ...identity, ...args], {});
    await git("init", "-q");
    for (let commit = 1; commit <= 2; commit += 1) {
      expect((await git("commit", "-q", "--allow-empty", "-m", `commit ${commit}`)).status).toBe(0);
      await install();
      await install();
      expect(builds()).toBe(commit);
    }
  });

  test("a build that fails installs nothing and is shown", async () => {
    const { box, install } = checkout(shell);
    using _ = box;
    box.write("checkout/src/broken", "");
    const { status, stdout, stderr } = await install(["run", "x"]);
    expect(stderr).toContain("src/broken: syntax error\nerror: the build failed\n");
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(existsSync(box.target)).toBe(false);
  });

  test("two at once build once", async () => {
    const { box, install, builds } = checkout(shell);
    using _ = box;
    const results = await Promise.all([install(), install(), install()]);
    expect(results.map(({ status }) => status)).toEqual([0, 0, 0]);
    expect(builds()).toBe(1);
  });

  test("--dry-run builds nothing", async () => {
    const { box, install } = checkout(shell);
    using _ = box;
    const before = box.snapshot(".");
    const { status, stderr } = await install(["--dry-run"]);
    expect(stderr).toContain(`would build robur from ${box.path("checkout")}`);
    expect(stderr).toContain(`would write ${box.target}\n`);
    expect(status).toBe(0);
    expect(box.snapshot(".")).toEqual(before);
  });

  test("without HOME it installs in --bin-dir", async () => {
    const { box, install } = checkout(shell);
    using _ = box;
    const { status } = await install(["--bin-dir", box.path("home", "bin")], { HOME: undefined });
    expect(status).toBe(0);
    expect(existsSync(box.path("home", "bin", "robur"))).toBe(true);
  });

  test("a shell that reads the script from a pipe there does not build", async () => {
    const { box, builds } = checkout(shell);
    using _ = box;
    const { status, stderr } = await box.pipe(INSTALLER, [], { cwd: box.path("checkout") });
    expect(stderr).toContain("has no public key");
    expect([status, builds()]).toEqual([1, 0]);
  });

  test("--version and a published copy download, even there", async () => {
    const { box, install, builds } = checkout(shell);
    using _ = box;
    expect((await install(["--version", "1.0"])).stderr).toContain("has no public key");
    const published = INSTALLER.replace("PUBLIC_KEY=''", "PUBLIC_KEY='AAAA'");
    box.write("checkout/install.sh", published);
    expect((await install()).stderr).toContain("no http or https address");
    expect(builds()).toBe(0);
  });
});
