/** The compiled server and the clients that people have: curl, wget, and what albatross and mollymawk ask for. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { lacks, needsCommands } from "../../needs.ts";
import { temporaryDirectory, until } from "../../robur.ts";
import { type Served, client, serveBuilds } from "./served.ts";
import { ID, PATH, RECORD, SHA, TAG, recordWithId } from "./vector.ts";

const isWithout = lacks(needsCommands("curl", "wget"));

/** An exec document with one more file, of so many bytes, that is never in memory at once. */
function largeRecord(path: string, size: number, id: number): void {
  // The output list is the last element: its length, the build's, and the choice's grow by the new file.
  const name = Buffer.from("big.bin");
  const length = (n: number) => {
    if (n < 128) return Buffer.from([n]);
    const bytes = Buffer.from(n.toString(16).padStart(2 * Math.ceil(n.toString(16).length / 2), "0"), "hex");
    return Buffer.concat([Buffer.from([0x80 + bytes.length]), bytes]);
  };
  const wrap = (tag: number, content: readonly Buffer[], more = 0) => {
    const total = content.reduce((sum, { length: bytes }) => sum + bytes, more);
    return Buffer.concat([Buffer.from([tag]), length(total), ...content]);
  };
  const record = recordWithId(id);
  const end = record.subarray(record.indexOf(Buffer.from("3079", "hex"), 120) + 2);
  const inner = record.subarray(6, record.length - end.length - 2);
  const file = wrap(0x30, [wrap(0x0c, [name]), Buffer.from([0x0c]), length(size)], size);
  const files = wrap(0x30, [end, file], size);
  const build = wrap(0x30, [inner, files], size);
  const head = wrap(0xa0, [build], size);
  const out = Bun.file(path).writer();
  out.write(head);
  const piece = new Uint8Array(1 << 20);
  for (let left = size; left > 0; left -= piece.length) {
    for (let at = 0; at < piece.length; at += 65_536) crypto.getRandomValues(piece.subarray(at, at + 65_536));
    out.write(piece.slice(0, Math.min(left, piece.length)));
    out.flush();
  }
  void out.end();
}

