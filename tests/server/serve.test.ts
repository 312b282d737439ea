/**
 * The compiled server as a process: its doors, its lock, its first start, its end, and requests over real sockets.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { type Subprocess } from "bun";
import { existsSync, lstatSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FFIType, dlopen, ptr } from "bun:ffi";
import { buildGuest } from "../guests/build.ts";
import { command, environment, run, temporaryDirectory, until } from "../robur.ts";

const PASSWORD = "correct horse battery";

interface Served {
  readonly process: Subprocess<"ignore", "pipe", "pipe">;
  readonly directory: string;
  readonly socket: string;
  readonly output: () => string;
  /** The address that it says it listens on. */
  readonly base: string;
}

const running = new Set<Subprocess>();
afterAll(async () => {
  for (const child of running) child.kill("SIGKILL");
  await Promise.all([...running].map((child) => child.exited));
});

async function serve(
  directory = temporaryDirectory(),
  args: string[] = [],
  env: Record<string, string> = {},
): Promise<Served> {
  const socket = join(directory, "s.sock");
  const child = Bun.spawn(
    await command(["serve", "--data-dir", directory, "--listen", "127.0.0.1:0", "--socket", socket, ...args]),
    {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: environment({ NOTIFY_SOCKET: undefined, ...env }),
    },
  );
  running.add(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    void (async () => {
      const decoder = new TextDecoder();
      for await (const piece of stream) output += decoder.decode(piece, { stream: true });
    })();
  }
  const base = await until(
    "the server to listen",
    () => /listening .*address=(\S+)/.exec(output)?.[1] ?? (child.exitCode === null ? undefined : "ended"),
  );
  if (base === "ended") throw new Error(`the server ended: ${output}`);
  return { process: child, directory, socket, base, output: () => output };
}

async function stop({ process: child }: Served): Promise<number> {
  child.kill("SIGTERM");
  const status = await child.exited;
  running.delete(child);
  return status;
}

const admin = (directory: string) =>
  Bun.spawnSync({
    cmd: [
      process.execPath,
      "src/main.ts",
      "user",
      "add",
      "root",
      "--admin",
      "--password-stdin",
      "--data-dir",
      directory,
    ],
    cwd: join(import.meta.dir, "../.."),
    stdin: Buffer.from(`${PASSWORD}\n`),
  });

