// What a tender has given up by the time its guest runs, and what becomes of a process that tries all the same.
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { compilerVersion } from "../../guests/build.ts";
import { NOBODY, lacks, needsCommands, needsKvm, needsRoot } from "../../needs.ts";
import { guestRuns, statusField, threads } from "../../process.ts";
import { run } from "../../robur.ts";
import { TENDERS, boot, startGuest } from "./guest.ts";

const NO_GCC = compilerVersion() === undefined ? needsCommands("gcc") : undefined;
const skip = lacks(needsKvm(), NO_GCC);

for (const tender of TENDERS) {
  describe.skipIf(skip)(`${tender}, confined`, () => {
    test("every thread is behind the filter and can gain no privileges", async () => {
      const child = await startGuest(tender, "hypercalls", { args: ["count=1000000000"] });
      await guestRuns(child.pid);
      const all = threads(child.pid);
      expect(all.length).toBeGreaterThan(0);
      for (const thread of all) {
        const of = (field: string) => statusField(child.pid, field, thread);
        // A thread may end between two looks.
        if (of("Seccomp") === undefined) continue;
        expect({ seccomp: of("Seccomp"), noNewPrivileges: of("NoNewPrivs") }).toEqual({
          seccomp: "2",
          noNewPrivileges: "1",
        });
      }
      child.kill("SIGTERM");
      await child.exited;
    });

    test.skipIf(lacks(needsRoot()))("started by root, every thread is an unprivileged user's", async () => {
      const child = await startGuest(tender, "sleep");
      await guestRuns(child.pid);
      for (const thread of threads(child.pid)) {
        const of = (field: string) => statusField(child.pid, field, thread)?.split(/\s+/);
        const [uid] = of("Uid") ?? [];
        expect(Number(uid)).toBeGreaterThan(0);
        expect(of("Uid")).toEqual(Array.from({ length: 4 }, () => uid ?? ""));
        expect(new Set(of("Gid")).size).toBe(1);
        expect(of("Gid")?.[0]).not.toBe("0");
        expect(of("Groups")?.join("")).toBe("");
        for (const set of ["CapEff", "CapPrm", "CapInh", "CapAmb"]) {
          expect({ set, value: of(set)?.[0] }).toEqual({ set, value: "0".repeat(16) });
        }
      }
      child.kill("SIGTERM");
      await child.exited;
    });
  });
}

describe.skipIf(lacks(needsKvm(), needsRoot(), NO_GCC))("the user of a guest", () => {
  test("is the one named, by name or by number", async () => {
    for (const user of ["nobody", "daemon", "1"]) {
      const child = await startGuest("robur run", "sleep", { flags: ["--user", user] });
      await guestRuns(child.pid);
      const { stdout } = Bun.spawnSync(["id", "-u", user]);
      expect(statusField(child.pid, "Uid")?.split(/\s+/)[0]).toBe(stdout.toString().trim());
      child.kill("SIGTERM");
      await child.exited;
    }
  });

  test("must exist", async () => {
    const { code, stderr } = await run(["run", "--user", "no-such-user", "hello.hvt"]);
    expect(code).toBe(125);
    expect(stderr).toContain("no such user: no-such-user");
  });

  test.skipIf(lacks(needsCommands("setpriv")))("can't be another one's unless root says so", async () => {
    const under = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
    const { code, stderr } = await run(["run", "--user", "daemon", "hello.hvt"], { under });
    expect(code).toBe(125);
    expect(stderr).toContain("only root can run a unikernel as another user");
  });
});

