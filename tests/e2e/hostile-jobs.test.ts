/** Jobs that mean harm, on a real server: each is contained, held to its limits, and what became of it is told. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Build } from "../../src/store/api.ts";
import { lacks, needsCommands, needsRoot } from "../needs.ts";
import { run, start, temporaryDirectory } from "../robur.ts";

const LONG = 300_000;
const directory = temporaryDirectory();
const data = join(directory, "data");
const socket = join(directory, "s.sock");
const env = { ROBUR_HOST: `unix://${socket}`, ROBUR_DATA_DIR: data };

/** What every Debian has. */
async function makeRoot(): Promise<string | undefined> {
  const suite = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
  if (suite === undefined) return "mmdebstrap makes Debian and its kin only";
  mkdirSync(join(data, "platforms/small"), { recursive: true });
  const definition = JSON.stringify({ suite, packages: ["ca-certificates"] });
  writeFileSync(join(data, "platforms/small/definition.json"), definition);
  const { code, stderr } = await run(["sandbox", "refresh", "small"], { env, limit: LONG });
  return code === 0 ? undefined : `no root file system can be made: ${stderr.trim()}`;
}

const needs = needsRoot() ?? needsCommands("bwrap", "mmdebstrap", "unshare", "setpriv", "mkfs.ext4");
const skip = lacks(needs ?? (await makeRoot()));

interface Done {
  readonly build: Build;
  readonly console: string;
}