describe("robur serve", () => {
  test("prints set-up links until there is an administrator, and robur setup-url makes new ones", async () => {
    const served = await serve();
    const [, secret] = await until(
      "the link",
      () => /\/setup#([\w-]{43})/.exec(served.output()) ?? undefined,
    );
    const place = `--data-dir ${served.directory}`;
    await until("how else", () => served.output().includes(`--admin --password-stdin ${place}\n`));
    const again = await run(["setup-url", "--data-dir", served.directory]);
    expect(again.stderr).toBe("");
    const fresh = /^(http:\/\/127\.0\.0\.1:\d+)\/setup#([\w-]{43})\n$/.exec(again.stdout)!;
    expect(fresh[1]).toBe(served.base);
    const attempt = (text: string) =>
      fetch(`${served.base}/api/v1/setup`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ secret: text, user: "root", password: PASSWORD }),
      });
    expect((await attempt(secret!)).status).toBe(403);
    expect((await attempt(fresh[2]!)).status).toBe(200);
    const late = await run(["setup-url", "--data-dir", served.directory]);
    expect([late.code, late.stderr]).toEqual([1, expect.stringContaining("set up already")]);
    expect(await stop(served)).toBe(0);
  });

  test("the second server of a data directory is refused, and says who has it", async () => {
    const served = await serve();
    const second = await run([
      "serve",
      "--data-dir",
      served.directory,
      "--listen",
      "127.0.0.1:0",
      "--socket",
      join(served.directory, "t.sock"),
    ]);
    expect(second.code).not.toBe(0);
    expect(second.stderr).toContain("a server has this database");
    expect(second.stderr).toContain(`process ${served.process.pid}`);
    expect((await fetch(`${served.base}/healthz`)).status).toBe(200);
    await stop(served);
  });

  test("the address or the socket of another program is refused with a way out", async () => {
    const served = await serve();
    const port = new URL(served.base).port;
    const other = temporaryDirectory();
    const taken = await run([
      "serve",
      "--data-dir",
      other,
      "--listen",
      `127.0.0.1:${port}`,
      "--socket",
      join(other, "s.sock"),
    ]);
    expect([taken.code, taken.stderr]).toEqual([1, expect.stringContaining("another program listens there")]);
    const socket = await run([
      "serve",
      "--data-dir",
      other,
      "--listen",
      "127.0.0.1:0",
      "--socket",
      served.socket,
    ]);
    expect([socket.code, socket.stderr]).toEqual([
      1,
      expect.stringContaining("another server listens there"),
    ]);
    await stop(served);
  });

  test("the socket is for its owner and group, is trusted, and one that was left behind is replaced", async () => {
    const served = await serve();
    expect(lstatSync(served.socket).mode & 0o777).toBe(0o660);
    expect(lstatSync(served.directory).mode & 0o700).toBe(0o700);
    const who = await fetch("http://robur/api/v1/session", { unix: served.socket });
    expect(await who.json()).toMatchObject({ kind: "socket", path: "" });
    // A host's name may be of one letter.
    expect((await fetch("http://x/healthz", { unix: served.socket })).status).toBe(200);
    served.process.kill("SIGKILL");
    await served.process.exited;
    expect(existsSync(served.socket)).toBe(true);
    const next = await serve(served.directory);
    expect((await fetch("http://robur/healthz", { unix: next.socket })).status).toBe(200);
    await stop(next);
  });

  test("tells systemd that it is ready, and that it stops", async () => {
    const directory = temporaryDirectory();
    const inbox = datagrams(join(directory, "notify.sock"));
    const served = await serve(directory, [], { NOTIFY_SOCKET: join(directory, "notify.sock") });
    const ready = await until("READY", () => inbox.read());
    expect(ready).toStartWith("READY=1\nSTATUS=Listening on http://127.0.0.1:");
    await stop(served);
    expect(inbox.read()).toBe("STOPPING=1\n");
    inbox.close();
  });

  test("stopping ends streams at once and leaves unikernels running for the next server", async () => {
    const served = await serve();
    const form = new FormData();
    form.append("name", "clock");
    form.append("config", '{"memoryMb":16,"args":["every=20"]}');
    form.append("image", Bun.file(await buildGuest("tick", "spt")), "tick.spt");
    const created = await fetch("http://robur/api/v1/deploy", {
      method: "POST",
      body: form,
      unix: served.socket,
    });
    expect(created.status).toBe(201);
    const { unikernel } = (await created.json()) as { unikernel: { state: string; pid: number } };
    expect(unikernel.state).toBe("running");
    const stream = await fetch("http://robur/api/v1/unikernels/clock/console/stream", {
      unix: served.socket,
    });
    const reader = stream.body!.getReader();
    await reader.read();
    const begun = performance.now();
    expect(await stop(served)).toBe(0);
    expect(performance.now() - begun).toBeLessThan(2500);
    while (!(await reader.read().catch(() => ({ done: true }))).done);
    expect(existsSync(`/proc/${unikernel.pid}`)).toBe(true);

    const next = await serve(served.directory, ["--stop-unikernels"]);
    const found = await fetch("http://robur/api/v1/unikernels/clock", { unix: next.socket });
    expect(await found.json()).toMatchObject({ state: "running", pid: unikernel.pid, restarts: 0 });
    await stop(next);
    await until("the unikernel's end", () => !existsSync(`/proc/${unikernel.pid}`));
  });

  test("an administrator comes from the environment where there is none", async () => {
    const directory = temporaryDirectory();
    const file = join(directory, "password");
    writeFileSync(file, `${PASSWORD}\n`);
    const served = await serve(join(directory, "data"), [], {
      ROBUR_ADMIN_USER: "ops",
      ROBUR_ADMIN_PASSWORD_FILE: file,
    });
    expect(served.output()).not.toContain("/setup#");
    const signedIn = await fetch(`${served.base}/api/v1/session`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ user: "ops", password: PASSWORD }),
    });
    expect(await signedIn.json()).toEqual({ user: "ops", role: "admin" });
    await stop(served);
  });
});

