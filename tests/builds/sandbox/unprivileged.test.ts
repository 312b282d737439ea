/**
 * Build jobs of a server that isn't root: a user with a range of subordinate users, as every user of a Debian has one.
 * This machine need not have that user: each command sees account files of the test's own.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chownSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { hostPlatform } from "../../../src/builds/worker/host-platform.ts";
import { lacks, needsCommands, needsRoot } from "../../needs.ts";
import { type RunOptions, run, start, temporaryDirectory, until } from "../../robur.ts";

const UID = 54_321;
const directory = temporaryDirectory();
const accounts = join(directory, "accounts");
const home = join(directory, "home");
const data = join(home, "data");
const socket = join(home, "s.sock");

const options: RunOptions = {
  under: [
    ...["unshare", "--mount", "--propagation", "private", "--", "/bin/sh", "-c"],
    `set -e
for name in passwd group subuid subgid; do mount --bind ${accounts}/$name /etc/$name; done
exec setpriv --reuid ${UID} --regid ${UID} --clear-groups -- "$@"`,
    "sh",
  ],
  env: { HOME: home, ROBUR_HOST: `unix://${socket}`, ROBUR_DATA_DIR: data },
  limit: 300_000,
};
const robur = (...args: string[]) => run(args, options);

/** What the system says, and the user beside. */
function makeAccounts(): void {
  mkdirSync(accounts);
  const lines = {
    passwd: `builder:x:${UID}:${UID}::${home}:/bin/sh\n`,
    group: `builder:x:${UID}:\n`,
    subuid: "builder:700000:65536\n",
    subgid: "builder:800000:65536\n",
  };
  for (const [name, line] of Object.entries(lines)) {
    const known = existsSync(`/etc/${name}`) ? readFileSync(`/etc/${name}`, "utf8") : "";
    writeFileSync(join(accounts, name), known + line);
  }
  // newuidmap is the system's, and the way to everything leads through here.
  for (const path of [directory, accounts]) chmodSync(path, 0o755);
  // Closed to all others, as homes are and as robur makes its own directory.
  mkdirSync(data, { recursive: true, mode: 0o700 });
  chmodSync(home, 0o700);
  for (const path of [home, data]) chownSync(path, UID, UID);
}

/** A small root file system, made by the user. */
async function makeRoot(): Promise<string | undefined> {
  makeAccounts();
  const suite = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
  if (suite === undefined || hostPlatform() === undefined) return "mmdebstrap makes Debian and its kin only";
  const place = join(data, "platforms/small");
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, "definition.json"), JSON.stringify({ suite, packages: ["ca-certificates"] }));
  for (const path of [join(place, ".."), place]) chownSync(path, UID, UID);
  const { code, stderr } = await robur("sandbox", "refresh", "small");
  return code === 0 ? undefined : `a user can't make a root file system here: ${stderr.trim()}`;
}

const needs =
  needsRoot() ?? needsCommands("bwrap", "mmdebstrap", "unshare", "setpriv", "newuidmap", "prlimit");
const skip = lacks(needs ?? (await makeRoot()));

describe.skipIf(skip)("a user's server", () => {
  let server: Awaited<ReturnType<typeof start>> | undefined;
  const serve = async () => {
    const listen = ["--listen", "127.0.0.1:0", "--builder-listen", "off"];
    server = await start(["serve", "--socket", socket, "--worker-platform", "small", ...listen], options);
    await server.stdout.getReader().read();
  };
  const stop = async () => {
    server?.kill("SIGTERM");
    await server?.exited;
  };
  const build = async (name: string, script: string, ...more: string[]) => {
    const path = join(directory, `${name}.sh`);
    writeFileSync(path, script);
    const job = ["--script", path, "--platform", "small", "--never", "--network", "none"];
    const added = await robur("job", "add", name, ...job, ...more);
    if (added.code !== 0) throw new Error(added.stderr);
    return robur("build", "start", name, "--wait");
  };
  beforeAll(serve);
  afterAll(stop);

  test("runs jobs as users of its own range, each root of its own files", async () => {
    const script = `#!/bin/sh
id -u; chown 33 /build; touch /usr/bin/new && echo written
echo made > out; chmod 000 out; mkdir shut; echo in > shut/file; chmod 000 shut
`;
    const ended = await build("first", script);
    expect(ended.stdout).toContain("0\nwritten\n");
    expect(ended.code).toBe(0);
    const [, id = ""] = /robur build show (\S+)\)/.exec(ended.stderr) ?? [];
    const shown = await robur("build", "show", id);
    expect(shown.stdout).toMatch(/^out +5 B/m);
    expect(shown.stdout).toMatch(/^shut\/file +3 B/m);
  }, 120_000);

  test("bounds their processes without control groups, of whichever of their users", async () => {
    const script = `#!/bin/sh
i=0
while [ $i -lt 300 ]; do
  setpriv --reuid $((i + 1000)) --clear-groups sleep 1000 2>/dev/null &
  i=$((i + 1))
done
echo never
`;
    const ended = await build("bomb", script, "--processes", "60");
    expect(ended.stdout).toMatch(/[Cc]annot fork|Resource temporarily unavailable/);
    expect(ended.stdout).not.toContain("never\n");
  }, 120_000);

  test("keeps them away from what is the user's", async () => {
    writeFileSync(join(home, "secret"), "secret\n", { mode: 0o600 });
    chownSync(join(home, "secret"), UID, UID);
    const ended = await build(
      "nosy",
      `#!/bin/sh\ncat ${home}/secret ${data}/robur.db; ls ${home} /home; kill -9 -1\n`,
    );
    expect(ended.stdout).not.toContain("secret\n");
    expect((await fetch("http://localhost/readyz", { unix: socket })).ok).toBe(true);
  }, 120_000);

  test("goes on with them after it was started again, and leaves nothing behind", async () => {
    await stop();
    await serve();
    const ended = await build("again", "#!/bin/sh\necho again\n");
    expect(ended.stdout).toContain("again\n");
    const left = () => readdirSync(join(data, "sandboxes")).filter((name) => !name.startsWith("tools-"));
    const kept = (name: string) => existsSync(join(data, "sandboxes", name, "kept.json"));
    await until("sandboxes are gone, but those that are kept for a shell", () => left().every(kept));
  }, 120_000);
});
