/** Sandboxes of a real podman, over an image that has nothing but busybox. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { lacks, needsCommands, needsRoot } from "../../needs.ts";
import { command, environment, run, temporaryDirectory, until } from "../../robur.ts";

const IMAGE = "docker.io/library/debian:13";
const directory = temporaryDirectory();

/** Storage and settings of its own. Limits that a container of the machine's may not raise are left as they are. */
const ENVIRONMENT = {
  CONTAINERS_CONF: join(directory, "containers.conf"),
  CONTAINERS_STORAGE_CONF: join(directory, "storage.conf"),
};

function podman(...words: string[]) {
  const options = { env: { ...process.env, ...ENVIRONMENT }, stdin: "ignore", stderr: "pipe" } as const;
  const { exitCode, stdout, stderr } = Bun.spawnSync(["podman", ...words], options);
  return { code: exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
}

/** What the machine lacks, found by trying. */
function needsPodman(): string | undefined {
  const missing = needsRoot() ?? needsCommands("podman", "runc", "busybox", "ldd", "tar");
  if (missing !== undefined) return missing;
  writeFileSync(
    ENVIRONMENT.CONTAINERS_CONF,
    '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n[engine]\nruntime = "runc"\n',
  );
  writeFileSync(
    ENVIRONMENT.CONTAINERS_STORAGE_CONF,
    `[storage]\ndriver = "vfs"\ngraphroot = "${directory}/graph"\nrunroot = "${directory}/run"\n`,
  );
  makeImage();
  const { code, stderr } = podman(
    "run",
    "--rm",
    "--network",
    "none",
    "--pids-limit",
    "64",
    IMAGE,
    "/bin/true",
  );
  return code === 0 ? undefined : `podman can't run containers here: ${stderr.trim().split("\n").at(-1)}`;
}

function makeImage(): void {
  const root = join(directory, "root");
  mkdirSync(join(root, "bin"), { recursive: true });
  const busybox = Bun.which("busybox")!;
  cpSync(busybox, join(root, "bin/busybox"), { dereference: true });
  for (const name of ["sh", "cat", "id", "mkdir", "sleep", "true"])
    symlinkSync("busybox", join(root, "bin", name));
  const libraries = Bun.spawnSync(["ldd", busybox], { stderr: "ignore" }).stdout.toString();
  for (const [path] of libraries.matchAll(/(?<=\s)\/\S+/g)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    cpSync(path, join(root, path), { dereference: true });
  }
  const archive = join(directory, "root.tar");
  Bun.spawnSync(["tar", "--create", "--file", archive, "--directory", root, "."]);
  podman("import", archive, IMAGE);
}

const skip = lacks(needsPodman());

describe.skipIf(skip)("podman", () => {
  const socket = join(directory, "s.sock");
  const env = environment({ ...ENVIRONMENT, ROBUR_HOST: `unix://${socket}` });
  let server: Bun.Subprocess<"ignore", "pipe", "ignore">;

  beforeAll(async () => {
    const words = [
      "serve",
      "--sandbox",
      "podman",
      "--worker-platform",
      "debian-13",
      "--builder-listen",
      "off",
    ];
    const places = ["--data-dir", join(directory, "data"), "--socket", socket, "--listen", "127.0.0.1:0"];
    server = Bun.spawn(await command([...words, ...places]), {
      ...{ env, stdin: "ignore", stdout: "pipe", stderr: "ignore" },
    });
    await server.stdout.getReader().read();
  });
  afterAll(async () => {
    server.kill("SIGTERM");
    await server.exited;
    podman("rm", "--force", "--all", "--time", "0");
    podman("system", "reset", "--force");
  });

  async function build(name: string, script: string, ...more: string[]) {
    const path = join(directory, `${name}.sh`);
    writeFileSync(path, script);
    const job = ["job", "add", name, "--script", path, "--platform", "debian-13", "--never", ...more];
    expect(await run(job, { env })).toMatchObject({ code: 0 });
    return run(["build", "start", name, "--wait"], { env });
  }

  /** A run has ended a moment before its container is gone. */
  async function nothingIsLeft(): Promise<void> {
    await until(
      "the job's directory is gone",
      () => readdirSync(join(directory, "data/containers")).length === 0,
    );
    expect(podman("ps", "--all", "--quiet").stdout).toBe("");
  }

  test("builds in a fresh container of the platform's image, and leaves none", async () => {
    const script = `#!/bin/sh
echo "in $PWD as $(id -u): $(cat given 2>/dev/null || echo nothing)"
[ -x /usr/bin/orb ] && echo orb is there
[ -e ${join(directory, "data")} ] || echo the database is not
cat /proc/self/status
echo touched > /touched
mkdir bin; echo made > bin/out
`;
    for (const name of ["first", "second"]) {
      const { code, stdout } = await build(name, script);
      expect(code).toBe(0);
      expect(stdout).toContain("in /build as 0: nothing");
      expect(stdout).toContain("orb is there");
      expect(stdout).toContain("the database is not");
      expect(stdout).toMatch(/NoNewPrivs:\s+1/);
      expect(stdout).toMatch(/CapEff:\s+00000000000000fb/);
      expect((await run(["build", "show", name], { env })).stdout).toContain("bin/out");
    }
    await nothingIsLeft();
  });

  test("limits processes and memory", async () => {
    const { stdout } = await build(
      "small",
      "#!/bin/sh\ncat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max\n",
      ...["--processes", "50", "--memory", "64M"],
    );
    expect(stdout).toMatch(/^50\r?$/m);
    expect(stdout).toMatch(/^67108864\r?$/m);
  });

  test("ends what takes too long", async () => {
    const { code, stdout } = await build(
      "slow",
      "#!/bin/sh\ntrap 'exit 5' TERM\nwhile :; do sleep 1; done\n",
      "--timeout",
      "2s",
    );
    expect(stdout).toContain("ended after 2 s, its time-out");
    expect(code).not.toBe(0);
    await nothingIsLeft();
  });
});