describe("the compiled server", () => {
  test("checks, complains and refuses as the sources do", async () => {
    const served = await serve();
    admin(served.directory);
    const ask = (path: string, init: RequestInit = {}) =>
      fetch(`${served.base}${path}`, { redirect: "manual", ...init });
    const problem = async (answer: Response) => [
      answer.status,
      ((await answer.json()) as { error: { code: string } }).error.code,
    ];
    expect(await problem(await ask("/api/v1/unikernels"))).toEqual([401, "not-signed-in"]);
    expect(await problem(await ask("/nothing"))).toEqual([404, "missing"]);
    const json = { "content-type": "application/json" };
    expect(await problem(await ask("/api/v1/session", { method: "POST", headers: json, body: "{" }))).toEqual(
      [400, "unreadable"],
    );
    expect(
      await problem(await ask("/api/v1/session", { method: "POST", headers: json, body: "{}" })),
    ).toEqual([422, "invalid"]);
    const big = "x".repeat(2 << 20);
    expect((await ask("/api/v1/session", { method: "POST", headers: json, body: big })).status).toBe(413);
    const page = await ask("/unikernels", { headers: { accept: "text/html" } });
    expect([page.status, page.headers.get("location")]).toEqual([303, "/sign-in?next=%2Funikernels"]);
    const { paths } = (await (await ask("/openapi.json")).json()) as { paths: object };
    expect(Object.keys(paths).length).toBeGreaterThan(40);
    const signIn = await ask("/sign-in", {
      method: "POST",
      headers: { origin: served.base },
      body: new URLSearchParams({ user: "root", password: PASSWORD }),
    });
    expect(signIn.status).toBe(303);
    const cookie = signIn.headers.get("set-cookie")!.split(";")[0]!;
    expect((await ask("/api/v1/audit", { headers: { cookie } })).status).toBe(200);
    await stop(served);
  });

  test("an upload of 256 MB that is no image is refused without the server growing by it", async () => {
    const served = await serve();
    const megabyte = new Uint8Array(1 << 20);
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (sent === 256) controller.close();
        else controller.enqueue(megabyte);
        sent += 1;
      },
    });
    const answer = await fetch("http://robur/api/v1/images", {
      method: "POST",
      body,
      unix: served.socket,
    }).catch(() => undefined);
    // It may also just stop reading.
    expect(answer?.status ?? 422).toBe(422);
    const peak = Number(
      /VmHWM:\s+(\d+)/.exec(await Bun.file(`/proc/${served.process.pid}/status`).text())![1],
    );
    expect(peak).toBeLessThan(200 * 1024);
    expect((await fetch(`${served.base}/healthz`)).status).toBe(200);
    await stop(served);
  });

  test("a client that stops reading a flood costs a buffer, and the others nothing", async () => {
    const served = await serve();
    const form = new FormData();
    form.append("name", "flood");
    form.append("config", '{"memoryMb":16,"restart":{"kind":"no"}}');
    form.append("image", Bun.file(await buildGuest("flood", "spt")), "flood.spt");
    expect(
      (await fetch("http://robur/api/v1/deploy", { method: "POST", body: form, unix: served.socket })).status,
    ).toBe(201);
    const idle = await Promise.all(
      Array.from({ length: 8 }, () =>
        Bun.connect({
          unix: served.socket,
          socket: {
            data() {},
            open(socket) {
              socket.write("GET /api/v1/unikernels/flood/console/stream HTTP/1.1\r\nhost: robur\r\n\r\n");
              socket.pause();
            },
          },
        }),
      ),
    );
    const begun = performance.now();
    await Bun.sleep(1500);
    expect((await fetch("http://robur/api/v1/unikernels", { unix: served.socket })).status).toBe(200);
    expect(performance.now() - begun).toBeLessThan(3000);
    const peak = Number(
      /VmHWM:\s+(\d+)/.exec(await Bun.file(`/proc/${served.process.pid}/status`).text())![1],
    );
    expect(peak).toBeLessThan(220 * 1024);
    for (const socket of idle) socket.terminate();
    await fetch("http://robur/api/v1/unikernels/flood?force=true", { method: "DELETE", unix: served.socket });
    await stop(served);
  });
});

describe("robur user and robur token", () => {
  test("work on the database, with and without a server, and take effect at once", async () => {
    const served = await serve();
    const directory = ["--data-dir", served.directory];
    expect(admin(served.directory).exitCode).toBe(0);
    const listed = await run(["user", "ls", "--format", "json", ...directory]);
    expect(JSON.parse(listed.stdout)).toMatchObject([
      { name: "root", role: "admin", path: "", canSignIn: true },
    ]);
    const made = await run([
      "token",
      "create",
      "root",
      "ci",
      "--scope",
      "read",
      "--expires",
      "1h",
      ...directory,
    ]);
    expect(made.stdout).toMatch(/^robur_[0-9a-f]{12}_[\w-]{43}\n$/);
    const headers = { authorization: `Bearer ${made.stdout.trim()}` };
    expect((await fetch(`${served.base}/api/v1/unikernels`, { headers })).status).toBe(200);
    const id = made.stdout.split("_")[1]!;
    expect((await run(["token", "rm", id, ...directory])).code).toBe(0);
    expect((await fetch(`${served.base}/api/v1/unikernels`, { headers })).status).toBe(401);
    expect((await run(["user", "rm", "root", ...directory])).stderr).toContain("only administrator");
    expect((await run(["user", "rm", "nobody", ...directory])).code).toBe(3);
    await stop(served);
  });
});

/** A Unix datagram socket, as systemd has one. */
function datagrams(path: string) {
  const { symbols } = dlopen("libc.so.6", {
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
    recv: { args: ["i32", "ptr", "u64", "i32"], returns: FFIType.i64_fast },
    close: { args: ["i32"], returns: "i32" },
  });
  const SOCK_DGRAM_NONBLOCK = 2 | 0o4000;
  const fd = symbols.socket(1, SOCK_DGRAM_NONBLOCK, 0);
  const address = Buffer.concat([new Uint8Array([1, 0]), Buffer.from(`${path}\0`)]);
  expect(symbols.bind(fd, ptr(address), address.length)).toBe(0);
  const buffer = new Uint8Array(4096);
  return {
    read: (): string | undefined => {
      const length = Number(symbols.recv(fd, ptr(buffer), buffer.length, 0));
      return length < 0 ? undefined : new TextDecoder().decode(buffer.subarray(0, length));
    },
    close: () => symbols.close(fd),
  };
}
