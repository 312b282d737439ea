/** `robur volume` as people and scripts use it: real processes, terminals, pipes and unikernels. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { lockOnFile } from "../../src/linux/file-lock.ts";
import { O_RDONLY, O_RDWR, close, open } from "../../src/linux/libc.ts";
import { buildGuest, compilerVersion } from "../guests/build.ts";
import { MIB, PROJECT, noise, until } from "../orchestrator/volumes/room.ts";

setDefaultTimeout(120_000);

const MAIN = [process.execPath, join(PROJECT, "src/main.ts")];

class Home implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "robur-volume-command-"));
  readonly environment = {
    ...process.env,
    ROBUR_DATA_DIR: join(this.path, "data"),
    TZ: "UTC",
    TERM: "xterm",
  };

  file(name: string, bytes?: Uint8Array): string {
    const path = join(this.path, name);
    if (bytes !== undefined) writeFileSync(path, bytes);
    return path;
  }

  volume(name: string): string {
    return join(this.path, "data/volumes", `${name}.img`);
  }

  /** Runs `robur volume …` and answers all that came of it. */
  async volumes(args: readonly string[], stdin?: Uint8Array) {
    const child = Bun.spawn([...MAIN, "volume", ...args], {
      env: this.environment,
      cwd: this.path,
      stdin: stdin ?? "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr, status] = await Promise.all([
      child.stdout.bytes(),
      child.stderr.text(),
      child.exited,
    ]);
    return { status, bytes: stdout, stdout: Buffer.from(stdout).toString("latin1"), stderr };
  }

  /** The same on a terminal; `type` is called with all that was printed so far and answers what to type then. */
  async onTerminal(args: readonly string[], type: (printed: string) => string | undefined) {
    let printed = "";
    const child = Bun.spawn([...MAIN, "volume", ...args], {
      env: this.environment,
      cwd: this.path,
      terminal: {
        cols: 200,
        rows: 24,
        data: (terminal, bytes) => {
          printed += Buffer.from(bytes).toString();
          const typed = type(printed);
          if (typed !== undefined) terminal.write(typed);
        },
      },
    });
    const status = await child.exited;
    return { status, printed };
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

describe("what scripts get", () => {
  test("names and data on standard output, everything else on standard error", async () => {
    using home = new Home();
    expect(await home.volumes(["create", "data", "--size", "8M"])).toMatchObject({
      status: 0,
      stdout: "data\n",
    });
    home.file("content", noise(MIB));
    const filled = await home.volumes(["fill", "data", "--from", "content"]);
    expect(filled).toMatchObject({ status: 0, stdout: "" });
    expect(filled.stderr).toContain("volume data (8 MiB) holds file:");
    const exported = await home.volumes(["export", "data"]);
    expect(exported.bytes.length).toBe(8 * MIB);
    expect(Buffer.from(exported.bytes.subarray(0, MIB)).equals(noise(MIB))).toBe(true);
    expect((await home.volumes(["snapshot", "data"])).stdout).toMatch(/^data-\d{8}-\d{6}\n$/);
    expect((await home.volumes(["ls", "-q"])).stdout).toMatch(/^data\ndata-\d{8}-\d{6}\n$/);
    expect((await home.volumes(["rm", "-y", "data"])).stdout).toBe("data\n");
  });

  test("the list as a table, as JSON, and as one JSON a line, with the same keys", async () => {
    using home = new Home();
    expect(await home.volumes(["ls", "--json"])).toMatchObject({ stdout: "[]\n", status: 0 });
    // Looking makes nothing.
    expect(existsSync(join(home.path, "data"))).toBe(false);
    await home.volumes(["create", "b", "--size", "2M"]);
    await home.volumes(["create", "a", "--size", "1536B"]);
    const [json, same, lines, table] = await Promise.all(
      [["--json"], ["--format", "json"], ["--format", "jsonl"], []].map((flags) =>
        home.volumes(["ls", ...flags]),
      ),
    );
    const all = JSON.parse(json!.stdout) as Record<string, unknown>[];
    expect(same!.stdout).toBe(json!.stdout);
    expect(
      lines!.stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual(all);
    expect(all.map(({ name, size, state, inUse, origin }) => [name, size, state, inUse, origin])).toEqual([
      ["a", 1536, "ok", null, "empty"],
      ["b", 2 * MIB, "ok", null, "empty"],
    ]);
    expect(all[0]).toHaveProperty("path", home.volume("a"));
    expect(table!.stdout).toMatch(
      /^NAME +SIZE +ON DISK +STATE +CREATED +CONTENT\na +1\.5 KiB +0 B +free +\d{4}-/,
    );
    const inspected = JSON.parse((await home.volumes(["inspect", "a", "--json"])).stdout) as unknown;
    expect(inspected).toEqual([{ ...all[0], usedBy: [] }]);
  });

  test("standard input fills a volume, and what looks packed is said to be stored as it is", async () => {
    using home = new Home();
    expect((await home.volumes(["create", "a", "--from", "-"], noise(3 * MIB))).stdout).toBe("a\n");
    expect(readFileSync(home.volume("a")).equals(noise(3 * MIB))).toBe(true);
    const packed = gzipSync(noise(MIB, 2));
    const asItIs = await home.volumes(["fill", "a", "--from", "-"], packed);
    expect(asItIs.stderr).toContain("this looks like gzip and is taken as it is (--decompress unpacks it)");
    expect(readFileSync(home.volume("a")).subarray(0, packed.length).equals(packed)).toBe(true);
    await home.volumes(["fill", "a", "--from", "-", "--decompress"], packed);
    expect(readFileSync(home.volume("a")).subarray(0, MIB).equals(noise(MIB, 2))).toBe(true);
  });

  test("a tar is stored as it is, for a unikernel that reads tar", async () => {
    using home = new Home();
    home.file("index.html", Buffer.from("<h1>hello</h1>"));
    const { stdout: tar } = Bun.spawnSync(["tar", "-cf", "-", "-C", home.path, "index.html"]);
    await home.volumes(["create", "site", "--from", "-"], tar);
    expect(readFileSync(home.volume("site")).equals(tar)).toBe(true);
    const listed = Bun.spawnSync(["tar", "-tf", home.volume("site")]);
    expect(listed.stdout.toString()).toBe("index.html\n");
  });

  test("an export is packed as its name says, and a volume is restored from it or from a snapshot", async () => {
    using home = new Home();
    home.file("content", noise(MIB));
    await home.volumes(["create", "a", "--size", "4M", "--from", "content"]);
    await home.volumes(["snapshot", "a", "before"]);
    const original = readFileSync(home.volume("a"));
    for (const args of [
      ["a.zst"],
      ["a.gz"],
      ["a.img"],
      ["a.bin", "--compress"],
      ["b.zst", "--no-compress"],
    ]) {
      expect((await home.volumes(["export", "a", ...args])).status).toBe(0);
    }
    const magic = (name: string) => readFileSync(home.file(name)).toString("hex", 0, 4);
    expect(["a.zst", "a.gz", "a.bin"].map(magic)).toEqual(["28b52ffd", "1f8b0800", "28b52ffd"]);
    expect(["a.img", "b.zst"].map((name) => readFileSync(home.file(name)).equals(original))).toEqual([
      true,
      true,
    ]);
    for (const from of ["a.zst", "a.gz", "a.img", "volume:before"]) {
      await home.volumes(["fill", "a", "--from", "/dev/null"]);
      expect((await home.volumes(["fill", "a", "--from", from])).status).toBe(0);
      expect(readFileSync(home.volume("a")).equals(original)).toBe(true);
    }
  });
});

describe("mistakes", () => {
  test("have an exit status for each kind, and say what to do", async () => {
    using home = new Home();
    await home.volumes(["create", "data", "--size", "1M"]);
    home.file("large", noise(2 * MIB));
    const mistakes: [args: string[], status: number, text: string][] = [
      [[], 2, "robur volume ls"],
      [["creat", "x"], 2, "create"],
      [["create", "x"], 1, "--size 64M"],
      [["create", "x", "--size", "64"], 2, "64M"],
      [["create", "x", "--size", "huge"], 2, "not a size"],
      [["create", "x", "--size", "1000B"], 1, "--size 1024B"],
      [["create", "my_data", "--size", "1M"], 1, "robur volume create my-data"],
      [["create", "data", "--size", "1M"], 4, "exists already"],
      [["create", "x", "--from", "nowhere"], 3, "no such file"],
      [["create", "x", "--from", "."], 1, "tar -cf -"],
      [["fill", "data", "--from", "large"], 1, `robur volume resize data ${2 * MIB}B`],
      [["fill", "nothing", "--from", "large"], 3, "robur volume ls"],
      [["fill", "data"], 2, "from"],
      [["inspect", "nothing"], 3, "robur volume ls"],
      [["rm", "data"], 2, "robur volume rm --yes data"],
      [["rm", "--yes", "nothing"], 3, "robur volume ls"],
      [["resize", "data", "512K"], 2, `robur volume resize data ${MIB / 2}B --yes`],
      [["export", "data", "large"], 2, "robur volume export data large --yes"],
      [["ls", "--format", "xml"], 2, "xml"],
      [["adopt", "nowhere"], 3, "no such file"],
    ];
    for (const [args, status, text] of mistakes) {
      const result = await home.volumes(args);
      expect({ args, status: result.status, stdout: result.stdout }).toEqual({ args, status, stdout: "" });
      expect(result.stderr).toContain(text);
      expect(result.stderr).not.toContain("fault in robur");
    }
    expect(readdirSync(join(home.path, "data/volumes"))).toEqual(["data.img"]);
    expect(statSync(home.volume("data")).size).toBe(MIB);
  });

  test("a reader that goes away ends an export with an error", async () => {
    using home = new Home();
    await home.volumes(["create", "data", "--size", "64M"]);
    const command = `${MAIN.join(" ")} volume export data | head -c 10 | wc -c; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = Bun.spawnSync(["bash", "-c", command], { env: home.environment });
    expect(stdout.toString()).toBe("10\n1\n");
    expect(stderr.toString()).toContain("nobody reads on");
  });
});

describe("on a terminal", () => {
  test("what destroys something is asked for, and no is the answer unless it is yes", async () => {
    using home = new Home();
    await home.volumes(["create", "data", "--size", "4M"]);
    const answer = (text: string) => {
      let typed = false;
      return (printed: string) => {
        if (typed || !printed.includes("[y/N]")) return undefined;
        typed = true;
        return text;
      };
    };
    for (const no of ["n\n", "\n", "yep\n"]) {
      const { status, printed } = await home.onTerminal(["rm", "data"], answer(no));
      expect(printed).toContain("remove volume data (4 MiB) for good? [y/N]");
      expect(printed).toContain("nothing was changed");
      expect(status).toBe(1);
    }
    const shrunk = await home.onTerminal(["resize", "data", "1M"], answer("y\n"));
    expect(shrunk.printed).toContain("cut off the last 3 MiB of volume data, which are empty? [y/N]");
    expect(statSync(home.volume("data")).size).toBe(MIB);
    expect((await home.onTerminal(["rm", "data"], answer("yes\n"))).status).toBe(0);
    expect(existsSync(home.volume("data"))).toBe(false);
  });

  test("bytes aren't written to it", async () => {
    using home = new Home();
    await home.volumes(["create", "data", "--size", "1M"]);
    const { status, printed } = await home.onTerminal(["export", "data"], () => undefined);
    expect([status, printed.includes("robur volume export data data.img")]).toEqual([2, true]);
  });

  test("long work shows how far it is, and Ctrl-C ends it with everything as it was", async () => {
    using home = new Home();
    home.file("old", noise(MIB));
    await home.volumes(["create", "data", "--size", "64M", "--from", "old"]);
    const pipe = home.file("pipe");
    Bun.spawnSync(["mkfifo", pipe]);
    // Something always comes, and never all of it.
    const feeder = Bun.spawn([
      "sh",
      "-c",
      `while sleep 0.05; do head -c 100000 /dev/urandom || exit; done > ${pipe}`,
    ]);
    let interrupted = false;
    const { status, printed } = await home.onTerminal(["fill", "data", "--from", "pipe"], (printed) => {
      if (interrupted || !/filling data {2}[\d.]+ [KM]iB {2}[\d.]+ [KM]iB\/s/.test(printed)) return undefined;
      interrupted = true;
      return "\u0003";
    });
    feeder.kill();
    await feeder.exited;
    expect(status).toBe(130);
    expect(printed).toContain("interrupted; nothing was changed");
    expect(readdirSync(join(home.path, "data/volumes"))).toEqual(["data.img"]);
    expect(readFileSync(home.volume("data")).subarray(0, MIB).equals(noise(MIB))).toBe(true);
  });
});

function canUse(device: string): boolean {
  const fd = open(device, O_RDWR);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

const hasCompiler = compilerVersion() !== undefined;
if (!hasCompiler) console.warn("skipped: unikernels on volumes (needs gcc)");
const targets = (["hvt", "spt"] as const).filter((target) => target === "spt" || canUse("/dev/kvm"));
if (!targets.includes("hvt")) console.warn("skipped: hvt unikernels on volumes (needs /dev/kvm)");

describe.skipIf(!hasCompiler)("a unikernel's volume", () => {
  // Only root may look into a tender: it has made itself undumpable.
  const isRoot = process.getuid?.() === 0;
  const whose = (pid: number) => (isRoot ? `process ${pid} (` : "sudo fuser -v");

  const tender = (target: string, ...args: string[]) => [...MAIN, "tender", target, "--mem=16", ...args];

  for (const target of targets) {
    test(`is nobody else's while the unikernel runs (${target}), and free the moment it is killed`, async () => {
      using home = new Home();
      await home.volumes(["create", "data", "--size", "1M"]);
      const block = `--block:storage=${home.volume("data")}`;
      const [busy, quick] = await Promise.all([buildGuest("blkbench", target), buildGuest("blk", target)]);
      const first = Bun.spawn(tender(target, block, busy, "mb=1000000000"), { stdout: "ignore" });
      const looker = open(home.volume("data"), O_RDONLY);
      await until(() => lockOnFile(looker) === "exclusive");

      const second = Bun.spawnSync(tender(target, block, quick));
      expect(second.exitCode).toBe(1);
      const said = isRoot ? `in use by another process: process ${first.pid} (` : "in use by another process";
      expect(second.stderr.toString()).toContain(said);
      for (const args of [
        ["rm", "-y", "data"],
        ["fill", "data", "--from", "/dev/null"],
        ["resize", "data", "2M"],
      ]) {
        const { status, stderr } = await home.volumes(args);
        expect([status, stderr.includes(whose(first.pid))]).toEqual([4, true]);
      }
      const inspected = await home.volumes(["inspect", "data"]);
      expect(inspected.stdout).toMatch(/state +in use\n/);
      if (isRoot) expect(inspected.stdout).toMatch(new RegExp(`used by +process ${first.pid} \\(`));

      first.kill("SIGKILL");
      await first.exited;
      expect(lockOnFile(looker)).toBeUndefined();
      close(looker);
      const third = Bun.spawnSync(tender(target, block, quick));
      expect([third.exitCode, third.stdout.toString().includes("SUCCESS")]).toEqual([0, true]);
    });

    test(`can't be two devices of one unikernel (${target})`, async () => {
      using home = new Home();
      await home.volumes(["create", "data", "--size", "1M"]);
      const image = await buildGuest("mft_maxdevices", target);
      const blocks = Array.from({ length: 63 }, (_, i) => `--block:storage${i}=${home.volume("data")}`);
      const { exitCode, stderr } = Bun.spawnSync(tender(target, ...blocks, image));
      expect(exitCode).toBe(1);
      expect(stderr.toString()).toContain("the same file is given to two block devices");
    });
  }

  test("stays locked by the guest alone when the process that started it is gone (spt)", async () => {
    using home = new Home();
    await home.volumes(["create", "data", "--size", "1M"]);
    const image = await buildGuest("blkbench", "spt");
    const path = (name: string) => JSON.stringify(join(PROJECT, "src", name));
    const script = `
      const { openDevices, planDevices } = await import(${path("tender/attach.ts")});
      const { openImage } = await import(${path("tender/image-file.ts")});
      const { readUnikernel } = await import(${path("image/unikernel.ts")});
      const { prepareSpt } = await import(${path("tender/spt/prepare.ts")});
      const { spawnSpt } = await import(${path("tender/spt/spawn.ts")});
      const image = openImage(process.argv[1]);
      const unikernel = readUnikernel(image.source);
      const request = { nets: new Map(), macs: new Map(), blocks: new Map([["storage", process.argv[2]]]), sectorSizes: new Map() };
      const attachments = openDevices(planDevices(unikernel.manifest, request, (n) => new Uint8Array(n)));
      const spec = { image, unikernel, memory: 16 << 20, args: ["mb=1000000000"], attachments };
      const { pid } = spawnSpt(prepareSpt(spec), { stdout: "ignore", stderr: "inherit", detached: true });
      console.log(pid);
      process.exit(0);`;
    const starter = Bun.spawnSync([process.execPath, "-e", script, image, home.volume("data")]);
    const pid = Number(starter.stdout.toString());
    expect(pid).toBeGreaterThan(0);
    try {
      const { status, stderr } = await home.volumes(["rm", "-y", "data"]);
      expect([status, stderr.includes(whose(pid))]).toEqual([4, true]);
    } finally {
      process.kill(pid, "SIGKILL");
    }
    const looker = open(home.volume("data"), O_RDONLY);
    await until(() => lockOnFile(looker) === undefined);
    close(looker);
    expect((await home.volumes(["rm", "-y", "data"])).status).toBe(0);
  });
});
