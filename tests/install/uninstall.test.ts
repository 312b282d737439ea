import { until } from "../robur.ts";
import { existsSync, mkdirSync, readFileSync, readlinkSync, realpathSync, symlinkSync } from "node:fs";
import { describe, expect, test } from "bun:test";
import { fakeRobur, PATH_SHELLS, Sandbox, SHELLS } from "./sandbox.ts";

/** A sandbox with robur installed and something in its data directory. */
function installed(shell: string): Sandbox {
  const box = new Sandbox(shell);
  box.write("home/.local/bin/robur", fakeRobur("0.1.0"));
  box.write("home/.local/share/robur/robur.db", "data");
  box.write("home/.local/share/robur/volumes/disk", "data");
  return box;
}

describe.each(SHELLS)("--uninstall, under %s", (shell) => {
  test("removes the executable and the links that lead to it, and says what stays", async () => {
    using box = installed(shell);
    symlinkSync("robur", box.path("home/.local/bin/solo5-hvt"));
    symlinkSync(box.target, box.path("home/.local/bin/solo5-spt"));
    box.write("home/.local/bin/other", "");
    box.write("home/.config/systemd/user/robur.service", "[Unit]\n");
    const { status, stdout, stderr } = await box.install(["--uninstall"]);
    expect(stderr).toBe(
      [
        `removed ${box.binDir}/solo5-hvt`,
        `removed ${box.binDir}/solo5-spt`,
        `removed ${box.target}`,
        `stays: ${realpathSync(box.home)}/.local/share/robur`,
        `stays: ${box.home}/.config/systemd/user/robur.service`,
        "",
      ].join("\n"),
    );
    expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
    expect(Object.keys(box.snapshot("home/.local/bin"))).toEqual(["other"]);
    expect(existsSync(box.path("home/.local/share/robur/volumes/disk"))).toBe(true);
  });

  test("leaves a solo5-hvt that is someone else's", async () => {
    using box = installed(shell);
    box.write("home/.local/bin/solo5-hvt", "the original");
    symlinkSync("/usr/bin/solo5-spt", box.path("home/.local/bin/solo5-spt"));
    expect((await box.install(["--uninstall"])).status).toBe(0);
    expect(Object.keys(box.snapshot("home/.local/bin"))).toEqual(["solo5-hvt", "solo5-spt"]);
  });

  test("removes the links even where the executable is gone already, and can be repeated", async () => {
    using box = new Sandbox(shell);
    mkdirSync(box.binDir, { recursive: true });
    symlinkSync("robur", box.path("home/.local/bin/solo5-hvt"));
    for (let i = 0; i < 2; i += 1) {
      const { status, stderr } = await box.install(["--uninstall"]);
      expect(stderr).toContain(`there is no ${box.target}\n`);
      expect(status).toBe(0);
    }
    expect(box.snapshot("home/.local/bin")).toEqual({});
  });

  test("looks in --bin-dir, and with --dry-run only tells", async () => {
    using box = new Sandbox(shell);
    const target = box.write("home/here/robur", fakeRobur("0.1.0"));
    box.write("home/.local/share/robur/robur.db", "data");
    const before = box.snapshot(".");
    const dry = await box.install(["--dry-run", "--uninstall", "--purge", "--bin-dir", "here"]);
    expect(dry.stderr).toContain(`would remove ${target}\nwould remove ${box.home}/.local/share/robur\n`);
    expect(dry.status).toBe(0);
    expect(box.snapshot(".")).toEqual(before);
    expect((await box.install(["--uninstall", "--bin-dir", "here"])).status).toBe(0);
    expect(existsSync(target)).toBe(false);
  });

  test("a robur in a directory that may not be written to stays, and the exit status is 5", async () => {
    using box = installed(shell);
    const { status, stderr } = await box.run(
      ["sh", "-c", 'chmod 555 "$1" && shift && "$@"', "sh", box.binDir, ...box.command(["--uninstall"])],
      {},
    );
    expect(stderr).toStartWith(`error: cannot remove ${box.target}\n`);
    expect(status).toBe(5);
    expect(existsSync(box.target)).toBe(true);
  });
});

