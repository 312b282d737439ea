/** Shells in sandboxes that failed builds left: a real server, real jobs in real sandboxes, real terminals. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { type Pty, spawn } from "../../../src/builds/pty.ts";
import { keptOf, tooMany } from "../../../src/builds/sandbox/kept.ts";
import { makeRoot } from "../../../src/builds/sandbox/root-file-systems.ts";
import { SandboxError } from "../../../src/builds/sandbox/sandbox-error.ts";
import { openSandboxes } from "../../../src/builds/sandbox/sandboxes.ts";
import { boundSize } from "../../../src/builds/shell/shell-session.ts";
import { readSmallFile } from "../../../src/linux/libc.ts";
import { parsePlatform } from "../../../src/store/api.ts";
import { complaintsOf, needsBrowser, openBrowser } from "../../browser.ts";
import { lacks, needsCommands, needsRoot } from "../../needs.ts";
import { command, environment, run, temporaryDirectory, until } from "../../robur.ts";

const dataDirectory = temporaryDirectory();

/** A root file system of what every Debian has, made of this system's own sources. */
async function makeSmallRoot(): Promise<string | undefined> {
  const suite = /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
  if (suite === undefined) return "mmdebstrap makes Debian and its kin only";
  const directory = join(dataDirectory, "platforms/small");
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, "definition.json"), JSON.stringify({ suite, packages: ["ca-certificates"] }));
  try {
    await makeRoot(dataDirectory, parsePlatform("small")!, { now: 1 });
    return undefined;
  } catch (error) {
    if (error instanceof SandboxError && error.code === "no-root-file-system") return error.message;
    throw error;
  }
}

const needs = needsRoot() ?? needsCommands("bwrap", "mmdebstrap", "unshare", "setpriv", "mkfs.ext4");
const skip = lacks(needs ?? (await makeSmallRoot()));

test("the newest sandbox of each job is kept, and of all no more than fits", () => {
  const record = (build: string, job: string | undefined, keptAt: number, bytes: number) => ({
    ...{ build, job, keptAt, bytes },
  });
  const all = [
    record("a1", "a", 1, 10),
    record("a2", "a", 5, 10),
    record("b", "b", 2, 10),
    record("c", undefined, 3, 10),
    record("d", undefined, 4, 95),
  ];
  expect(tooMany(all, 1000).map(({ build }) => build)).toEqual(["a1"]);
  expect(
    tooMany(all, 30)
      .map(({ build }) => build)
      .sort(),
  ).toEqual(["a1", "d"]);
  expect(tooMany(all, 0).length).toBe(5);
});

test("a terminal is between 1 by 1 and 1000 by 1000", () => {
  expect(boundSize({ cols: 0, rows: 5000 })).toEqual({ cols: 1, rows: 1000 });
  expect(boundSize({ cols: Number.NaN, rows: 24.9 })).toEqual({ cols: 1, rows: 24 });
});

