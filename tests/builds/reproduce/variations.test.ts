import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  VARIATIONS,
  type Variation,
  readVariations,
  variedJob,
  variedRecord,
} from "../../../src/builds/reproduce/variations.ts";
import { lacks, needsCommands } from "../../needs.ts";
import { temporaryDirectory } from "../../robur.ts";

/** Runs a job in a directory of its own with these variations; answers its console, status and output. */
async function run(
  script: string,
  variations: readonly Variation[],
  { isUnsafe = false, home = temporaryDirectory() } = {},
) {
  const directory = join(home, "job");
  mkdirSync(directory);
  const job = variedJob(new TextEncoder().encode(script), variations);
  writeFileSync(join(directory, "script.sh"), job.script);
  chmodSync(join(directory, "script.sh"), 0o755);
  for (const { name, content } of job.files) writeFileSync(join(directory, name), content);
  const confined = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"];
  const named = job.hostname === undefined || isUnsafe ? [] : ["--hostname", job.hostname];
  const writable = ["--tmpfs", "/tmp", "--bind", directory, "/tmp/job", "--chdir", "/tmp/job"];
  // Without a sandbox the job knows so by a variable; here it may not write anywhere else, so that it would be seen.
  const unsafe = isUnsafe ? { ROBUR_UNSAFE_JOB: "/tmp/job" } : {};
  const child = Bun.spawn([...confined, ...named, ...writable, "/tmp/job/script.sh"], {
    env: { PATH: process.env["PATH"]!, HOME: "/root", TZ: "UTC", LANG: "C.UTF-8", ...unsafe },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [console, errors, status] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return {
    console,
    errors,
    status,
    read: (name: string) => readFileSync(join(directory, name), "utf8").trim(),
  };
}

const NEEDED = needsCommands("bwrap", "gcc", "taskset");

describe.skipIf(lacks(NEEDED))("a job built again in other surroundings", () => {
  const PROBE = `#!/bin/sh
echo "$ROBUR_CAPTURE_ENVIRONMENT" >environment; echo "$HOME" >home; date +%Z >timezone; umask >umask
nproc >cpus; date +%s >time; ls -U /tmp/list >file-order; pwd >build-path; uname -n >hostname; id -u >user
printf 'a\\nB\\n' | sort | head -1 >locale; echo "$0 $(ls -A)" >seen; mkdir bin; echo x >bin/out; exit 7
`;
  const withList = PROBE.replace(
    "echo",
    "mkdir /tmp/list && touch /tmp/list/a /tmp/list/b /tmp/list/c\necho",
  );

  test("finds them as they are without variations, and its status is the script's", async () => {
    const { read, status, console } = await run(withList, []);
    expect(status).toBe(7);
    expect(console).toBe("");
    expect([read("environment"), read("home"), read("timezone"), read("build-path")]).toEqual([
      "",
      "/root",
      "UTC",
      "/tmp/job",
    ]);
  });

  test("finds every one of them changed, or says which could not be", async () => {
    const [plain, varied] = [await run(withList, []), await run(withList, VARIATIONS)];
    expect(varied.status).toBe(7);
    const { done, left } = readVariations(varied.console);
    expect([...done, ...left.map(({ variation }) => variation)].toSorted()).toEqual(
      [...VARIATIONS].toSorted(),
    );
    expect(done).toContain("time");
    expect(done).toContain("hostname");
    // The job finds its script, and nothing of what changes its surroundings.
    expect(plain.read("seen")).toStartWith("/tmp/job/script.sh ");
    expect(varied.read("seen").replace("/tmp/robur-varied/at-another/place", "/tmp/job")).toBe(
      plain.read("seen"),
    );
    for (const name of done) {
      if (name === "cpus") expect(varied.read(name)).toBe("1");
      else if (name === "time")
        expect(Number(varied.read(name)) - Number(plain.read(name))).toBeGreaterThan(398 * 86_400);
      else if (name === "file-order")
        expect(varied.read(name).split("\n").toReversed()).toEqual(plain.read(name).split("\n"));
      else expect(varied.read(name)).not.toBe(plain.read(name));
    }
    expect(varied.read("build-path")).toBe("/tmp/robur-varied/at-another/place");
    // What the job made elsewhere came back.
    expect(varied.read("bin/out")).toBe("x");
  });

  test("changes nothing outside of its directory where there is no sandbox", async () => {
    const home = temporaryDirectory();
    const { console, read, status } = await run(withList, VARIATIONS, { isUnsafe: true, home });
    expect(status).toBe(7);
    const { done, left } = readVariations(console);
    expect([...done, ...left.map(({ variation }) => variation)].toSorted()).toEqual(
      [...VARIATIONS].toSorted(),
    );
    expect(left.map(({ variation }) => variation)).toContain("hostname");
    expect(read("build-path")).toBe("/tmp/job/.robur-varied/at-another/place");
    expect(read("bin/out")).toBe("x");
    const text = new TextDecoder().decode(variedJob(new TextEncoder().encode(PROBE), VARIATIONS).script);
    // The machine's own list of preloaded libraries, and its name, are nobody's to change.
    expect(text).not.toMatch(/\/etc\/|^\s*hostname/m);
  });

  test("leaves the clock alone for what fetches sources: certificates would have expired", async () => {
    const script = '#!/bin/sh\ncp "$(command -v date)" curl; ./curl +%s >fetching; date +%s >building\n';
    const { read } = await run(script, ["time"]);
    expect(Number(read("building")) - Number(read("fetching"))).toBeGreaterThan(398 * 86_400);
    expect(Number(read("fetching"))).toBeLessThan(Date.now() / 1000 + 60);
  });

  test("works with each of them alone", async () => {
    for (const variation of VARIATIONS) {
      const { console, status, read } = await run(withList, [variation]);
      expect({ variation, status }).toEqual({ variation, status: 7 });
      expect(readVariations(console).done.length + readVariations(console).left.length).toBe(1);
      expect(read("bin/out")).toBe("x");
    }
  });
});

describe("the record of an orb build", () => {
  const RECORD = "HOME=/root\nPATH=/bin\nOPAMROOT=/tmp\nPREFIX=/tmp/myswitch\nSWITCH_PATH=myswitch\nOS=linux";

  test("stays as it is without variations", () => {
    expect(variedRecord(RECORD, [])).toBe(RECORD);
    expect(variedRecord(RECORD, ["umask", "cpus"])).toBe(RECORD);
  });

  test("is changed where orb would undo what the surroundings say", () => {
    expect(variedRecord(RECORD, VARIATIONS)).toBe(
      [
        ...["HOME=/tmp", "PATH=/bin:/i_capture_the_path", "OPAMROOT=/tmp", "PREFIX=/tmp/myswitch-varied"],
        ...["ROBUR_CAPTURE_ENVIRONMENT=i_capture_the_environment", "TZ=GMT-14"],
        ...["SWITCH_PATH=myswitch-varied", "OS=linux"],
      ].join("\n"),
    );
  });
});
