import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { planInstall } from "../../src/commands/systemd-install.ts";
import { existingGroups, unitFile } from "../../src/commands/systemd.ts";
import { lacks, needsCommands } from "../needs.ts";
import { calledAs, run, temporaryDirectory } from "../robur.ts";

const SYSTEM = { kind: "system", executable: "/usr/local/bin/robur", listen: undefined, groups: [] } as const;
const SITUATION = {
  isRoot: true,
  hasUser: false,
  existing: undefined,
  path: "/etc/systemd/system/robur.service",
};

describe("the unit", () => {
  test("of the system leaves unikernels alone when the server stops, and lets it do what it must", () => {
    const text = unitFile({ ...SYSTEM, listen: "0.0.0.0:8080", groups: ["kvm"] });
    for (const line of [
      "Type=notify",
      "ExecStart=/usr/local/bin/robur serve --listen 0.0.0.0:8080",
      "User=robur",
      "SupplementaryGroups=kvm",
      "StateDirectory=robur",
      "RuntimeDirectoryPreserve=yes",
      "KillMode=process",
      "Delegate=yes",
      "DeviceAllow=/dev/kvm rw",
      "UnsetEnvironment=BUN_OPTIONS BUN_BE_BUN",
    ]) {
      expect(text).toContain(`\n${line}\n`);
    }
    expect(text).not.toMatch(/^[^#]*@/m);
  });

  test("names no group that isn't there, for systemd wouldn't start the service", () => {
    expect(unitFile(SYSTEM)).not.toContain("SupplementaryGroups");
    expect(existingGroups("root:x:0:\nkvm:x:104:alice\n", ["kvm", "vhost"])).toEqual(["kvm"]);
  });

  test("keeps percent signs, and refuses paths that would need quotes", () => {
    expect(unitFile({ ...SYSTEM, executable: "/opt/50%/robur" })).toContain(
      "ExecStart=/opt/50%%/robur serve\n",
    );
    for (const executable of ["/opt/my robur", "/opt/$HOME", '/opt/"'])
      expect(() => unitFile({ ...SYSTEM, executable })).toThrow(/can't stand in a unit file/);
  });

  test.skipIf(lacks(needsCommands("systemd-analyze")))(
    "is one that systemd reads without a complaint",
    async () => {
      const directory = temporaryDirectory();
      const executable = await calledAs("robur");
      for (const kind of ["system", "user"] as const) {
        const { stdout, stderr } = await run([
          "systemd",
          "print",
          "--executable",
          executable,
          ...(kind === "user" ? ["--user"] : []),
        ]);
        expect(stderr).toBe("");
        const path = join(directory, `robur-${kind}.service`);
        writeFileSync(path, stdout);
        // As a unit of the system in both cases: a user's manager wants a session of that user.
        const { exitCode, stderr: said } = Bun.spawnSync(["systemd-analyze", "verify", "--man=no", path], {
          stderr: "pipe",
        });
        expect({ exitCode, said: said.toString() }).toEqual({ exitCode: 0, said: "" });
      }
    },
  );
});

describe("installing it", () => {
  const words = (steps: ReturnType<typeof planInstall>) =>
    steps.map((step) => (step.kind === "run" ? step.words.join(" ") : `write ${step.path}`));

  test("makes the user, writes the file, tells systemd, and starts it only when asked to", () => {
    expect(words(planInstall(SYSTEM, SITUATION, true))).toEqual([
      "useradd --system --user-group --home-dir /var/lib/robur --no-create-home --shell /usr/sbin/nologin robur",
      "write /etc/systemd/system/robur.service",
      "systemctl daemon-reload",
      "systemctl enable --now robur.service",
    ]);
    const again = { ...SITUATION, hasUser: true, existing: unitFile(SYSTEM) };
    expect(words(planInstall(SYSTEM, again, false))).toEqual(["systemctl daemon-reload"]);
  });

  test("for one user needs no root", () => {
    const situation = { ...SITUATION, isRoot: false, path: "/home/alice/.config/systemd/user/robur.service" };
    expect(words(planInstall({ ...SYSTEM, kind: "user" }, situation, false))).toEqual([
      "write /home/alice/.config/systemd/user/robur.service",
      "systemctl --user daemon-reload",
    ]);
    expect(() => planInstall(SYSTEM, situation, false)).toThrow(/only root/);
  });

  test("writes what it prints", async () => {
    const home = temporaryDirectory();
    // A systemctl that only says what it was called with.
    mkdirSync(join(home, "bin"));
    writeFileSync(join(home, "bin/systemctl"), '#!/bin/sh\necho "$@" >>"$HOME/said"\n', { mode: 0o755 });
    const env = {
      HOME: home,
      XDG_CONFIG_HOME: undefined,
      PATH: `${join(home, "bin")}:${process.env["PATH"]}`,
    };
    const flags = ["--user", "--listen", "127.0.0.1:8081"];
    const rehearsal = await run(["systemd", "install", ...flags, "--dry-run"], { env });
    expect(rehearsal.stderr).toContain(`would write ${home}/.config/systemd/user/robur.service\n`);
    const { code, stderr } = await run(["systemd", "install", ...flags], { env });
    expect({ code, last: stderr.includes("systemctl --user enable --now robur") }).toEqual({
      code: 0,
      last: true,
    });
    expect(readFileSync(join(home, ".config/systemd/user/robur.service"), "utf8")).toBe(
      (await run(["systemd", "print", ...flags], { env })).stdout,
    );
    expect(readFileSync(join(home, "said"), "utf8")).toBe("--user daemon-reload\n");
  });
});
