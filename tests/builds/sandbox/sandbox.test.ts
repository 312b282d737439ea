import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  closeSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import type { JobLimits, JobNetwork, Sandbox, Sandboxes } from "../../../src/builds/sandbox/api.ts";
import { currentRoot, makeRoot, removePlatform } from "../../../src/builds/sandbox/root-file-systems.ts";
import { SandboxError } from "../../../src/builds/sandbox/sandbox-error.ts";
import { openSandboxes } from "../../../src/builds/sandbox/sandboxes.ts";
import { GROUP_FAMILY } from "../../../src/builds/sandbox/layout.ts";
import { readSmallFile } from "../../../src/linux/libc.ts";
import { groupFamily, groupNamed } from "../../../src/linux/control-groups.ts";
import { writeRecord } from "../../../src/protocols/builder/record-writer.ts";
import { type Platform, parsePlatform } from "../../../src/store/api.ts";
import { lacks, needsCommands, needsRoot } from "../../needs.ts";
import { environment, roburExecutable, temporaryDirectory, until } from "../../robur.ts";

const dataDirectory = temporaryDirectory();
const platform = parsePlatform("small") as Platform;

/** A root file system of what every Debian has, made of this system's own sources. */
async function makeSmallRoot(): Promise<string | undefined> {
  const suite = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
  if (suite === undefined) return "mmdebstrap makes Debian and its kin only";
  const directory = join(dataDirectory, "platforms/small");
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "definition.json"), JSON.stringify({ suite, packages: ["ca-certificates"] }));
  try {
    await makeRoot(dataDirectory, platform, { now: 1 });
    return undefined;
  } catch (error) {
    if (error instanceof SandboxError && error.code === "no-root-file-system") return error.message;
    throw error;
  }
}

const needs = needsRoot() ?? needsCommands("bwrap", "mmdebstrap", "unshare", "setpriv", "mkfs.ext4");
const skip = lacks(needs ?? (await makeSmallRoot()));
const lines = (...all: string[]) => all.join("\n");

interface Ended {
  readonly status: number;
  readonly output: string;
}

