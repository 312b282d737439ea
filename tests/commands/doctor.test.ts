// `robur doctor` on this machine as it is, and with things taken away.
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { NOBODY, lacks, needsCommands, needsRoot } from "../needs.ts";
import { type RunOptions, run, temporaryDirectory } from "../robur.ts";

interface Check {
  readonly name: string;
  readonly verdict: "PASS" | "WARN" | "FAIL";
  readonly found: string;
  readonly mend?: string;
}

async function doctor(
  options: RunOptions = {},
): Promise<{ code: number | null; checks: Map<string, Check> }> {
  const { code, stdout, stderr } = await run(["doctor", "--json"], options);
  expect(stderr).toBe("");
  const { checks } = JSON.parse(stdout) as { checks: Check[] };
  return { code, checks: new Map(checks.map((check) => [check.name, check])) };
}

const asNobody = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];

describe("robur doctor", () => {
  test("judges what a unikernel needs, and says how to mend what is missing", async () => {
    const { code, checks } = await doctor();
    for (const name of ["kernel", "/dev/kvm", "/dev/net/tun", "user", "temporary directory", "disk"]) {
      expect([...checks.keys()]).toContain(name);
    }
    for (const { name, verdict, found, mend } of checks.values()) {
      expect(["PASS", "WARN", "FAIL"]).toContain(verdict);
      expect(found).not.toBe("");
      if (verdict !== "PASS") expect(`${name}: ${mend ?? ""}`).toMatch(/: ./);
    }
    expect(code).toBe([...checks.values()].some(({ verdict }) => verdict === "FAIL") ? 1 : 0);
  });

  test("prints a line for each check, and the command below those that do not pass", async () => {
    const [{ stdout }, { checks }] = await Promise.all([run(["doctor"]), doctor()]);
    for (const { name, verdict } of checks.values()) expect(stdout).toContain(`${verdict}  ${name}: `);
    const bad = [...checks.values()].filter(({ verdict }) => verdict !== "PASS").length;
    expect(stdout.match(/^ {6}try: ./gm) ?? []).toHaveLength(bad);
  });

  test("has help, and refuses what it doesn't know", async () => {
    const help = await run(["doctor", "--help"]);
    expect(help.code).toBe(0);
    expect(help.stdout).toContain("--json");
    const wrong = await run(["doctor", "--bogus"]);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain("Unknown argument: bogus");
  });

  test("looks at the data directory asked for, also one that doesn't exist yet", async () => {
    const directory = join(temporaryDirectory(), "not", "yet");
    const { stdout } = await run(["doctor", "--data-dir", directory]);
    expect(stdout).toContain(`free for ${directory}`);
  });

  test("leaves nothing behind", async () => {
    const directory = temporaryDirectory();
    await run(["doctor"], { env: { TMPDIR: directory, ROBUR_DATA_DIR: join(directory, "data") } });
    expect([...new Bun.Glob("**").scanSync({ cwd: directory, onlyFiles: false })]).toEqual([]);
  });
});

describe.skipIf(lacks(needsRoot(), needsCommands("setpriv", "unshare")))("robur doctor, elsewhere", () => {
  const inMounts = (script: string, ...rest: string[]) => [
    ...["unshare", "--mount", "sh", "-c", `${script} && exec "$@"`, "sh"],
    ...rest,
  ];
  const bareDev = "mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3";

  test("a user without the group is told the command that puts them in", async () => {
    const closed = `${bareDev} && mknod -m 660 /dev/kvm c 10 232 && chgrp 4242 /dev/kvm`;
    const { checks } = await doctor({ under: inMounts(closed, ...asNobody) });
    const kvm = checks.get("/dev/kvm");
    expect(kvm?.verdict).toBe("WARN");
    expect(kvm?.found).toMatch(/ermission denied.*4242/);
    expect(kvm?.mend).toContain("usermod -aG 4242");
  });

  test("without /dev/kvm and /dev/net/tun it warns, and says what still runs", async () => {
    const { code, checks } = await doctor({ under: inMounts(bareDev) });
    expect(checks.get("/dev/kvm")?.verdict).toBe("WARN");
    expect(checks.get("/dev/kvm")?.found).toContain(".spt unikernels run");
    expect(checks.get("/dev/net/tun")).toMatchObject({ verdict: "WARN", mend: "sudo modprobe tun" });
    expect(code).toBe(0);
  });

  test("a temporary directory that can't hold code is noticed", async () => {
    const directory = temporaryDirectory();
    const noexec = `mount -t tmpfs -o noexec none ${directory}`;
    const { checks } = await doctor({ under: inMounts(noexec), env: { TMPDIR: directory } });
    expect(checks.get("temporary directory")).toMatchObject({ verdict: "WARN" });
    expect(checks.get("temporary directory")?.mend).toContain("TMPDIR=");
  });

  test("a disk that is nearly full fails, with status 1", async () => {
    const directory = temporaryDirectory();
    const small = `mount -t tmpfs -o size=1m none ${directory}`;
    const { code, checks } = await doctor({ under: inMounts(small), env: { ROBUR_DATA_DIR: directory } });
    expect(checks.get("disk")).toMatchObject({ verdict: "FAIL" });
    expect(code).toBe(1);
  });
});