/** x86_64 numbers. */
const FORBIDDEN: readonly (readonly [what: string, ...call: (string | number)[]])[] = [
  ["open for writing", 2, "str:/tmp/x", 1],
  ["open for reading and writing", 2, "str:/tmp/x", 2],
  ["open that creates", 2, "str:/tmp/robur-must-not-exist", 0o100, 0o600],
  ["open for reading", 2, "str:/etc/passwd", 0],
  ["creat", 85, "str:/tmp/robur-must-not-exist", 0o600],
  ["openat for writing", 257, -100, "str:/tmp/x", 1],
  ["openat for reading and writing", 257, -100, "str:/tmp/x", 2],
  ["openat that creates", 257, -100, "str:/tmp/robur-must-not-exist", 0o101, 0o600],
  ["openat that truncates", 257, -100, "str:/tmp/x", 0o1000],
  ["openat with O_CLOEXEC", 257, -100, "str:/etc/passwd", 0o2000000],
  ["openat in a directory", 257, 3, "str:passwd", 0],
  ["openat2", 437, -100, "str:/etc/passwd", "buf:24", 24],
  ["open_by_handle_at", 304, 3, "buf:128", 0],
  ["execve", 59, "str:/bin/true", 0, 0],
  ["execveat", 322, -100, "str:/bin/true", 0, 0, 0],
  ["socket of IPv4", 41, 2, 1, 0],
  ["socket of netlink", 41, 16, 3, 0],
  ["socketpair", 53, 1, 1, 0, "buf:8"],
  ["connect", 42, 3, "buf:16", 16],
  ["ptrace", 101, 0, 0, 0, 0],
  ["process_vm_readv", 310, 1, "buf:16", 1, "buf:16", 1, 0],
  ["mount", 165, "str:none", "str:/mnt", "str:tmpfs", 0, 0],
  ["umount", 166, "str:/mnt", 0],
  ["chroot", 161, "str:/"],
  ["unshare", 272, 0x10000000],
  ["setns", 308, 3, 0],
  ["fork", 57],
  ["vfork", 58],
  ["clone of a process", 56, 17, 0, 0, 0, 0],
  ["clone of a process that shares memory", 56, 0x100 | 0x4000 | 17, 0, 0, 0, 0],
  ["kill", 62, 1, 0],
  ["pidfd_open", 434, 1, 0],
  ["unlink", 87, "str:/tmp/x"],
  ["rename", 82, "str:/tmp/x", "str:/tmp/y"],
  ["mkdir", 83, "str:/tmp/robur-must-not-exist", 0o700],
  ["chmod", 90, "str:/tmp/x", 0o777],
  ["chown", 92, "str:/tmp/x", 0, 0],
  ["truncate", 76, "str:/tmp/x", 0],
  ["setuid", 105, 0],
  ["prctl that makes it dumpable", 157, 4, 1],
  ["prctl of seccomp", 157, 22, 1, 0],
  ["seccomp", 317, 0, 0, 0],
  ["arch_prctl", 158, 0x1003, "buf:8"],
  ["personality", 135, 0],
  ["bpf", 321, 0, "buf:128", 128],
  ["perf_event_open", 298, "buf:128", 0, -1, -1, 0],
  ["userfaultfd", 323, 0],
  ["io_uring_setup", 425, 1, "buf:128"],
  ["memfd_create", 319, "str:x", 0],
  ["dup2", 33, 1, 5],
  ["sendfile", 40, 1, 3, 0, 16],
  ["splice", 275, 3, 0, 1, 0, 16, 0],
  ["init_module", 175, "buf:16", 16, "str:"],
  ["kexec_load", 246, 0, 0, 0, 0],
  ["reboot", 169, 0, 0, 0, 0],
  ["keyctl", 250, 0, 0, 0],
  ["shmget", 29, 0, 4096, 0o1600],
  ["a number of the x32 interface", 0x4000_0000 + 39],
  ["a number that no call has", 5000],
];

async function confined(...args: (string | number)[]) {
  const script = join(import.meta.dir, "confined.ts");
  const child = Bun.spawn([process.execPath, script, ...args.map(String)], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code: child.exitCode, signal: child.signalCode, stdout, stderr };
}

const OTHER_MACHINE = process.arch === "x64" ? undefined : "system call numbers here are those of x86_64";

describe.skipIf(lacks(OTHER_MACHINE))("a process behind the tender's filter", () => {
  for (const [what, ...call] of FORBIDDEN) {
    test(`dies by SIGSYS of ${what}`, async () => {
      const { signal, stdout, stderr } = await confined("call", ...call);
      expect({ signal, stdout, stderr }).toEqual({ signal: "SIGSYS", stdout: "", stderr: "" });
    });
  }

  test("dies by SIGSYS of a call through the door of 32-bit programs", async () => {
    const { signal, stdout } = await confined("int80");
    // A kernel without that door answers with a fault.
    expect(["SIGSYS", "SIGSEGV"]).toContain(String(signal));
    expect(stdout).toBe("");
  });

  test("may not open a file for reading, and lives on", async () => {
    const EACCES = 13;
    for (const path of ["/etc/passwd", "/proc/self/statm", "/nonexistent"]) {
      const ended = await confined("call", 257, -100 >>> 0, `str:${path}`, 0, 0);
      expect(ended).toEqual({ code: 0, signal: null, stdout: `result ${-EACCES}\n`, stderr: "" });
    }
  });

  test("may use the descriptors that it has", async () => {
    const { code, stdout } = await confined("call", 1, 1, "str:hello", 5);
    expect({ code, stdout }).toEqual({ code: 0, stdout: "helloresult 5\n" });
  });

  test("can compile and collect garbage", async () => {
    const { code, signal, stdout } = await confined("load");
    expect({ code, signal, stdout }).toEqual({ code: 0, signal: null, stdout: "result 0\n" });
  });
});

describe.skipIf(skip)("the engine behind the filter", () => {
  /** Each makes the engine do something else while the guest runs. */
  const SETTINGS: readonly Readonly<Record<string, string>>[] = [
    { BUN_JSC_collectContinuously: "1" },
    { BUN_JSC_slowPathAllocsBetweenGCs: "1" },
    { BUN_JSC_forceMiniVMMode: "1" },
    { BUN_JSC_useConcurrentJIT: "0" },
    { BUN_JSC_jitPolicyScale: "0" },
    { MALLOC_ARENA_MAX: "1" },
    {},
  ];

  for (const env of SETTINGS) {
    const [[name, value] = ["usual settings", ""]] = Object.entries(env);
    test(`survives 20000 hypercalls with ${name}${value === "" ? "" : `=${value}`}`, async () => {
      const { code, signal, stdout, stderr } = await boot("robur run", "hypercalls", {
        args: ["count=20000"],
        env,
      });
      expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: "" });
      expect(stdout).toContain("SUCCESS");
    });
  }

  test("survives a long flood of console output while it collects all the time", async () => {
    const { code, signal, stdout } = await boot("solo5-hvt", "flood", {
      args: ["lines=20000", "width=10"],
      env: { BUN_JSC_collectContinuously: "1" },
    });
    expect({ code, signal }).toEqual({ code: 0, signal: null });
    expect(stdout.length).toBe(20_000 * 11);
  });
});