async function execute({ argv, environment }: Pick<Sandbox, "argv" | "environment">): Promise<Ended> {
  const child = Bun.spawn([...argv], {
    env: { ...environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, errors, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { status, output: out + errors };
}

describe.skipIf(skip)("a sandbox", () => {
  let sandboxes: Sandboxes;
  beforeAll(() => void (sandboxes = openSandboxes({ dataDirectory })));
  afterAll(async () => {
    await sandboxes.sweep(0);
    expect(remains()).toEqual([]);
  });

  const none: JobLimits = { memoryMb: undefined, cpus: undefined, processes: undefined, diskMb: undefined };
  const prepare = (
    script: string,
    more: {
      limits?: Partial<JobLimits>;
      network?: JobNetwork;
      files?: Record<string, Uint8Array>;
      hostname?: string;
    } = {},
  ) =>
    sandboxes.prepare({
      platform,
      script: new TextEncoder().encode(script),
      files: Object.entries(more.files ?? {}).map(([name, content]) => ({ name, content })),
      network: more.network ?? { kind: "none" },
      hostname: more.hostname,
      limits: { ...none, ...more.limits },
    });
  const inside = async (script: string, more: Parameters<typeof prepare>[1] = {}): Promise<Ended> => {
    await using sandbox = await prepare(script, more);
    return await execute(sandbox);
  };
  const known = new Set<string>();
  /** Directories and mounts of sandboxes, and control groups of those that were ever seen here. */
  const remains = () => {
    const found = readdirSync(join(dataDirectory, "sandboxes")).filter((name) => !name.startsWith("tools-"));
    for (const name of found) known.add(name);
    const family = groupFamily(GROUP_FAMILY);
    const paths = (name: string) => Object.values(groupNamed(family!, name).directories);
    return [
      ...found,
      ...readFileSync("/proc/self/mountinfo", "utf8")
        .split("\n")
        .filter((line) => line.includes(dataDirectory)),
      ...(family === undefined ? [] : [...known].flatMap(paths).filter((path) => existsSync(path))),
    ];
  };

  test("runs a script in always the same surroundings, and leaves what it wrote", async () => {
    const script = lines(
      "#!/bin/sh",
      "hostname; pwd; id -u; cat data.txt; env | sort; echo made > result; exit 3",
    );
    const files = { "data.txt": new TextEncoder().encode("given\n") };
    await using sandbox = await prepare(script, { files });
    expect(await execute(sandbox)).toEqual({
      status: 3,
      output: lines(
        ...["build", "/build", "0", "given", "HOME=/root", "LANG=C.UTF-8"],
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ...["PWD=/build", "TERM=dumb", "TMPDIR=/tmp", "TZ=UTC", ""],
      ),
    });
    expect(readFileSync(join(sandbox.directory, "result"), "utf8")).toBe("made\n");
    // On the host they are nobody's.
    expect(statSync(join(sandbox.directory, "result")).uid).toBe(29_000 * 65_536);
    const { packagesSha256 } = currentRoot(dataDirectory, platform)!;
    expect(sandbox.origin).toMatchObject({ kind: "bwrap", packagesSha256 });
  });

  test("has another host name, where one is wished for", async () => {
    const { output } = await inside("uname -n; hostname; cat /etc/hosts", { hostname: "another" });
    expect(output).toStartWith("another\nanother\n");
    expect(output).toContain("127.0.1.1 another\n");
  });

  test("shows nothing of the host: no path, no process, no environment, no file", async () => {
    const secret = join(dataDirectory, "robur.db");
    writeFileSync(secret, "secret");
    const { output } = await inside(
      lines(
        `cat ${secret}; ls ${dataDirectory} /work /home; cat /proc/1/environ /proc/self/mountinfo /proc/mounts | tr '\\0' '\\n'`,
        'for p in /proc/[0-9]*; do tr "\\0" " " < $p/cmdline; echo; readlink $p/root; done; ls -l /proc/self/fd; ls /sys /run',
      ),
    );
    expect(output).not.toContain("secret\n");
    const without = output.replaceAll(/^(cat|ls): .*$/gm, "");
    expect(without).not.toContain(dataDirectory);
    expect(without).not.toContain("sandboxes");
    for (const name of ["SUDO", "ROBUR_", process.cwd(), "/var/lib"]) expect(without).not.toContain(name);
    // bwrap's first process, and the shell with what it starts.
    expect(without.match(/^bwrap/gm)?.length ?? 0).toBeLessThanOrEqual(1);
  });

  test.skipIf(lacks(needsCommands("gcc")))("takes no right that reaches further than itself", async () => {
    const program = join(temporaryDirectory(), "hostile");
    const source = join(import.meta.dir, "hostile.c");
    const compiled = Bun.spawnSync(["gcc", "-static", "-O1", "-o", program, source]);
    expect(compiled.stderr.toString()).toBe("");
    const files = { hostile: new Uint8Array(readFileSync(program)) };
    const { output } = await inside("chmod 755 hostile; ./hostile", { files });
    expect(output.split("\n").length).toBe(29);
    expect(output).not.toContain("DONE");
    for (const kind of ["virtual machines' sockets", "the kernel's ciphers", "a pair of another kind"])
      expect(output).toContain(`${kind}: Address family not supported by protocol\n`);
    expect(output).toContain("clone3: Function not implemented\n");
  });

  test("gives nobody rights by the set-user-ID bit", async () => {
    const { output } = await inside(
      "cp /usr/bin/id ./own-id; chmod 4755 own-id; setpriv --reuid 1000 --clear-groups ./own-id -u; grep NoNewPrivs /proc/self/status",
    );
    expect(output).toBe("1000\nNoNewPrivs:\t1\n");
  });

  test("can install packages: its root may give files to its own users", async () => {
    const { output } = await inside(
      "touch a; chown 33:42 a; stat -c %u:%g a; touch /usr/bin/new && echo written",
    );
    expect(output).toBe("33:42\nwritten\n");
  });

  test("can't change the executable that orb is, only have another in its place", async () => {
    const executable = await roburExecutable();
    const before = statSync(executable).mtimeMs;
    const own = openSandboxes({ dataDirectory, executable });
    const script = "echo bad 2>/dev/null >> /usr/bin/orb || echo kept; rm /usr/bin/orb && echo gone";
    const wish = { platform, files: [], network: { kind: "none" as const }, limits: none };
    await using sandbox = await own.prepare({ ...wish, script: new TextEncoder().encode(script) });
    expect((await execute(sandbox)).output).toMatch(/kept\ngone\n$/);
    expect(statSync(executable).mtimeMs).toBe(before);
  });

  test("has a network of its own, with nothing in it", async () => {
    const { output } = await inside(
      "grep : /proc/net/dev | cut -d: -f1; bash -c 'echo > /dev/tcp/127.0.0.1/22' 2>&1 | tail -1; bash -c 'echo > /dev/tcp/192.0.2.1/80' 2>&1 | tail -1; getent hosts example.org || echo none",
    );
    expect(
      output
        .trim()
        .split("\n")
        .map((line) => line.trim().replace(/.*: /, "")),
    ).toEqual([...["lo", "Connection refused", "Network is unreachable", "none"]]);
  });

  test.skipIf(lacks(needsCommands("pasta", "nft", "nsenter")))(
    "reaches the hosts that it may reach, and no other",
    async () => {
      const answer = { hostname: "127.0.0.1", port: 0, fetch: () => new Response("hello") };
      using open = Bun.serve(answer);
      using closed = Bun.serve(answer);
      const get = (port: number | undefined) =>
        `bash -c 'exec 3<>/dev/tcp/127.0.0.1/${port} && printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3 && tail -n 1 <&3' || echo no`;
      const network = { kind: "hosts" as const, hosts: [`127.0.0.1:${open.port}`, "192.0.2.77"] };
      const script = lines(
        ...[get(open.port), get(closed.port), "bash -c 'echo > /dev/tcp/198.51.100.1/80' && echo reached"],
        "bash -c 'echo > /dev/tcp/192.0.2.1/22' && echo reached; getent hosts example.org; true",
      );
      const { output, status } = await inside(script, { network });
      expect(status).toBe(0);
      expect(output).toStartWith("hello");
      expect(output.match(/no$/gm)).toHaveLength(1);
      expect(output).not.toContain("reached");
      expect(output).not.toContain("example.org");
    },
  );

  test.skipIf(lacks(needsCommands("pasta", "nft", "nsenter", "ip")))(
    "reaches everything but this machine, where everything is allowed",
    async () => {
      // An address of this machine's that is not the one which the job's own network gets a copy of.
      const address = "198.18.77.1";
      Bun.spawnSync(["ip", "address", "add", `${address}/32`, "dev", "lo"]);
      try {
        using served = Bun.serve({ hostname: "0.0.0.0", port: 0, fetch: () => new Response("hello") });
        expect(await (await fetch(`http://${address}:${served.port}/`)).text()).toBe("hello");
        const targets = [address, "127.0.0.1", "169.254.169.254"];
        const script = targets.map(
          (target) => `bash -c 'echo > /dev/tcp/${target}/${served.port}' 2>&1 | tail -1`,
        );
        const { output } = await inside(lines(...script), { network: { kind: "all" } });
        const said = output
          .trim()
          .split("\n")
          .map((line) => line.replace(/.*: /, ""));
        expect(said).toEqual(["Connection refused", "Connection refused", "Connection refused"]);
      } finally {
        Bun.spawnSync(["ip", "address", "del", `${address}/32`, "dev", "lo"]);
      }
    },
  );

  test("refuses hosts that have no address, before anything is made", async () => {
    const network = { kind: "hosts" as const, hosts: ["nowhere.invalid"] };
    await expect(prepare("true", { network })).rejects.toMatchObject({ code: "unknown-host" });
  });

  test("contains a fork bomb, and says so", async () => {
    const bomb = lines("bomb() { bomb | bomb & }", "bomb 2>/dev/null", "sleep 0.5", "echo survived");
    const { output } = await inside(bomb, { limits: { processes: 40 } });
    expect(output).toContain("sandbox: the limit of 40 processes was reached\n");
  }, 60_000);

  test("ends what takes too much memory, and says so", async () => {
    const { output } = await inside("head -c 500M /dev/zero | tail > /dev/null; echo status $?", {
      limits: { memoryMb: 64 },
    });
    expect(output).toContain("status 137\n");
    expect(output).toMatch(/sandbox: \d+ processes were ended at the memory limit of 64 MiB/);
  });

  test("limits what it writes, wherever it writes it, and says so", async () => {
    const script = lines(
      "dd if=/dev/zero of=/tmp/big bs=1M count=300 2>&1 | grep -o 'No space left on device'",
      "rm /tmp/big; i=0; while mkdir /var/d$i 2>/dev/null; do i=$((i+1)); [ $i -gt 20000 ] && break; done",
      "dd if=/dev/zero of=big bs=1M count=300 2>&1 | grep -o 'No space left on device'",
      "dd if=/dev/zero of=/dev/shm/big bs=1M count=600 2>&1 | grep -o 'No space left on device'",
    );
    await using sandbox = await prepare(script, { limits: { diskMb: 100 } });
    const { output } = await execute(sandbox);
    expect(output.match(/^No space left on device$/gm)).toHaveLength(3);
    expect(output).toContain("sandbox: the disk limit of 100 MiB was reached\n");
    const image = join(sandbox.directory, "../../../disk.img");
    expect(statSync(image).size).toBe(100 * 1024 * 1024);
  });

  test("doesn't fill the machine's disk, though nobody has limited it", async () => {
    const place = temporaryDirectory();
    const disk = join(place, "disk");
    mkdirSync(disk);
    const must = (...argv: string[]) => {
      const { success, stderr } = Bun.spawnSync(argv);
      if (!success) throw new Error(`${argv.join(" ")}: ${stderr.toString()}`);
    };
    must("truncate", "--size=600M", join(place, "image"));
    must("mkfs.ext4", "-q", "-m", "0", join(place, "image"));
    must("mount", "-o", "loop", join(place, "image"), disk);
    try {
      const { path } = currentRoot(dataDirectory, platform)!;
      mkdirSync(join(disk, "platforms/small"), { recursive: true });
      must("cp", "-a", path, join(path, "../current.json"), join(disk, "platforms/small"));
      const there = openSandboxes({ dataDirectory: disk });
      const wish = { platform, files: [], network: { kind: "none" as const }, limits: none };
      const script = new TextEncoder().encode("cat /dev/zero > /tmp/big; sleep 60; echo survived");
      await using sandbox = await there.prepare({ ...wish, script });
      const { status, output } = await execute(sandbox);
      expect(output).toContain("sandbox: the disk of this machine is nearly full: the job is ended\n");
      expect(output).not.toContain("survived");
      expect(status).toBe(137);
      // While it is full no other job begins; when that one is gone there is room again.
      await expect(there.prepare({ ...wish, script })).rejects.toMatchObject({ code: "disk-full" });
      await sandbox[Symbol.asyncDispose]();
      await (await there.prepare({ ...wish, script }))[Symbol.asyncDispose]();
    } finally {
      must("umount", "--lazy", disk);
    }
  }, 120_000);

  test("has no more than its share of the processors", async () => {
    await using sandbox = await prepare("while :; do :; done", { limits: { cpus: 0.2 } });
    const id = basename(join(sandbox.directory, "../../.."));
    const { cpu } = groupNamed(groupFamily(GROUP_FAMILY)!, id).directories;
    const running = execute(sandbox);
    const throttled = () => Number(/^nr_throttled (\d+)$/m.exec(readSmallFile(`${cpu}/cpu.stat`) ?? "")?.[1]);
    await until("it is held back", () => throttled() > 2);
    await sandbox.kill();
    await running;
  });

  test("can't put a link in the place of its directory", async () => {
    const script = lines(
      "cd /; mv /build /elsewhere 2>/dev/null && echo moved; rmdir /build 2>/dev/null && echo removed",
      "ln -s /etc/shadow /build/link; ln -s / /build/root; mv /var /var2 2>/dev/null; true",
    );
    await using sandbox = await prepare(script);
    const { output } = await execute(sandbox);
    expect(output).toBe("");
    expect(lstatSync(sandbox.directory).isDirectory()).toBe(true);
    expect(lstatSync(join(sandbox.directory, "link")).isSymbolicLink()).toBe(true);
  });

  test("ends with its script: nothing goes on in the background", async () => {
    const began = performance.now();
    const { status } = await inside("setsid sleep 86399 & (trap '' TERM HUP; sleep 86398) & exit 0");
    expect(status).toBe(0);
    expect(performance.now() - began).toBeLessThan(20_000);
    expect(processesWith("sleep\x008639")).toEqual([]);
  });

  test("kills itself at most", async () => {
    const { status, output } = await inside(
      "kill -9 1; kill -9 $PPID; echo alive; kill -9 -1; kill -9 $$; echo never",
    );
    expect(output).toContain("alive");
    expect(output).not.toContain("never");
    expect(status).not.toBe(0);
  });

  test("is ended by kill, at any moment", async () => {
    await using sandbox = await prepare("echo began; trap '' TERM INT HUP; sleep 86397; sleep 86397");
    const child = Bun.spawn([...sandbox.argv], {
      env: { ...sandbox.environment },
      stdin: "ignore",
      stdout: "pipe",
    });
    await child.stdout.getReader().read();
    await sandbox.kill();
    expect(await child.exited).not.toBe(0);
    expect(processesWith("sleep\x0086397")).toEqual([]);
    // And before it began.
    await using early = await prepare("echo never");
    await early.kill();
    expect(await execute(early)).toMatchObject({ status: 137, output: "" });
  });

  test("leaves nothing when its worker is killed", async () => {
    const worker = join(temporaryDirectory(), "worker.ts");
    const from = join(import.meta.dir, "../../../src/builds/sandbox/sandboxes.ts");
    writeFileSync(
      worker,
      `import { openSandboxes } from ${JSON.stringify(from)};
       const sandboxes = openSandboxes({ dataDirectory: ${JSON.stringify(dataDirectory)} });
       const script = new TextEncoder().encode("echo began; sleep 86396");
       const limits = { memoryMb: 100, cpus: 1, processes: 20, diskMb: 50 };
       const box = await sandboxes.prepare({ platform: "small", script, files: [], network: { kind: "none" }, limits });
       const child = Bun.spawn(box.argv, { env: box.environment, stdin: "ignore", stdout: "inherit" });
       await child.exited;`,
    );
    const child = Bun.spawn([process.execPath, worker], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
    });
    try {
      await until("the job runs", () => processesWith("sleep\x0086396").length > 0);
      expect(remains()).not.toEqual([]);
    } finally {
      child.kill("SIGKILL");
    }
    await child.exited;
    await until("the sandbox ends with its worker", () => processesWith("sleep\x0086396").length === 0);
    await sandboxes.sweep(86_400_000);
    expect(remains()).toEqual([]);
  });

  test("stays for a shell when it is kept, and goes when it has been kept for long enough", async () => {
    {
      await using sandbox = await prepare("echo left > trace; exit 1", { limits: { diskMb: 64 } });
      expect((await execute(sandbox)).status).toBe(1);
      await sandbox.keep("a-build");
    }
    await sandboxes.sweep(86_400_000);
    const shell = await sandboxes.shell("a-build");
    const child = Bun.spawn([...shell!.argv], {
      env: { ...shell!.environment },
      stdin: "pipe",
      stdout: "pipe",
      stderr: "ignore",
    });
    child.stdin.write("cat trace; exit\n");
    await child.stdin.end();
    expect(await child.stdout.text()).toContain("left\n");
    expect(await sandboxes.shell("another")).toBeUndefined();
    // It is somebody's until they leave it.
    await expect(sandboxes.shell("a-build")).rejects.toMatchObject({ code: "in-use" });
    await sandboxes.sweep(0);
    await shell![Symbol.asyncDispose]();
    await (await sandboxes.shell("a-build"))![Symbol.asyncDispose]();
    await sandboxes.sweep(0);
    expect(await sandboxes.shell("a-build")).toBeUndefined();
    expect(remains()).toEqual([]);
  });

  test("has this executable as orb, and lets programs be installed beside", async () => {
    const own = openSandboxes({ dataDirectory, executable: await roburExecutable() });
    const wish = { platform, files: [], network: { kind: "none" as const }, limits: none };
    await using sandbox = await own.prepare({
      ...wish,
      script: new TextEncoder().encode(
        "orb rebuild --help; touch /usr/bin/other && stat -c 'owner %u' /usr /usr/bin /usr/bin/other",
      ),
    });
    const { output } = await execute(sandbox);
    expect(output).toContain("Build a recorded build again, and compare");
    expect(output).toEndWith("owner 0\n".repeat(3));
  });

  test("is made also by a robur whose file is gone, as an upgrade leaves one that runs", async () => {
    const written = writeRecord(
      {
        ...{ name: "gone", script: new TextEncoder().encode("mkdir bin; orb --help >bin/help\n"), platform },
        ...{ uuid: crypto.randomUUID(), startedAt: 0, finishedAt: 1, result: { kind: "exited", code: 0 } },
      },
      [],
      [{ path: "bin/help", size: 0, bytes: async function* () {} }],
    );
    const parts: Uint8Array[] = [];
    for await (const part of written.stream()) parts.push(part);
    const directory = temporaryDirectory();
    const [record, copy] = [join(directory, "full"), join(directory, "robur")];
    writeFileSync(record, Buffer.concat(parts));
    copyFileSync(await roburExecutable(), copy);
    const fd = openSync(copy, "r");
    rmSync(copy);
    const args = ["reproduce", record, "--no-report", "--data-dir", dataDirectory];
    const child = Bun.spawn([`/proc/${process.pid}/fd/${fd}`, ...args], {
      ...{ env: environment(), stdin: "ignore", stdout: "pipe", stderr: "pipe" },
    });
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    closeSync(fd);
    expect(stderr).not.toContain("fault in robur");
    expect(stdout).toContain("BAD: bin/help differs");
  });

  test("takes no file with a directory in its name", async () => {
    for (const name of ["../x", "a/b", "..", "", "script.sh"]) {
      await expect(prepare("true", { files: { [name]: new Uint8Array() } })).rejects.toMatchObject({
        code: "failed",
      });
    }
  });

  test("isn't made for a platform that nobody has defined", async () => {
    const wish = { platform: parsePlatform("plan9-4")!, script: new Uint8Array(), files: [], limits: none };
    await expect(sandboxes.prepare({ ...wish, network: { kind: "none" } })).rejects.toMatchObject({
      code: "unknown-platform",
    });
  });

  test("a job keeps its root file system while a new one is made", async () => {
    const before = currentRoot(dataDirectory, platform)!;
    await using sandbox = await prepare("cat /etc/debian_version /etc/os-release | wc -l");
    const after = await makeRoot(dataDirectory, platform, { now: 2 });
    expect(after.path).not.toBe(before.path);
    await sandboxes.sweep(0);
    expect(existsSync(before.path)).toBe(true);
    expect((await execute(sandbox)).status).toBe(0);
    await sandbox[Symbol.asyncDispose]();
    await sandboxes.sweep(0);
    expect(existsSync(before.path)).toBe(false);
    expect(after.packages).toBe(before.packages);
    await removePlatform(dataDirectory, platform);
    expect(currentRoot(dataDirectory, platform)).toBeUndefined();
  }, 300_000);
});

/** Processes of this machine whose command line contains a text. */
function processesWith(text: string): string[] {
  return readdirSync("/proc").filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return readFileSync(`/proc/${name}/cmdline`, "utf8").includes(text);
    } catch (error) {
      if (["ENOENT", "ESRCH"].includes((error as { code?: string }).code ?? "")) return false;
      throw error;
    }
  });
}
