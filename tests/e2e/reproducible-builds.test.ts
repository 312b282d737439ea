/**
 * From an opam repository to a verdict: jobs of real opam packages, built by the server's worker in a real sandbox, kept,
 * shown, run, signed, and built again.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BUILD_PACKAGES } from "../../src/builds/sandbox/platforms.ts";
import { currentRoot } from "../../src/builds/sandbox/root-file-systems.ts";
import { hostPlatform } from "../../src/builds/worker/host-platform.ts";
import { sha256Of } from "../../src/lib/sha256-of.ts";
import { readSmallFile } from "../../src/linux/libc.ts";
import type { Build } from "../../src/store/api.ts";
import {
  GREETING,
  type OpamRepository,
  REPOSITORY_NEEDS,
  serveRepository,
} from "../builds/orb/repository.ts";
import { lacks, needsCommands, needsKvm, needsRoot } from "../needs.ts";
import { type Ended, run, start, temporaryDirectory } from "../robur.ts";

/** Making a root file system takes half a minute, and longer where the network is slow. */
const LONG = 600_000;
const PLATFORM = hostPlatform() ?? "none";
const directory = temporaryDirectory();
const data = join(directory, "data");
const socket = join(directory, "s.sock");
const env = { ROBUR_HOST: `unix://${socket}` };

/** Debian's OCaml beside what is there anyway: the system compiler of the packages. */
const PACKAGES = [...BUILD_PACKAGES, "ocaml-nox"];

/** A root file system of this system's own kind, by the command that people use. */
async function makeRoot(): Promise<string | undefined> {
  mkdirSync(join(data, "platforms", PLATFORM), { recursive: true });
  const definition = join(data, "platforms", PLATFORM, "definition.json");
  writeFileSync(definition, JSON.stringify({ packages: PACKAGES }));
  const { code, stderr } = await run(["sandbox", "refresh", PLATFORM, "--data-dir", data], { limit: LONG });
  return code === 0 ? undefined : `no root file system of ${PLATFORM} can be made: ${stderr.trim()}`;
}

const needs =
  needsRoot() ??
  needsCommands("bwrap", "mmdebstrap", "unshare", "setpriv", "pasta", "nft", ...REPOSITORY_NEEDS) ??
  (/^(debian|ubuntu)-/.test(PLATFORM) ? undefined : `${PLATFORM} isn't Debian's kin`);
const skip = lacks(needs ?? (await makeRoot()));