describe.each(SHELLS)("--purge, under %s", (shell) => {
  test("with --yes shows the data directory and removes it", async () => {
    using box = installed(shell);
    const { status, stderr } = await box.install(["--uninstall", "--purge", "--yes"]);
    const data = `${box.home}/.local/share/robur`;
    expect(stderr).toMatch(/\/robur holds \S+:\n/);
    expect(stderr).toContain(`  ${data}/robur.db\n  ${data}/volumes\n`);
    expect(stderr).toContain(`removed ${data}\n`);
    expect(status).toBe(0);
    expect(existsSync(data)).toBe(false);
    expect(existsSync(box.target)).toBe(false);
    expect(existsSync(box.path("home/.local/share"))).toBe(true);
  });

  test("without a terminal and without --yes removes nothing at all", async () => {
    using box = installed(shell);
    const before = box.snapshot();
    // setsid takes the terminal away, should the tests be run on one.
    const { status, stderr } = await box.run(
      [Bun.which("setsid") ?? "setsid", "-w", ...box.command(["--uninstall", "--purge"])],
      {},
    );
    expect(stderr).toContain("error: there is no terminal to ask on");
    expect(stderr).toEndWith("  nothing was removed\n  try: add --yes\n");
    expect(status).toBe(2);
    expect(box.snapshot()).toEqual(before);
  });

  test.each([
    ["y\r", 0],
    ["yes\r", 0],
    ["\r", 1],
    ["no\r", 1],
    ["\u0004", 1],
    ["\u0003", 130],
  ])("on a terminal asks, and the answer %j ends it with status %i", async (typed, expected) => {
    using box = installed(shell);
    const { status, stdout } = await box.install(["--uninstall", "--purge"], { typed });
    expect(stdout).toContain("Remove all of it, for good? [y/N] ");
    expect(status).toBe(expected);
    expect([existsSync(box.target), existsSync(box.path("home/.local/share/robur/robur.db"))]).toEqual(
      expected === 0 ? [false, false] : [true, true],
    );
  });

  test("takes the data directory from ROBUR_DATA_DIR, else from XDG_DATA_HOME", async () => {
    using box = installed(shell);
    const one = box.write("home/one/robur.db", "data");
    const two = box.write("home/two/robur/robur.db", "data");
    const args = ["--uninstall", "--purge", "--yes"];
    const XDG_DATA_HOME = box.path("home", "two");
    await box.install(args, { env: { ROBUR_DATA_DIR: box.path("home", "one"), XDG_DATA_HOME } });
    expect([existsSync(one), existsSync(two)]).toEqual([false, true]);
    await box.install(args, { env: { XDG_DATA_HOME } });
    expect(existsSync(two)).toBe(false);
    expect(readFileSync(box.path("home/.local/share/robur/robur.db"), "utf8")).toBe("data");
  });

  test("refuses a directory that is not robur's, or that has the home directory in it", async () => {
    using box = installed(shell);
    box.write("home/photos/1.jpg", "picture");
    box.write("home/robur.db", "data");
    symlinkSync(box.home, box.path("alias"));
    const before = box.snapshot();
    const wrong: [string, string | undefined, string][] = [
      [box.path("home", "photos"), box.home, "is not robur's data directory"],
      ["/", box.home, "is not robur's data directory"],
      [box.home, box.home, "holds your home directory"],
      [box.home, box.path("alias"), "holds your home directory"],
      [".", box.home, "holds your home directory"],
    ];
    for (const [ROBUR_DATA_DIR, HOME, message] of wrong) {
      const env = { ROBUR_DATA_DIR, HOME };
      const args = ["--uninstall", "--purge", "--yes", "--bin-dir", box.binDir];
      const { status, stderr } = await box.install(args, { env });
      expect(stderr).toContain(message);
      expect(stderr).toContain("nothing was removed");
      expect(status).toBe(1);
    }
    expect(box.snapshot()).toEqual(before);
  });

  test("refuses while robur is running, even if its file was replaced since", async () => {
    using box = installed(shell);
    const sleep = readFileSync(Bun.which("sleep") ?? "");
    box.write("home/.local/bin/robur", sleep);
    const running = Bun.spawn(box.unprivileged([box.target, "60"]));
    try {
      // It is setpriv's process until that has started the file, which is about to be replaced.
      await until("the start", () => readlinkSync(`/proc/${running.pid}/exe`) === box.target);
      for (const content of [sleep, fakeRobur("0.2.0")]) {
        box.write("home/.local/bin/robur", content);
        const { status, stderr } = await box.install(["--uninstall", "--purge", "--yes"]);
        expect(stderr).toContain(`error: robur is running, as process ${running.pid}\n`);
        expect(status).toBe(1);
      }
    } finally {
      running.kill();
      await running.exited;
    }
    expect((await box.install(["--uninstall", "--purge", "--yes"])).status).toBe(0);
  });
});

describe.each(PATH_SHELLS)("root, under %s", (shell) => {
  test("uninstalls from /usr/local/bin, and its data is in /var/lib/robur", async () => {
    using box = installed(shell);
    box.fake("id", "echo 0");
    const { stderr } = await box.install(["--dry-run", "--uninstall"]);
    expect(stderr).toContain("/usr/local/bin/robur");
    expect(stderr).not.toContain(box.home);
  });
});
