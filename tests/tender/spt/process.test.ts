/** What the process of a running spt guest is, seen from outside. */
import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { prepareSpt } from "../../../src/tender/spt/prepare.ts";
import { type RunningSpt, spawnSpt } from "../../../src/tender/spt/spawn.ts";
import { readUnikernel } from "../../../src/image/unikernel.ts";
import { openImage } from "../../../src/tender/image-file.ts";
import { buildGuest } from "../../guests/build.ts";
import { IS_ROOT, NOBODY, lacks, needsCommands, needsRoot } from "../../needs.ts";
import { needsSptGuests } from "./needs.ts";
import {
  FORMS,
  endOf,
  readOutput,
  runSolo5Spt,
  startChild,
  startGuest,
  startSolo5Spt,
  untilOutput,
} from "./start.ts";

const cannotRun = lacks(needsSptGuests());
const withoutRoot = lacks(needsRoot(), needsCommands("setpriv", "unshare", "setarch"));
const FORM = join(import.meta.dir, "form.ts");

const directory = mkdtempSync(join(tmpdir(), "spt-process-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** Looks at a guest that has said what is wanted, and ends it. */
async function lookAt<T>(guest: RunningSpt, wanted: string, look: (pid: number) => T): Promise<T> {
  try {
    await untilOutput(guest.process, wanted);
    return look(guest.pid);
  } finally {
    guest.process.kill("SIGKILL");
    await guest.exited;
  }
}

function fieldsOf(pid: number): Record<string, string> {
  const lines = readFileSync(`/proc/${pid}/status`, "utf8").trim().split("\n");
  return Object.fromEntries(lines.map((line) => line.split(/:\s*/, 2)));
}

interface Mapping {
  readonly start: number;
  readonly end: number;
  readonly flags: string;
  /** What is mapped, "" for memory of the process's own. */
  readonly name: string;
}

function mappingsOf(pid: number): Mapping[] {
  const lines = readFileSync(`/proc/${pid}/maps`, "utf8").trim().split("\n");
  return lines.map((line) => {
    const [, start = "", end = "", flags = "", name = ""] =
      /^(\w+)-(\w+) (\S+) \S+ \S+ \d+ *(.*)$/.exec(line) ?? [];
    return { start: Number.parseInt(start, 16), end: Number.parseInt(end, 16), flags, name };
  });
}

describe.skipIf(cannotRun).each(FORMS)("the process of an spt guest %s", (form) => {
  const sleeping = async (...args: string[]) =>
    await startGuest(form, ["--mem=64", await buildGuest("sleep", "spt"), ...args]);

  test("holds guest memory and the launcher's page, and nothing else", async () => {
    const all = await lookAt(await sleeping(), "sleeping", mappingsOf);
    // The kernel's own, the same in every process of the machine; it can't be unmapped.
    const mappings = all.filter(({ name }) => name !== "[vsyscall]");
    // No page of any file, neither Bun's nor the image's nor the launcher's own; no stack, no heap, no vdso.
    expect(mappings.filter(({ name }) => name !== "")).toEqual([]);
    const end = 64 * 1024 * 1024;
    const guestMemory = mappings.filter((mapping) => mapping.start < end);
    expect(guestMemory[0]?.start).toBe(0x1_0000);
    expect(guestMemory.at(-1)?.end).toBe(end);
    for (const [i, { start }] of guestMemory.slice(1).entries()) expect(start).toBe(guestMemory[i]!.end);
    expect(mappings.slice(guestMemory.length)).toEqual([
      { start: 0x60_0000_0000, end: 0x60_0000_1000, flags: "r-xp", name: "" },
    ]);
    expect(mappings.filter(({ flags }) => flags.startsWith("rwx"))).toEqual([]);
  });

  test("has a filter, no new privileges, one thread, and no signal blocked, handled, or ignored by Bun", async () => {
    const fields = await lookAt(await sleeping(), "sleeping", fieldsOf);
    expect(fields["Name"]).toBe("solo5-spt");
    expect(fields["Threads"]).toBe("1");
    expect(fields["Seccomp"]).toBe("2");
    expect(fields["NoNewPrivs"]).toBe("1");
    expect(fields["SigBlk"]).toBe("0000000000000000");
    expect(fields["SigCgt"]).toBe("0000000000000000");
    const [sigpipe, sigxfsz] = [1n << 12n, 1n << 24n];
    expect(BigInt(`0x${fields["SigIgn"]}`) & (sigpipe | sigxfsz)).toBe(0n);
    // What it holds in memory is its own: its image, its stack, and one page.
    expect(Number.parseInt(fields["VmRSS"]!, 10)).toBeLessThan(256);
  });

  test.skipIf(withoutRoot)(
    "has its console, its set, its timer and its devices open, and nothing else",
    async () => {
      const path = join(directory, `storage-${form.length}`);
      writeFileSync(path, "");
      truncateSync(path, 65536);
      const image = await buildGuest("blkbench", "spt");
      const guest = await startGuest(form, ["--mem=8", `--block:storage=${path}`, image, "mb=1000000000"]);
      // It says nothing while it reads. With the filter in place, everything else has been done.
      while (fieldsOf(guest.pid)["Seccomp"] !== "2") await Bun.sleep(1);
      const fds = `/proc/${guest.pid}/fd`;
      const links = readdirSync(fds).map((fd) => readlinkSync(join(fds, fd)));
      guest.process.kill("SIGKILL");
      expect(links.map((link) => link.replace(/^(pipe|socket):.*/, "console")).sort()).toEqual(
        [path, "anon_inode:[eventpoll]", "anon_inode:[timerfd]", "console"].sort(),
      );
    },
  );

  test("is shown by ps with its memory and its image, without the guest's arguments", async () => {
    const commandLine = await lookAt(await sleeping("--password=secret"), "sleeping", (pid) =>
      readFileSync(`/proc/${pid}/cmdline`, "utf8"),
    );
    const image = await buildGuest("sleep", "spt");
    // Empty on kernels without CONFIG_CHECKPOINT_RESTORE.
    if (commandLine !== "") expect(commandLine).toBe(["solo5-spt", "--mem=64", "--", image, ""].join("\0"));
  });

  test("has no environment", async () => {
    const environment = await lookAt(await sleeping(), "sleeping", (pid) =>
      IS_ROOT ? readFileSync(`/proc/${pid}/environ`, "utf8") : "",
    );
    expect(environment).toBe("");
  });

  test("is ended by SIGTERM at once", async () => {
    const guest = await sleeping();
    await untilOutput(guest.process, "sleeping");
    process.kill(guest.pid, "SIGTERM");
    expect((await guest.exited).signal).toBe("SIGTERM");
  });

  test("is ended by SIGPIPE when nobody reads its console any more", async () => {
    const guest = await startGuest(form, ["--mem=2", await buildGuest("flood", "spt")]);
    await untilOutput(guest.process, "1");
    await (guest.process.stdout as ReadableStream).cancel();
    expect((await guest.exited).signal).toBe("SIGPIPE");
  });
});

describe.skipIf(cannotRun)("an spt guest", () => {
  test("outlives its console when told so", async () => {
    const guest = startChild(["--mem=2", await buildGuest("flood", "spt"), "lines=100000"], {
      surviveConsole: true,
    });
    await untilOutput(guest.process, "1");
    await (guest.process.stdout as ReadableStream).cancel();
    const { code, signal } = await guest.exited;
    expect(signal).toBeNull();
    expect(code).not.toBeNull();
  });

  test.skipIf(withoutRoot)("becomes the user that it is given, without groups", async () => {
    const guest = startChild(["--mem=2", await buildGuest("sleep", "spt")], {
      user: { uid: 12345, gid: 54321 },
    });
    const fields = await lookAt(guest, "sleeping", fieldsOf);
    expect(fields["Uid"]).toBe(["12345", "12345", "12345", "12345"].join("\t"));
    expect(fields["Gid"]).toBe(["54321", "54321", "54321", "54321"].join("\t"));
    expect(fields["Groups"]?.trim()).toBe("");
    expect(fields["CapEff"]).toBe("0000000000000000");
  });

  test.skipIf(withoutRoot)("of root's is somebody else's when solo5-spt starts it", async () => {
    const guest = await startSolo5Spt(["--mem=2", await buildGuest("sleep", "spt")]);
    const fields = await lookAt(guest, "sleeping", fieldsOf);
    expect(fields["Uid"]).not.toMatch(/^0\t/);
    expect(fields["CapEff"]).toBe("0000000000000000");
  });

  test.skipIf(withoutRoot)("starts for a user without any group or device", async () => {
    // What nobody may read can't be started by nobody: this checkout may lie in root's home.
    const image = join(directory, "hello.spt");
    copyFileSync(await buildGuest("hello", "spt"), image);
    const program = join(directory, "main.js");
    const built = Bun.spawnSync(
      [process.execPath, "build", "--target=bun", `--outfile=${program}`, "./form.ts"],
      {
        cwd: import.meta.dir,
      },
    );
    expect(built.stderr.toString()).toBe("");
    const bun = join(directory, "bun");
    copyFileSync(process.execPath, bun);
    for (const path of [directory, bun]) chmodSync(path, 0o755);
    const unprivileged = [
      "setpriv",
      `--reuid=${NOBODY}`,
      `--regid=${NOBODY}`,
      "--clear-groups",
      "--inh-caps=-all",
    ];
    // A /dev with nothing in it but null.
    const script = 'mount -t tmpfs none /dev && touch /dev/null && chmod 666 /dev/null && exec "$@"';
    for (const form of ["exec", "spawn"]) {
      const child = Bun.spawn(
        [
          "unshare",
          "--mount",
          "sh",
          "-c",
          script,
          "sh",
          ...unprivileged,
          bun,
          program,
          form,
          image,
          "Hello_Solo5",
        ],
        { stdio: ["ignore", "pipe", "pipe"], cwd: "/", env: { PATH: process.env["PATH"], HOME: "/" } },
      );
      const [output, errors, status] = await Promise.all([
        child.stdout.text(),
        child.stderr.text(),
        child.exited,
      ]);
      expect([output, errors, status]).toEqual([expect.stringContaining("SUCCESS"), "", 0]);
    }
  });

  test.skipIf(withoutRoot)("starts where programs in memory are forbidden", async () => {
    const image = await buildGuest("hello", "spt");
    // vm.memfd_noexec belongs to the process namespace: this one's doesn't change.
    const script = 'echo 2 > /proc/sys/vm/memfd_noexec || exit 77; exec "$@"';
    const inside = ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", script, "sh"];
    const { status, output } = await runSolo5Spt(["--mem=2", image, "Hello_Solo5"], inside);
    if (status === 77) {
      lacks("this kernel has no vm.memfd_noexec");
      return;
    }
    expect([status, output]).toEqual([0, expect.stringContaining("SUCCESS")]);
  });

  test.skipIf(withoutRoot)("can't execute its data, even when started by a process that could", async () => {
    const image = await buildGuest("wnox", "spt");
    const { signal } = await runSolo5Spt(["--mem=2", image], ["setarch", "-X"]);
    expect(signal).toBe("SIGSEGV");
  });

  test("whose launcher fails says why, and exits with 1", async () => {
    const image = openImage(await buildGuest("hello", "spt"));
    const spec = {
      image,
      unikernel: readUnikernel(image.source),
      memory: 2 ** 21,
      args: [],
      attachments: [],
    };
    const prepared = prepareSpt({ ...spec, complaint: "tender: " });
    const guest = spawnSpt({ ...prepared, descriptors: [] }, { stdout: "pipe", stderr: "pipe" });
    image.close();
    const { status, output } = await endOf(guest);
    expect([status, output]).toEqual([1, "tender: cannot read the image: Bad file descriptor\n"]);
  });
});

describe.skipIf(cannotRun)("a guest in the foreground", () => {
  const startForeground = async (name: string, ...args: string[]) =>
    Bun.spawn([process.execPath, FORM, "spawn", await buildGuest(name, "spt"), ...args], {
      stdio: ["ignore", "pipe", "pipe"],
    });

  test("gives its exit status, and nothing is said about it", async () => {
    const child = await startForeground("exit", "status=64");
    expect([await child.exited, await child.stderr.text()]).toEqual([64, ""]);
  });

  test("that is killed for a system call is reported as such", async () => {
    const child = await startForeground("seccomp");
    const said = "killed by SIGSYS: the unikernel made a forbidden system call\n";
    expect([await child.exited, await child.stderr.text()]).toEqual([159, said]);
  });

  test("ends with the signal that its starter gets", async () => {
    const child = await startForeground("sleep");
    await untilOutput(child, "sleeping");
    child.kill("SIGTERM");
    expect([await child.exited, await child.stderr.text()]).toEqual([143, ""]);
  });

  test("doesn't outlive its starter", async () => {
    const child = await startForeground("sleep");
    await untilOutput(child, "sleeping");
    child.kill("SIGKILL");
    await child.exited;
    // The guest holds the other end of the console; when it is gone, that ends.
    expect(await readOutput(child, () => false)).toBe("");
  });
});