describe.skipIf(skip)("a job that", () => {
  let server: Awaited<ReturnType<typeof start>>;
  let address = "";
  const ask = (path: string) => fetch(`http://localhost${path}`, { unix: socket });
  const build = async (name: string, script: string, memory = "256M"): Promise<Done> => {
    const path = join(directory, `${name}.sh`);
    writeFileSync(path, script);
    const limits = ["--processes", "60", "--memory", memory, "--disk", "64M", "--timeout", "4m"];
    const job = ["--script", path, "--platform", "small", "--never", "--network", "none", ...limits];
    const added = await run(["job", "add", name, ...job], { env });
    if (added.code !== 0) throw new Error(added.stderr);
    const started = await run(["build", "start", name, "--wait"], { env, limit: LONG });
    const [, id = ""] = /robur build show (\S+)\)/.exec(started.stderr) ?? [];
    const shown = await run(["build", "show", id, "--json"], { env });
    const { build } = JSON.parse(shown.stdout) as { build: Build };
    return { build, console: started.stdout };
  };
  const exited = (code: number) => ({ kind: "exited", code }) as const;

  beforeAll(async () => {
    const listen = ["--listen", "127.0.0.1:0", "--builder-listen", "off"];
    server = await start(["serve", "--socket", socket, "--worker-platform", "small", ...listen], { env });
    const said = server.stdout.getReader();
    for (let text = ""; address === "";) {
      const { value, done } = await said.read();
      if (done) throw new Error(`the server ended: ${text}`);
      text += new TextDecoder().decode(value);
      address = /http:\/\/([\d.:]+)/.exec(text)?.[1] ?? "";
    }
  });

  afterAll(async () => {
    server?.kill("SIGTERM");
    await server?.exited;
    if (skip) return;
    // Nothing of any of them is left but what was kept for a shell.
    const left = readdirSync(join(data, "sandboxes")).filter((name) => !name.startsWith("tools-"));
    expect(left.filter((name) => !existsSync(join(data, "sandboxes", name, "kept.json")))).toEqual([]);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain(data);
  });

  test(
    "forks without end has no more processes than it may",
    async () => {
      const bomb = "#!/bin/bash\nbomb() { bomb | bomb & }\nbomb 2>/dev/null\nsleep 1\necho survived\n";
      const { build: made, console } = await build("forks", bomb);
      expect(console).toContain("sandbox: the limit of 60 processes was reached\n");
      expect(made.result.kind).toBe("exited");
    },
    LONG,
  );

  test(
    "fills the disk fills its own",
    async () => {
      const { build: made, console } = await build(
        "fills",
        "#!/bin/sh\ncat /dev/zero > /tmp/one; cat /dev/zero > /build/two; cat /dev/zero > /dev/shm/three; exit 9\n",
        "1G",
      );
      expect(console.match(/No space left on device/g)).toHaveLength(3);
      expect(console).toContain("sandbox: the disk limit of 64 MiB was reached\n");
      expect(made.result).toEqual(exited(9));
    },
    LONG,
  );

  test(
    "writes a gigabyte to its console keeps no more of it than others, and costs no more",
    async () => {
      const line = "#!/bin/sh\nyes \"$(head -c 1000 /dev/zero | tr '\\0' x)\" | head -c 1000000000; exit 4\n";
      const { build: made, console } = await build("floods", line);
      expect(made.result).toEqual(exited(4));
      expect(console.length).toBeLessThanOrEqual(64 * 1024 * 1024);
      expect(console).toEndWith("[robur: the console is larger than 64 MiB; what follows is not kept]\n");
      const memory = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${server.pid}/status`, "utf8"))?.[1];
      expect(Number(memory)).toBeLessThan(600_000);
    },
    LONG,
  );

  test(
    "writes lines without number costs no more than one that writes long ones",
    async () => {
      const { build: made, console } = await build("babbles", "#!/bin/sh\nyes | head -c 20000000; exit 4\n");
      expect(made.result).toEqual(exited(4));
      expect(console.split("\n").length).toBeLessThan(1_100_000);
      expect(console).toEndWith("what follows is not kept]\n");
    },
    LONG,
  );

  test(
    "leaves links to other files, pipes and odd names leaves no more than what is its own",
    async () => {
      const { build: made, console } = await build(
        "links",
        `#!/bin/sh
ln -s /etc/shadow shadow; ln -s / root; ln -s /proc/1/environ environ; ln -s ${data}/robur.db db; ln -s . loop
mkdir deep; ln -s ../../../../../../../../etc/passwd deep/passwd; mkfifo pipe; ln /etc/shadow hard 2>/dev/null
mv /build /elsewhere 2>/dev/null; echo fine > real; echo fine > deep/real; touch "$(printf 'new\\nline')" '../up'; true
`,
      );
      expect(made.artifacts.map(({ path }) => path).sort()).toEqual(["deep/real", "real"]);
      expect(console).toContain("1 of its files is left out: no artifact can have such a name");
    },
    LONG,
  );

  test(
    "leaves more than anybody takes says so",
    async () => {
      const { build: made, console } = await build(
        "hoards",
        "#!/bin/sh\ntruncate -s 5G sparse; echo fine > real\n",
      );
      expect(console).toContain("[robur: the job left too much: more than 4 GiB]\n");
      expect(made.artifacts).toEqual([]);
    },
    LONG,
  );

  test(
    "tries the network finds none, nor this server",
    async () => {
      const [host, port] = address.split(":");
      expect((await fetch(`http://${address}/healthz`)).ok).toBe(true);
      const { console } = await build(
        "calls",
        `#!/bin/bash
for place in ${host}/${port} 192.0.2.1/80 169.254.169.254/80; do (echo > /dev/tcp/$place) 2>/dev/null && echo reached $place; done
getent hosts deb.debian.org && echo found
ls ${socket} 2>/dev/null; cat /proc/net/unix | tail -n +2; echo tried
`,
      );
      expect(console).toBe("tried\n");
    },
    LONG,
  );

  test(
    "kills whoever it can reach reaches nobody but itself",
    async () => {
      const { build: before } = await build("lives", "#!/bin/sh\necho fine\n");
      const { build: made } = await build(
        "kills",
        "#!/bin/bash\ntrap '' TERM\nkill -9 1 $PPID; for p in $(seq 2 2000); do [ $p = $$ ] || kill -9 $p 2>/dev/null; done; kill -9 0\n",
      );
      expect(made.result).toEqual(exited(137));
      const { build: after, console } = await build("lives-on", "#!/bin/sh\necho fine\n");
      expect(console).toBe("fine\n");
      // By the same worker, of the same server.
      expect(after.worker).toBe(before.worker!);
      expect((await ask("/readyz")).ok).toBe(true);
    },
    LONG,
  );

  test(
    "looks for the key that builds are signed with finds neither it nor the database",
    async () => {
      const { console } = await build(
        "reads",
        `#!/bin/sh
cat ${data}/robur.db ${data}/* 2>/dev/null
ls -d ${data} ${directory} /var/lib/robur /home/* 2>/dev/null
find / -xdev \\( -name 'robur*' -o -name '*.db' -o -name '*.pem' -o -name '*.sock' \\) -not -path '/usr/*' -not -path '/etc/ssl/*' -not -path '/proc/*' 2>/dev/null
cat /proc/*/environ | tr '\\0' '\\n' | grep -i -E 'robur|token|secret'
echo looked
`,
      );
      expect(console).toBe("looked\n");
    },
    LONG,
  );
});
