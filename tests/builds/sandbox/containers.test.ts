/** Sandboxes of docker and podman, by a program of that name which writes down its arguments and does as they say. */
import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openContainers, ownVariables } from "../../../src/builds/sandbox/containers.ts";
import { parsePlatform } from "../../../src/store/api.ts";
import { command, environment, run, temporaryDirectory } from "../../robur.ts";

const ID = `sha256:${"7".repeat(64)}`;

/** A directory for PATH with the program, which knows an image once it was pulled. */
function fakeProgram(name: "docker" | "podman"): { path: string; calls: () => string[] } {
  const path = temporaryDirectory();
  const calls = join(path, "calls");
  writeFileSync(
    join(path, name),
    `#!/bin/sh
echo "$*" >> ${calls}
case "$1" in
  image) [ -e ${path}/pulled ] || { echo "Error: no such image" >&2; exit 1; }; echo ${ID} ;;
  pull) [ "$3" = docker.io/library/debian:13 ] || { echo "denied" >&2; exit 1; }; echo "fetching" >&2; touch ${path}/pulled ;;
  run)
    while [ "$1" != --workdir ]; do
      case "$1 $2" in "--volume "*:/build) cd "\${2%:/build}" ;; esac
      shift
    done
    exec ./script.sh ;;
esac
`,
  );
  chmodSync(join(path, name), 0o755);
  return { path, calls: () => readFileSync(calls, "utf8").trim().split("\n") };
}