describe.skipIf(skip)("an opam package", () => {
  let repository: OpamRepository;
  let server: Awaited<ReturnType<typeof start>>;
  /** The server's, http://127.0.0.1:PORT. */
  let address = "";
  /** Where the root file system's packages come from. */
  let mirrors: readonly string[] = [];

  const robur = (...args: string[]): Promise<Ended> => run(args, { env, limit: LONG });
  const ok = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await robur(...args);
    if (code !== 0) throw new Error(`robur ${args.join(" ")} ended with ${code}:\n${stdout}${stderr}`);
    return stdout;
  };
  const network = () => [`127.0.0.1:${repository.port}`, ...mirrors].join(",");
  const buildNow = async (job: string): Promise<Build> => {
    await ok("build", "start", job, "--wait");
    return (JSON.parse(await ok("build", "show", job, "--json")) as { build: Build }).build;
  };
  const define = (job: string) =>
    ok("job", "orb", job, job, "--platform", PLATFORM, "--never", "--network", network());
  const runScript = async (job: string, script: string, ...more: string[]): Promise<Ended> => {
    const path = join(directory, `${job}.sh`);
    writeFileSync(path, script);
    await ok("job", "add", job, "--script", path, "--platform", PLATFORM, "--never", ...more);
    return robur("build", "start", job, "--wait");
  };
  const reproduce = (...args: string[]) => robur("reproduce", ...args, "--data-dir", data, "--no-diffoscope");
  const ask = (path: string) => fetch(`http://localhost${path}`, { unix: socket });

  beforeAll(async () => {
    repository = serveRepository();
    const root = currentRoot(data, PLATFORM)!.path;
    const lists = readdirSync(join(root, "etc/apt/sources.list.d")).map((name) => `sources.list.d/${name}`);
    const sources = ["sources.list", ...lists].map(
      (name) => readSmallFile(join(root, "etc/apt", name)) ?? "",
    );
    const places = sources.join("\n").matchAll(/^(?!#).*https?:\/\/([^/\s]+)/gm);
    mirrors = [...new Set([...places].map(([, host]) => host!))];
    const templates = join(directory, "templates");
    mkdirSync(templates);
    writeFileSync(
      join(templates, `orb-build.template.${PLATFORM}`),
      `#!/bin/sh
set -ex
orb build --disable-sandboxing --solver-timeout=60 --switch-name=/tmp/myswitch --date=1589138087 --out=. \\
  --repos=default:${repository.url} '%%OPAM_PACKAGE%%'
`,
    );
    server = await start([
      ...[
        "serve",
        "--data-dir",
        data,
        "--socket",
        socket,
        "--listen",
        "127.0.0.1:0",
        "--builder-listen",
        "off",
      ],
      ...["--worker-platform", PLATFORM, "--builder-config", templates],
    ]);
    const said = server.stdout.getReader();
    for (let text = ""; address === ""; address = /http:\/\/[\d.:]+\d/.exec(text)?.[0] ?? "") {
      const { value, done } = await said.read();
      if (done) throw new Error(`the server ended: ${await server.stderr.text()}`);
      text += new TextDecoder().decode(value);
    }
  }, LONG);

  afterAll(async () => {
    server?.kill("SIGTERM");
    await server?.exited;
    repository?.[Symbol.dispose]();
  });

  test(
    "is built, kept, shown and run, and comes out the same again",
    async () => {
      await define("hello");
      const first = await buildNow("hello");
      expect(first.result).toEqual({ kind: "exited", code: 0 });
      expect(first.artifacts.map(({ path }) => path)).toEqual(
        expect.arrayContaining(["bin/hello.hvt", "opam-switch", "build-environment", "system-packages"]),
      );
      expect(first.solo5?.abi.target).toBe("hvt");

      const page = await (await ask(`/job/hello/build/${first.id}`)).text();
      expect(page).toContain("hello.hvt");
      const console = await (await ask(`/job/hello/build/${first.id}/console`)).text();
      expect(console).toContain("orb build");

      if (!lacks(needsKvm())) {
        const { stdout } = await robur("run", "job:hello");
        expect(stdout).toContain(GREETING);
      }

      const second = await buildNow("hello");
      expect(second.id).not.toBe(first.id);
      expect(second.inputId).toBe(first.inputId!);
      expect(second.main!.sha256).toBe(first.main!.sha256);

      // What it may reach is what the job might.
      const again = await reproduce("hello");
      expect(again.stdout).toContain("GOOD: all");
      expect(again.code).toBe(0);
      const varied = await reproduce("hello", "--variations");
      expect(varied.stdout).toContain(
        "GOOD: all 2 files are the same, bit for bit, also in other surroundings",
      );
      // Fewer than one processor is had nowhere.
      const left = [...varied.stdout.matchAll(/^ {2}not so +([a-z-]+):/gm)].map(([, name]) => name);
      expect(left.filter((name) => name !== "cpus")).toEqual([]);
    },
    LONG,
  );

  test(
    "has a statement of how it came to be, and one of each that built it again",
    async () => {
      const { build } = JSON.parse(await ok("build", "show", "hello", "--json")) as { build: Build };
      const lines = (await (await ask(`/job/hello/build/${build.id}/attestations`)).text())
        .trim()
        .split("\n");
      const statements = lines.map((line) => {
        const { payload } = JSON.parse(line) as { payload: string };
        return JSON.parse(Buffer.from(payload, "base64").toString()) as {
          predicateType: string;
          predicate: Record<string, unknown>;
        };
      });
      expect(statements.map(({ predicateType }) => predicateType)).toEqual([
        "https://slsa.dev/provenance/v1",
        "https://in-toto.io/attestation/link/v0.3",
        "https://in-toto.io/attestation/link/v0.3",
      ]);
      expect(statements[0]!.predicate).toMatchObject({
        buildDefinition: {
          externalParameters: { job: "hello", opamPackage: "hello", sourceDateEpoch: "1589138087" },
          resolvedDependencies: expect.arrayContaining([
            expect.objectContaining({ uri: "pkg:opam/greeting@1.0" }),
            expect.objectContaining({ name: "root file system packages" }),
          ]),
        },
        runDetails: { builder: { id: "urn:robur:builder:bwrap" } },
      });
      expect((await robur("verify", build.main!.sha256)).code).toBe(0);
    },
    LONG,
  );

  test(
    "with vendored sources, as a MirageOS unikernel has them, comes out the same again",
    async () => {
      await define("vendoring");
      const build = await buildNow("vendoring");
      expect(build.main?.path).toBe("bin/vendoring.hvt");
      const again = await reproduce("vendoring");
      expect(again.stdout).toContain("GOOD: bin/vendoring.hvt is the same");
    },
    LONG,
  );

  test(
    "in git, as MirageOS unikernels and their libraries are, comes out the same again, with all commits recorded",
    async () => {
      await define("net-hvt");
      const build = await buildNow("net-hvt");
      const exported = await (await ask(`/job/net-hvt/build/${build.id}/f/opam-switch`)).text();
      expect(exported).toMatch(new RegExp(`/git/net.git#${repository.git.head("net")}"`));
      expect(exported).toContain("x-orb-dependencies: [");
      const again = await reproduce("net-hvt");
      expect(again.stdout).toContain("\nGOOD: ");
    },
    LONG,
  );

  test(
    "that asks for a package of the system's has it installed first, recorded, and installed again",
    async () => {
      await define("greeter");
      const build = await buildNow("greeter");
      const packages = await (await ask(`/job/greeter/build/${build.id}/f/system-packages`)).text();
      expect(packages).toMatch(/^hello=\S+$/m);
      const again = await reproduce("greeter");
      expect(again.stderr).toContain("[ORB] installing 1 system packages\n");
      expect(again.stdout).toContain("\nGOOD: ");
    },
    LONG,
  );

  test(
    "is built again by orb alone from the address of its build, anywhere",
    async () => {
      const { build } = JSON.parse(await ok("build", "show", "hello", "--json")) as { build: Build };
      const orb = [
        "orb rebuild --disable-sandboxing --out=/tmp/again",
        `${address}/job/hello/build/${build.id}`,
      ];
      const port = `127.0.0.1:${new URL(address).port}`;
      const { stdout, code } = await runScript(
        "again",
        `#!/bin/sh\n${orb.join(" ")}\n`,
        "--network",
        `${network()},${port}`,
      );
      expect(stdout).toContain("It is reproducible!!!\n");
      expect(code).toBe(0);
    },
    LONG,
  );

  test(
    "that embeds the time is BAD, and the explanation names it",
    async () => {
      await define("clock");
      await buildNow("clock");
      const { stdout, code } = await reproduce("clock");
      expect(stdout).toContain("DIFFERS  bin/clock.hvt");
      expect(stdout).toContain("same     share/clock/same");
      expect(stdout).toMatch(/line 1: "\d+" is "\d+" now/);
      expect(stdout).toContain("BAD: 1 of");
      expect(code).toBe(10);
      const { build } = JSON.parse(await ok("build", "show", "clock", "--json")) as { build: Build };
      const kept = (await (await ask(`/api/v1/reproductions?build=${build.id}`)).json()) as {
        reproductions: { verdict: string }[];
      };
      expect(kept.reproductions.map(({ verdict }) => verdict)).toEqual(["BAD"]);
    },
    LONG,
  );

  test(
    "that embeds its place is GOOD in the same place, and its place is found by variations",
    async () => {
      await define("placed");
      await buildNow("placed");
      expect((await reproduce("placed")).stdout).toContain("GOOD: bin/placed.hvt is the same");
      const { stdout, code } = await reproduce("placed", "--variations", "build-path,umask,time,cpus");
      expect(stdout).toContain("MATTERS  build-path");
      expect(stdout).toContain("BAD: the result depends on its surroundings, on: build-path");
      expect(code).toBe(10);
    },
    LONG,
  );

  test(
    "by a script, that embeds what surrounds it, is found out by variations, one by one",
    async () => {
      const script = join(directory, "surroundings.sh");
      const facts = [
        "uname -n",
        "id -u",
        "umask",
        "nproc",
        "pwd",
        "date -d @0 +%H",
        "date +%Y",
        'echo "$HOME"',
      ];
      writeFileSync(
        script,
        `#!/bin/sh\nmkdir bin list; touch list/a list/b list/c\n{ ${facts.join("; ")}; ls -U list
printf 'a\\nB\\n' | sort | head -1; } >bin/out; rm -r list\n`,
      );
      await ok("job", "add", "surroundings", "--script", script, "--platform", PLATFORM, "--never");
      await buildNow("surroundings");
      const { stdout, code } = await reproduce("surroundings", "--variations", "--quiet");
      const expected = [
        "home",
        "timezone",
        "locale",
        "umask",
        "hostname",
        "time",
        "file-order",
        "build-path",
        "user",
      ];
      const found = [...stdout.matchAll(/^ {2}MATTERS {2}([a-z-]+):/gm)].map(([, name]) => name!);
      // One processor is what a machine with one has anyway.
      expect(found.filter((name) => name !== "cpus").toSorted()).toEqual(expected.toSorted());
      expect(stdout).toMatch(/^ {2}varied {3}environment:/m);
      expect(stdout).toContain("BAD: the result depends on its surroundings, on: home, timezone");
      expect(code).toBe(10);
    },
    LONG,
  );

  test(
    "by a script has the packages that it ran over in its papers, and is told of others when it is made again",
    async () => {
      const { stdout: said } = await runScript(
        "over",
        "#!/bin/sh\nmkdir bin; gcc --version >bin/out; cat bin/out\n",
      );
      expect(said).toContain("Free Software Foundation");
      const { build } = JSON.parse(await ok("build", "show", "over", "--json")) as { build: Build };
      const root = currentRoot(data, PLATFORM)!;
      const [, name = "", version = ""] = /^(gcc):\w+=(.*)$/m.exec(root.packages)!;
      const buildinfo = await (await ask(`/job/over/build/${build.id}/buildinfo`)).text();
      expect(buildinfo).toContain(` ${name} (= ${version}),\n`);
      expect(buildinfo.match(/^ \S+ \(= \S+\),?$/gm)).toHaveLength(
        root.packages.trimEnd().split("\n").length,
      );

      // As `robur sandbox refresh` leaves it after the archive has had an update.
      const current = join(data, "platforms", PLATFORM, "current.json");
      const record = readFileSync(current, "utf8");
      const packages = root.packages.replace(/^(gcc:\w+)=.*$/m, "$1=99");
      const other = { ...(JSON.parse(record) as object), packages, packagesSha256: sha256Of(packages) };
      writeFileSync(current, JSON.stringify(other));
      try {
        const { stdout, code } = await reproduce("over");
        expect(stdout).toMatch(
          new RegExp(`^ {2}gcc:\\w+: ${RegExp.escape(version)} was recorded, 99 was used$`, "m"),
        );
        expect(stdout).toContain("GOOD: bin/out is the same, bit for bit");
        expect(code).toBe(0);
      } finally {
        writeFileSync(current, record);
      }
    },
    LONG,
  );

  test(
    "that can't be built is kept with its console, and can't be reproduced",
    async () => {
      await define("broken");
      const started = await robur("build", "start", "broken", "--wait");
      expect(started.code).not.toBe(0);
      const failed = (await (await ask("/api/v1/jobs/broken/builds?kind=failed")).json()) as {
        builds: Build[];
      };
      expect(failed.builds).toHaveLength(1);
      const { code, stdout } = await reproduce(failed.builds[0]!.id);
      expect(stdout).toContain("UNKNOWN");
      expect(code).toBe(12);
    },
    LONG,
  );
});