describe.skipIf(isWithout)("clients of the compiled server", () => {
  let served: Served;
  let directory: string;
  const curl = (...args: string[]) => client("curl", "-sS", ...args);
  /** Status, Location and body. */
  const ask = async (path: string, ...args: string[]) => {
    const { stdout } = await curl("-w", "\n%{http_code} %{redirect_url}", ...args, `${served.base}${path}`);
    const at = stdout.lastIndexOf("\n");
    const [status = "", location = ""] = stdout.slice(at + 1).split(" ");
    return { status: Number(status), location, body: stdout.slice(0, at) };
  };

  beforeAll(async () => {
    directory = temporaryDirectory();
    served = await serveBuilds();
    writeFileSync(join(directory, "record"), RECORD);
    const upload = `${served.baseWithPassword}/upload`;
    const first = await curl("-D", "-", "--data-binary", `@${join(directory, "record")}`, upload);
    expect(first.stdout).toStartWith("HTTP/1.1 201");
    expect(first.stdout.toLowerCase()).toContain(`location: ${PATH}\r\n`);
  }, 120_000);
  afterAll(() => served?.stop());

  test("builder-server's upload: any success is one, and a second is a conflict", async () => {
    const args = ["-w", "%{http_code}", "--data-binary", `@${join(directory, "record")}`];
    const again = await curl(...args, `${served.baseWithPassword}/upload`);
    expect(again.stdout).toBe(`Build with same uuid exists: hello(${ID})\n409`);
    const stranger = await curl("-D", "-", ...args, `${served.base}/upload`);
    expect(stranger.stdout).toContain("401");
    expect(stranger.stdout.toLowerCase()).toContain("www-authenticate: basic realm=");
    const wrong = await curl(...args, "-u", "root:not this one", `${served.base}/upload`);
    expect(wrong.stdout).toBe("Unauthorized!\n401");
  });

  test("albatross's update: redirects by path alone, then the binary", async () => {
    const hash = await curl("-o", "/dev/null", "-D", "-", `${served.base}/hash?sha256=${SHA}`);
    expect(hash.stdout.toLowerCase()).toContain(`location: ${PATH}\r\n`);
    expect(hash.stdout).toStartWith("HTTP/1.1 302");
    const latest = await curl("-o", "/dev/null", "-D", "-", `${served.base}/job/hello/build/latest`);
    expect(latest.stdout.toLowerCase()).toContain(`location: ${PATH}\r\n`);
    expect(latest.stdout).toStartWith("HTTP/1.1 307");
    expect((await ask(`/hash?sha256=${"0".repeat(64)}`)).status).toBe(404);
    const binary = await curl("-L", `${served.base}${PATH}/main-binary`);
    expect(Buffer.from(binary.stdout, "latin1").toString("latin1")).toBe("\x7fELF");
  });

  test("a worker's template: wget follows both redirects", async () => {
    const out = join(directory, "main");
    const { code, stderr } = await client(
      "wget",
      "-O",
      out,
      `${served.base}/job/hello/build/latest/main-binary?platform=debian-12`,
    );
    expect([code, readFileSync(out, "latin1"), stderr.includes("307"), stderr.includes("302")]).toEqual([
      0,
      "\x7fELF",
      true,
      true,
    ]);
    const other = await client(
      "wget",
      "-q",
      "-O",
      "/dev/null",
      `${served.base}/job/hello/build/latest/main-binary?platform=freebsd-14`,
    );
    expect(other.code).toBe(8);
  });

  test("mollymawk's walk: JSON behind each redirect, with the fields that it requires", async () => {
    const json = async (path: string) => {
      const { stdout } = await curl("-L", "-H", "Accept: application/json", `${served.base}${path}`);
      return JSON.parse(stdout) as Record<string, unknown>;
    };
    for (const { name, synopsis } of (await json("/all-builds"))["jobs"] as {
      name: unknown;
      synopsis: unknown;
    }[]) {
      expect([typeof name, typeof synopsis]).toEqual(["string", "string"]);
    }
    for (const path of [`/hash?sha256=${SHA}`, "/job/hello/build/latest"]) {
      expect(await json(path)).toEqual({
        job: "hello",
        uuid: ID,
        platform: "debian-12",
        start_time: "2024-09-04T10:11:12-00:00",
        finish_time: "2024-09-04T10:11:14-00:00",
        main_binary: true,
      });
    }
    writeFileSync(join(directory, "second"), recordWithId(7));
    await curl("--data-binary", `@${join(directory, "second")}`, `${served.baseWithPassword}/upload`);
    const other = `${ID.slice(0, -4)}0007`;
    const compared = await json(`/compare/${ID}/${other}`);
    expect(Object.keys(compared)).toEqual(["left", "right", "env_diff", "package_diff", "opam_diff"]);
    expect(Object.keys(compared["left"] as object)).toEqual([
      ...["job", "uuid", "platform", "start_time", "finish_time", "main_binary", "main_binary_size"],
    ]);
    expect(compared["opam_diff"]).toMatchObject({
      duniverse_diff: { left: [], right: [], detailed_diff: [] },
    });
  });

  test("downloads have a length and are not chunked; HEAD tells the same", async () => {
    const path = `${served.base}${PATH}/f/bin/hello.hvt`;
    for (const args of [["-D", "-", "-o", "/dev/null"], ["-I"]]) {
      const { stdout } = await curl(...args, path);
      expect(stdout.toLowerCase()).toContain("content-length: 4\r\n");
      expect(stdout.toLowerCase()).not.toContain("transfer-encoding");
      expect(stdout).toContain(TAG);
    }
    const known = await curl("-w", "%{http_code}", "-H", `If-None-Match: "${TAG}"`, path);
    expect(known.stdout).toBe("304");
    const part = await curl("-w", " %{http_code}", "-r", "1-2", path);
    expect(part.stdout).toBe("EL 206");
  });

  test("HEAD tells a page's true length, and none of what is made while it is sent", async () => {
    for (const path of ["/", "/all-builds", "/job/hello", PATH, "/failed-builds", "/search"]) {
      const size = (await curl("-o", "/dev/null", "-w", "%{size_download}", `${served.base}${path}`)).stdout;
      expect(Number(size)).toBeGreaterThan(100);
      const head = (await curl("-I", `${served.base}${path}`)).stdout.toLowerCase();
      expect([path, /content-length: (\d+)/.exec(head)?.[1]]).toEqual([path, size]);
    }
    const archive = (await curl("-I", `${served.base}${PATH}/all.tar.gz`)).stdout.toLowerCase();
    expect(archive).toContain("200 ok");
    expect(archive).not.toContain("content-length");
  });

  test("a client of 1996 names no host, and a broken one names none that could be", async () => {
    const { hostname, port } = new URL(served.base);
    const say = async (head: string) => {
      const socket = connect(Number(port), hostname);
      let answer = "";
      let isOver = false;
      socket.on("data", (piece: Buffer) => (answer += piece.toString("latin1")));
      socket.on("close", () => (isOver = true));
      socket.write(`${head}\r\nConnection: close\r\n\r\n`);
      await until("the answer", () => isOver);
      return answer;
    };
    const file = await say(`GET ${PATH}/f/bin/hello.hvt HTTP/1.0`);
    expect(file).toStartWith("HTTP/1.1 200 ");
    expect(file).toEndWith("\r\n\r\n\x7fELF");
    expect(await say(`GET ${PATH}/script HTTP/1.1\r\nHost: a b`)).toStartWith("HTTP/1.1 400 ");
    expect(await say(`GET ${PATH}/script HTTP/1.1\r\nHost: [::1`)).toStartWith("HTTP/1.1 400 ");
    // Segments that can't be decoded.
    for (const path of ["/job/%", "/job/%zz/build/%zz", `/compare/%/${ID}`]) {
      expect(await say(`GET ${path} HTTP/1.1\r\nHost: x`)).toStartWith("HTTP/1.1 404 ");
    }
  });

  test("addresses that climb, or that nobody means well with, find nothing", async () => {
    for (const path of [
      "/job/../../etc/passwd/x",
      "/job/%2e%2e/failed",
      "/job/_artifacts",
      "/job/hello%00",
      `${PATH}/f/../../../../robur.db`,
      `${PATH}/f/%2e%2e/%2e%2e/robur.db`,
      `${PATH}/f//etc/passwd`,
      `${PATH}/f/bin%2Fhello.hvt%00`,
      `/job/${"a".repeat(5000)}`,
      "/hash?sha256=%00",
    ]) {
      const { status } = await ask(path, "--path-as-is");
      expect([path, status]).toEqual([path, 404]);
    }
  });

  test("a large upload waits to be asked for its body, comes through little memory, and comes back whole", async () => {
    const size = 300 * 1024 * 1024;
    const [file, small] = [join(directory, "large"), join(directory, "small")];
    largeRecord(file, size, 0xffff);
    const sum = async (command: string) =>
      (await client("sh", "-c", `${command} | sha256sum`)).stdout.split(" ")[0];
    const wanted = await sum(`cat '${file}'`);
    // What checking a password takes is no part of it, so this goes by the socket; nor are threads, which the first
    // transfer starts.
    const socket = ["--unix-socket", served.socket, "-X", "POST", "-H", "Expect: 100-continue"];
    const execOf = (id: string) => `${served.base}/job/hello/build/${ID.slice(0, -4)}${id}/exec`;
    largeRecord(small, 32 << 20, 0xfffe);
    const wantedSmall = await sum(`cat '${small}'`);
    await curl(...socket, "-T", small, "http://robur/upload");
    expect(await sum(`curl -sS '${execOf("fffe")}'`)).toBe(wantedSmall);
    const before = await served.residentKib();
    let peak = 0;
    const watching = setInterval(
      () => void served.residentKib().then((kib) => (peak = Math.max(peak, kib))),
      20,
    );
    const sent = await curl("-v", ...socket, "-T", file, "http://robur/upload");
    expect(sent.stderr).toContain("100 Continue");
    expect(sent.stderr).toContain("< HTTP/1.1 201");
    expect(await sum(`curl -sS '${execOf("ffff")}'`)).toBe(wanted);
    clearInterval(watching);
    console.log(
      `upload and download of ${size >> 20} MiB: ${before >> 10} MiB before, ${peak >> 10} MiB at most`,
    );
    expect(peak - before).toBeLessThan(64 * 1024);
  }, 180_000);

  test("an upload that breaks off leaves nothing behind", async () => {
    const count = async () => (await ask("/job/hello/failed", "-H", "Accept: application/json")).body;
    const before = await count();
    const { hostname, port } = new URL(served.base);
    const authorization = `Basic ${Buffer.from(`root:correct horse battery`).toString("base64")}`;
    const record = recordWithId(0x1234);
    for (const end of [1, 60, 130, 200, record.length - 1]) {
      const socket = connect(Number(port), hostname);
      socket.write(
        `POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\nContent-Length: ${record.length}\r\n\r\n`,
      );
      socket.write(record.subarray(0, end));
      await Bun.sleep(30);
      socket.destroy();
    }
    // The same record is taken as if it had never been tried.
    expect(await count()).toBe(before);
    writeFileSync(join(directory, "third"), record);
    await until("the upload to be taken", async () => {
      const { stdout } = await curl(
        "-w",
        "%{http_code}",
        "--data-binary",
        `@${join(directory, "third")}`,
        `${served.baseWithPassword}/upload`,
      );
      return stdout === "201";
    });
  }, 60_000);

  test("who may not upload is told so before the whole body has come", async () => {
    const { hostname, port } = new URL(served.base);
    const socket = connect(Number(port), hostname);
    let answer = "";
    socket.on("data", (piece: Buffer) => (answer += piece.toString()));
    socket.on("error", () => undefined);
    socket.write("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nabc");
    await until("the answer", () => answer.startsWith("HTTP/1.1 401"));
    socket.destroy();
  });
});