describe("a container", () => {
  const none = { memoryMb: undefined, cpus: undefined, processes: undefined, diskMb: undefined };

  test("is made from the platform's image, which is fetched first, and goes with its job", async () => {
    const { path, calls } = fakeProgram("podman");
    const data = temporaryDirectory();
    const said: string[] = [];
    process.env["PATH"] = `${path}:${process.env["PATH"] ?? ""}`;
    try {
      const containers = openContainers(data, "podman", "/usr/bin/robur", (line) => said.push(line));
      const wish = {
        platform: parsePlatform("debian-13")!,
        script: new TextEncoder().encode("#!/bin/sh\ncat given; echo made > out; exit 3\n"),
        files: [{ name: "given", content: new TextEncoder().encode("given\n") }],
        ...{ network: { kind: "none" as const }, limits: none },
      };
      const place = await (async () => {
        await using sandbox = await containers.prepare(wish);
        expect(sandbox.origin).toEqual({
          ...{ kind: "podman", packagesSha256: undefined },
          description: `podman image docker.io/library/debian:13 (${ID})`,
        });
        const child = Bun.spawn([...sandbox.argv], { env: { ...sandbox.environment }, stdout: "pipe" });
        expect(await child.stdout.text()).toBe("given\n");
        expect(await child.exited).toBe(3);
        expect(readFileSync(join(sandbox.directory, "out"), "utf8")).toBe("made\n");
        return sandbox.directory;
      })();
      expect(existsSync(place)).toBe(false);
      expect(readdirSync(join(data, "containers"))).toEqual([]);
      expect(said).toEqual(["podman pull docker.io/library/debian:13", "fetching"]);
      const [asked, pulled, again, started = "", removed = ""] = calls();
      expect([asked, pulled, again]).toEqual([
        "image inspect --format {{.Id}} docker.io/library/debian:13",
        "pull --quiet docker.io/library/debian:13",
        "image inspect --format {{.Id}} docker.io/library/debian:13",
      ]);
      const name = /--name (robur-build-\S+)/.exec(started)?.[1];
      expect(started).toEndWith(`--workdir /build ${ID} /build/script.sh`);
      expect(started).toContain("--network none");
      // Bounds of the machine, though the job has no limits of its own.
      expect(started).toMatch(/--memory \d+m .*--pids-limit 8192/);
      expect(removed).toBe(`rm --force --time 0 ${name}`);
      const unknown = { ...wish, platform: parsePlatform("debian-12")! };
      await expect(
        containers.prepare({ ...unknown, files: [{ name: "../x", content: new Uint8Array() }] }),
      ).rejects.toMatchObject({ code: "failed" });
    } finally {
      process.env["PATH"] = process.env["PATH"]!.slice(path.length + 1);
    }
  });

  test("leaves the program its user's settings, which the job doesn't see", () => {
    const given = { HOME: "/home/alice", XDG_RUNTIME_DIR: "/run/user/1000", DOCKER_HOST: "unix:///d.sock" };
    const others = { ROBUR_TOKEN: "secret", LD_PRELOAD: "/x.so", HOMEPAGE: "x", CONTAINERS_CONF: undefined };
    expect(ownVariables({ ...given, ...others })).toEqual(given);
  });

  test("of a dead worker is removed by the next", async () => {
    const { path, calls } = fakeProgram("docker");
    const data = temporaryDirectory();
    const left = join(data, "containers/robur-build-left");
    mkdirSync(join(left, "build"), { recursive: true });
    writeFileSync(join(left, "owner.json"), JSON.stringify({ pid: 1, start: -1, boot: "another" }));
    process.env["PATH"] = `${path}:${process.env["PATH"] ?? ""}`;
    try {
      await openContainers(data, "docker", undefined).sweep(0);
    } finally {
      process.env["PATH"] = process.env["PATH"]!.slice(path.length + 1);
    }
    expect(calls()).toEqual(["rm --force robur-build-left"]);
    expect(existsSync(left)).toBe(false);
  });

  test("is what jobs run in where the server is told so", async () => {
    const { path, calls } = fakeProgram("docker");
    const directory = temporaryDirectory();
    const socket = join(directory, "s.sock");
    const env = environment({ PATH: `${path}:${process.env["PATH"] ?? ""}`, ROBUR_HOST: `unix://${socket}` });
    const words = [
      "serve",
      "--sandbox",
      "docker",
      "--worker-platform",
      "debian-13",
      "--builder-listen",
      "off",
    ];
    const server = Bun.spawn(
      await command([
        ...words,
        "--data-dir",
        join(directory, "data"),
        "--socket",
        socket,
        "--listen",
        "127.0.0.1:0",
      ]),
      { env, stdin: "ignore", stdout: "pipe", stderr: "ignore" },
    );
    try {
      await server.stdout.getReader().read();
      const script = join(directory, "script.sh");
      writeFileSync(script, "#!/bin/sh\necho inside\n");
      const job = ["--script", script, "--platform", "debian-13", "--never"];
      expect(await run(["job", "add", "boxed", ...job], { env })).toMatchObject({ code: 0 });
      const built = await run(["build", "start", "boxed", "--wait"], { env });
      expect(built.stdout).toContain("inside\n");
      expect(built.code).toBe(0);
      expect(calls().some((line) => line.startsWith("run --rm --name robur-build-"))).toBe(true);
      // What it can't do is refused, and the job says so.
      expect(await run(["job", "edit", "boxed", "--disk", "1G"], { env })).toMatchObject({ code: 0 });
      const refused = await run(["build", "start", "boxed", "--wait"], { env });
      expect(refused.stdout).toContain("[robur: docker can't limit what a job writes]\n");
      expect(refused.code).not.toBe(0);
    } finally {
      server.kill("SIGTERM");
      await server.exited;
    }
  }, 60_000);

  test("can't be had where nobody has installed the program", async () => {
    const env = { PATH: temporaryDirectory() };
    const known = ["docker", "podman"].filter(
      (name) => Bun.which(name, { PATH: "/usr/local/bin:/usr/bin:/bin" }) === null,
    );
    for (const name of known) {
      const { code, stderr } = await run(["worker", "--once", "--sandbox", name, "--platform", "debian-13"], {
        env,
      });
      expect(stderr).toContain(`error: ${name} is not installed\n`);
      expect(stderr).toContain("try: sudo apt-get install ");
      expect(code).toBe(1);
    }
  });
});