describe.skipIf(skip)("a shell in a kept sandbox", () => {
  const socket = join(dataDirectory, "s.sock");
  let server: Bun.Subprocess;
  let base = "";
  let build = "";

  beforeAll(async () => {
    const password = join(dataDirectory, "password");
    writeFileSync(password, "correct horse battery");
    const child = Bun.spawn(
      await command([
        ...["serve", "--data-dir", dataDirectory, "--socket", socket, "--listen", "127.0.0.1:0"],
        ...["--worker-platform", "small", "--builder-listen", "off"],
      ]),
      {
        ...{ stdin: "ignore", stdout: "ignore", stderr: "pipe" },
        env: environment({
          NOTIFY_SOCKET: undefined,
          ROBUR_ADMIN_USER: "root",
          ROBUR_ADMIN_PASSWORD_FILE: password,
        }),
      },
    );
    server = child;
    let log = "";
    void (async () => {
      for await (const piece of child.stderr) log += new TextDecoder().decode(piece);
    })();
    base = await until("the server listens", () => {
      if (child.exitCode !== null) throw new Error(log);
      return /listening .*address=(\S+)/.exec(log)?.[1];
    });
    build = await failedBuild("broken", "echo left > trace; exit 3");
  }, 120_000);
  afterAll(async () => {
    server?.kill("SIGTERM");
    await server?.exited;
    if (!skip) await openSandboxes({ dataDirectory }).sweep(-1);
  });

  const robur = (...args: string[]) => run(args, { env: { ROBUR_HOST: `unix://${socket}` } });
  const api = async <T>(path: string): Promise<T> =>
    (await (await fetch(`http://localhost${path}`, { unix: socket } as RequestInit)).json()) as T;

  async function failedBuild(name: string, script: string): Promise<string> {
    const file = join(temporaryDirectory(), "script.sh");
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    const added = await robur(
      ...["job", "add", name, "--script", file, "--platform", "small", "--never", "--network", "none"],
    );
    if (added.code !== 0) throw new Error(added.stderr);
    return again(name);
  }

  /** Builds it; answers the build's id when its sandbox is there. */
  async function again(name: string): Promise<string> {
    const started = await robur("build", "start", name);
    const ended = await until("the build ends", async () => {
      const found = await api<{ state: string; uuid: string }>(`/api/v1/runs/${started.stdout.trim()}`);
      return found.state === "finished" && found;
    });
    await until("the sandbox is kept", () => keptOf(dataDirectory, ended.uuid));
    return ended.uuid;
  }

  async function inTerminal(...args: string[]): Promise<{ pty: Pty; seen: () => string }> {
    const [file = "", ...rest] = await command(args);
    const env = Object.fromEntries(
      Object.entries(environment({ ROBUR_HOST: `unix://${socket}`, TERM: "xterm" })).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      ),
    );
    const pty = spawn(file, rest, { cwd: "/", env, cols: 91, rows: 31 });
    let output = "";
    void (async () => {
      for await (const piece of pty.output) output += new TextDecoder().decode(piece);
    })();
    // bash asks the terminal to mark what is pasted, which is nothing that it shows.
    return { pty, seen: () => output.replaceAll("\u001b[?2004h", "").replaceAll("\u001b[?2004l\r", "") };
  }
  const type = (pty: Pty, text: string) => pty.write(new TextEncoder().encode(text));
  const processes = (mark: string) =>
    readdirSync("/proc").filter((pid) => (readSmallFile(`/proc/${pid}/cmdline`) ?? "").includes(mark));

  test("has the job's files and the terminal's size, and nothing of the host", async () => {
    const { pty, seen } = await inTerminal("build", "shell", "broken");
    await until("a prompt", () => seen().endsWith("# "));
    await type(pty, "cat trace script.sh; stty size; echo $TERM; pwd\n");
    await until("the answers", () => seen().includes("/build\r\n"));
    expect(seen()).toContain("\nleft\r\n");
    expect(seen()).toContain("exit 3\r\n");
    expect(seen()).toContain("\n31 91\r\n");
    expect(seen()).toContain("xterm-256color\r\n");
    pty.resize(120, 40);
    await until("the new size", async () => {
      await type(pty, "stty size\n");
      return seen().includes("\n40 120\r\n");
    });
    await type(pty, `cat ${dataDirectory}/robur.db; ls ${dataDirectory} /work; echo over\n`);
    await until("the end of it", () => seen().includes("\nover\r\n"));
    expect(seen().match(/No such file or directory/g)?.length).toBe(3);
    // Ctrl-C is the shell's, and leaves it running.
    await type(pty, "sleep 86391\n");
    await until("the program", () => processes("sleep\x0086391").length > 0);
    await type(pty, "\x03");
    await until("its end", () => processes("sleep\x0086391").length === 0);
    await type(pty, "exit 7\n");
    expect((await pty.exited).exitCode).toBe(7);
    pty.close();
  });

  test("has what an earlier shell wrote, and is one at a time", async () => {
    const first = await inTerminal("build", "shell", build);
    await until("a prompt", () => first.seen().endsWith("# "));
    await type(first.pty, "echo more > note; echo done\n");
    await until("it is written", () => first.seen().includes("\ndone\r\n"));
    const second = await robur("build", "shell", build);
    expect([second.code, second.stderr]).toEqual([4, expect.stringContaining("somebody has a shell")]);
    await openSandboxes({ dataDirectory }).sweep(-1);
    await type(first.pty, "exit\n");
    await first.pty.exited;
    first.pty.close();
    const third = await inTerminal("build", "shell", build);
    await type(third.pty, "cat note; exit\n");
    expect((await third.pty.exited).exitCode).toBe(0);
    await until("the note", () => third.seen().includes("\nmore\r\n"));
    third.pty.close();
  });

  test("ends with its connection, and all that it started", async () => {
    const ws = new WebSocket(`ws+unix://${socket}:/api/v1/builds/${build}/shell`);
    await new Promise((resolve) => ws.addEventListener("open", resolve));
    ws.send(new TextEncoder().encode("nohup setsid sleep 86392 & sleep 86393\n"));
    await until("both run", () => processes("sleep\x008639").length >= 2);
    ws.terminate();
    await until("none is left", () => processes("sleep\x008639").length === 0);
    // And another one can be had.
    (await openShell()).ws.close();
  });

  /** A shell of one's own, as soon as the one before has ended. */
  function openShell() {
    return until("the sandbox is free", async () => {
      const ws = new WebSocket(`ws+unix://${socket}:/api/v1/builds/${build}/shell`);
      ws.binaryType = "arraybuffer";
      const seen = { bytes: 0, text: "" };
      const { promise, resolve } = Promise.withResolvers<boolean>();
      ws.addEventListener("message", ({ data }: MessageEvent<string | ArrayBuffer>) => {
        resolve(typeof data !== "string");
        if (typeof data === "string") return;
        seen.bytes += data.byteLength;
        seen.text = (seen.text + new TextDecoder().decode(data)).slice(-200);
      });
      ws.addEventListener("close", () => resolve(false));
      return (await promise) && { ws, seen };
    });
  }

  test("gives no more than was taken, and goes on from there", async () => {
    const { ws, seen } = await openShell();
    await until("a prompt", () => seen.text.endsWith("# "));
    ws.send(new TextEncoder().encode("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo all of it\n"));
    await until("the window is full", () => seen.bytes >= 256 * 1024);
    // The shell has more to give by now: a whole terminal's worth is not yet taken from it.
    await Bun.sleep(300);
    expect(seen.bytes).toBeLessThan(512 * 1024);
    let taken = 0;
    await until("all of it", () => {
      if (seen.bytes > taken) ws.send(JSON.stringify({ taken: seen.bytes - taken }));
      taken = seen.bytes;
      return seen.text.includes("\nall of it\r\n");
    });
    expect(seen.bytes).toBeGreaterThan(3_000_000);
    ws.close();
  });

  /** The status that a WebSocket's request is answered with. */
  function knock(path: string, headers: Readonly<Record<string, string>>): Promise<number> {
    const { hostname, port, host } = new URL(base);
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const connection = connect({ host: hostname, port: Number(port) });
    const lines = Object.entries({
      Host: host,
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
      ...headers,
    }).map(([name, value]) => `${name}: ${value}\r\n`);
    connection.write(`GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
    connection.once("data", (piece) => {
      resolve(Number(piece.toString("latin1").split(" ")[1]));
      connection.destroy();
    });
    connection.once("error", reject);
    return promise;
  }

  test("is for administrators, from pages of this server", async () => {
    const path = `/api/v1/builds/${build}/shell`;
    const origin = new URL(base).origin;
    const signIn = async (user: string) => {
      const answer = await fetch(`${base}/api/v1/session`, {
        method: "POST",
        body: JSON.stringify({ user, password: "correct horse battery" }),
        headers: { "content-type": "application/json", origin },
      });
      expect(answer.status).toBe(200);
      return answer.headers.get("set-cookie")!.split(";")[0]!;
    };
    const root = await signIn("root");
    const made = await fetch(`${base}/api/v1/users`, {
      method: "POST",
      body: JSON.stringify({ name: "alice", password: "correct horse battery", role: "user", path: "alice" }),
      headers: { "content-type": "application/json", cookie: root, origin },
    });
    expect(made.status).toBe(201);
    const alice = await signIn("alice");
    expect(await knock(path, {})).toBe(401);
    expect(await knock(path, { Authorization: "Bearer robur_000000000000_x" })).toBe(401);
    expect(await knock(path, { Cookie: alice, Origin: origin })).toBe(403);
    expect(await knock(path, { Cookie: root, Origin: "https://evil.example" })).toBe(403);
    expect(await knock(path, { Cookie: root, Origin: origin, "Sec-Fetch-Site": "cross-site" })).toBe(403);
    expect(await knock(path, { Cookie: root })).toBe(403);
    expect(await knock(path, { Cookie: root, Origin: origin })).toBe(101);
    expect(await knock(path, { Cookie: root, Origin: origin, Upgrade: "h2c" })).toBe(426);
    const audit = await api<{ entries: readonly { action: string; actor: string }[] }>("/api/v1/audit");
    expect(audit.entries).toContainEqual(expect.objectContaining({ action: "build.shell", actor: "root" }));
  });

  test.skipIf(lacks(needsBrowser()))("is a terminal on a page as well", async () => {
    const browser = await openBrowser();
    try {
      const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
      page.setDefaultTimeout(20_000);
      const faults: string[] = [];
      page.on("pageerror", (error) => faults.push(error.message));
      page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
      page.on("request", (request) => request.url().startsWith(base) || faults.push(request.url()));
      await page.goto(`${base}/sign-in`);
      await page.fill("#user", "root");
      await page.fill("#password", "correct horse battery");
      await page.click("button:has-text('Sign in')");
      await page.waitForURL(`${base}/`);
      await page.goto(`${base}/job/broken/build/${build}`);
      await page.click("text=open a shell in it");
      const screen = () => page.locator(".xterm-rows").innerText();
      await page.waitForSelector(".live.on");
      await until("a prompt", async () => /# \s*$/.test(await screen()));
      await page.keyboard.type("cat trace; stty size\n");
      const size = async () =>
        /(\d+) (\d+)\s+\S*# \s*$/
          .exec(await screen())
          ?.slice(1)
          .map(Number);
      const wide = await until("the answers", size);
      expect(await screen()).toContain("left");
      await page.setViewportSize({ width: 390, height: 844 });
      await until("a narrower terminal", async () => {
        await page.keyboard.type("clear; stty size\n");
        const narrow = await until("its size", size);
        return narrow[1]! < wide[1]!;
      });
      expect(await complaintsOf(page)).toEqual([]);
      const isWider = await page.evaluate("document.documentElement.scrollWidth > innerWidth");
      expect(isWider).toBe(false);
      await page.keyboard.type("exit 5\n");
      await page.waitForSelector("text=the shell ended with status 5");
      await page.click("text=Open again");
      await page.waitForSelector(".live.on");
      expect(faults).toEqual([]);
    } finally {
      await browser.close();
    }
    const without = await fetch(`http://localhost/job/broken/build/${build}/shell`, {
      unix: socket,
    } as RequestInit);
    expect(await without.text()).toContain(`robur build shell ${build}`);
  });

  test("isn't there for other builds, which is said in words", async () => {
    const other = await robur("build", "shell", "00000000-0000-4000-8000-000000000000");
    expect(other.code).toBe(3);
    const good = await robur("build", "start", "broken");
    expect(good.code).toBe(0);
  });

  test("gives way to the job's next failure, and is not kept where a build was good", async () => {
    const file = join(temporaryDirectory(), "script.sh");
    writeFileSync(file, "#!/bin/sh\nexit 0\n");
    const next = await again("broken");
    expect(next).not.toBe(build);
    expect(keptOf(dataDirectory, build)).toBeUndefined();
    const gone = await robur("build", "shell", build);
    expect([gone.code, gone.stderr]).toEqual([
      3,
      expect.stringContaining("no sandbox of this build is kept"),
    ]);
    await robur("job", "edit", "broken", "--script", file);
    const started = await robur("build", "start", "broken", "--wait");
    expect(started.code).toBe(0);
    // The run is over a moment before its sandbox is gone.
    await until("only the failed build's sandbox is left", () => {
      const names = readdirSync(join(dataDirectory, "sandboxes"));
      return names.filter((name) => /^[0-9a-f]{8}-/.test(name)).length === 1;
    });
    expect(keptOf(dataDirectory, next)).toBeDefined();
  });
});
