import { generateKeyPairSync } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "bun:test";
import {
  archOf,
  fillInstaller,
  newKey,
  rawPublicKey,
  writeRelease,
  type Release,
} from "../../scripts/release.ts";
import { CHECKOUT, INSTALLER, Sandbox } from "./sandbox.ts";

class Directory implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), "robur-release-"));

  path(...names: string[]): string {
    return join(this.root, ...names);
  }

  write(name: string, content: string | Uint8Array, mode = 0o644): string {
    writeFileSync(this.path(name), content);
    chmodSync(this.path(name), mode);
    return this.path(name);
  }

  read(name: string): string {
    return readFileSync(this.path(name), "utf8");
  }

  /** Runs the release tool here. */
  release(...args: string[]): { status: number; stdout: string; stderr: string } {
    const command = [process.execPath, join(CHECKOUT, "scripts", "release.ts"), ...args];
    const { exitCode, stdout, stderr } = Bun.spawnSync(command, { cwd: this.root, stdin: "ignore" });
    return { status: exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

/**
 * A whole executable that prints `text` and exits with 0: one segment, mapped with its header, and
 *
 *     write(1, text, length); exit(0)
 */
function printingExecutable(arch: "x64" | "arm64", text: string): Uint8Array {
  const message = Buffer.from(text);
  const codes = {
    // mov edi,1; lea rsi,[rip+21]; mov edx,length; mov eax,1; syscall; xor edi,edi; mov eax,60; syscall
    x64: Buffer.concat([
      Buffer.from("bf01000000488d3515000000ba", "hex"),
      uint32(message.length),
      Buffer.from("b8010000000f0531ffb83c0000000f05", "hex"),
    ]),
    // mov x0,1; adr x1,+32; mov x2,length; mov x8,64; svc 0; mov x0,0; mov x8,93; svc 0; nop
    arm64: Buffer.concat(
      [
        0xd2800020,
        0x10000101,
        0xd2800002 | (message.length << 5),
        0xd2800808,
        0xd4000001,
        0xd2800000,
        0xd2800ba8,
        0xd4000001,
        0xd503201f,
      ].map(uint32),
    ),
  };
  const base = 0x400000;
  const headers = 64 + 56;
  const length = headers + codes[arch].length + message.length;
  const elf = Buffer.alloc(headers);
  elf.write("7f454c46020101", "hex");
  elf.writeUInt16LE(2, 16); // ET_EXEC
  elf.writeUInt16LE(arch === "x64" ? 62 : 183, 18);
  elf.writeUInt32LE(1, 20);
  elf.writeBigUInt64LE(BigInt(base + headers), 24); // entry
  elf.writeBigUInt64LE(64n, 32); // program headers
  elf.writeUInt16LE(64, 52);
  elf.writeUInt16LE(56, 54);
  elf.writeUInt16LE(1, 56);
  elf.writeUInt32LE(1, 64); // PT_LOAD
  elf.writeUInt32LE(5, 68); // readable, executable
  elf.writeBigUInt64LE(BigInt(base), 80);
  elf.writeBigUInt64LE(BigInt(base), 88);
  elf.writeBigUInt64LE(BigInt(length), 96);
  elf.writeBigUInt64LE(BigInt(length), 104);
  elf.writeBigUInt64LE(0x1000n, 112);
  return Buffer.concat([elf, codes[arch], message]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

const ANSWER = "robur 0.1.0 (commit 0123abcd)\n";
const HERE = process.arch === "arm64" ? "arm64" : "x64";
const URL = "https://robur.example.org/releases";

describe("bun scripts/release.ts", () => {
  test("makes a key that only its owner can read, once, and prints the public half", () => {
    using here = new Directory();
    const first = here.release("--new-key", "key.pem");
    expect(first).toMatchObject({ status: 0, stderr: "" });
    expect(first.stdout).toMatch(/^[A-Za-z0-9+/]{43}=\n$/);
    expect(statSync(here.path("key.pem")).mode & 0o777).toBe(0o600);
    const key = here.read("key.pem");
    expect(key).toStartWith("-----BEGIN PRIVATE KEY-----\n");
    const second = here.release("--new-key", "key.pem");
    expect(second.stderr).toStartWith("error: key.pem exists already\n");
    expect([second.status, here.read("key.pem")]).toEqual([1, key]);
  });

  test("makes a release that openssl, sha256sum and gzip agree with", () => {
    using here = new Directory();
    const executable = printingExecutable(HERE, ANSWER);
    here.write("robur", executable, 0o755);
    const publicKey = here.release("--new-key", "key.pem").stdout.trim();
    const { status, stdout, stderr } = here.release(
      "--key",
      "key.pem",
      "--base-url",
      `${URL}/`,
      "--out",
      "out",
      "robur",
    );
    expect(stderr).toBe(`robur 0.1.0 (commit 0123abcd), signed by ${publicKey}\n`);
    expect(status).toBe(0);
    const names = [`robur-linux-${HERE}.gz`, "RELEASE", "SHA256SUMS", "SHA256SUMS.sig"];
    const all = [...names.map((name) => `v0.1.0/${name}`), ...names, "install.sh"];
    expect(stdout).toBe(all.map((name) => `out/${name}\n`).join(""));
    for (const name of all) expect(existsSync(here.path("out", name))).toBe(true);
    expect(here.read("out/RELEASE")).toBe(
      `version 0.1.0\ncommit 0123abcd\nrobur-linux-${HERE} ${new Bun.CryptoHasher("sha256").update(executable).digest("hex")}\n`,
    );

    const pem = `-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA${publicKey}\n-----END PUBLIC KEY-----\n`;
    here.write("public.pem", pem);
    const verify =
      "openssl pkeyutl -verify -rawin -pubin -inkey ../public.pem -sigfile SHA256SUMS.sig -in SHA256SUMS";
    const script = `set -e; ${verify}; sha256sum -c SHA256SUMS; gzip -cd robur-linux-${HERE}.gz | cmp - ../robur`;
    for (const directory of ["out", "out/v0.1.0"]) {
      const command = ["sh", "-c", script.replaceAll("../", `${here.root}/`)];
      const { exitCode, stdout: said } = Bun.spawnSync(command, { cwd: here.path(directory) });
      expect(said.toString()).toContain(`robur-linux-${HERE}.gz: OK\nRELEASE: OK\n`);
      expect(exitCode).toBe(0);
    }

    const installer = here.read("out/install.sh");
    expect(installer).toContain(`\nBASE_URL='${URL}'\nPUBLIC_KEY='${publicKey}'\n`);
    expect(statSync(here.path("out/install.sh")).mode & 0o777).toBe(0o755);
  });

  test("made again it is the same, byte for byte, and it keeps the versions before", () => {
    using here = new Directory();
    here.release("--new-key", "key.pem");
    const make = (version: string, out: string) => {
      here.write("robur", printingExecutable(HERE, ANSWER.replace("0.1.0", version)), 0o755);
      const { status } = here.release("--key", "key.pem", "--base-url", URL, "--out", out, "robur");
      expect(status).toBe(0);
    };
    make("0.1.0", "one");
    make("0.1.0", "one");
    make("0.1.0", "two");
    expect(contents(here.path("two"))).toEqual(contents(here.path("one")));
    const old = contents(here.path("one", "v0.1.0"));
    make("0.2.0", "one");
    expect(contents(here.path("one", "v0.1.0"))).toEqual(old);
    expect(here.read("one/RELEASE")).toStartWith("version 0.2.0\n");
  });

  test("takes an executable for each machine", () => {
    using here = new Directory();
    here.write("a", printingExecutable("x64", ANSWER), 0o755);
    here.write("b", printingExecutable("arm64", ANSWER), 0o755);
    here.release("--new-key", "key.pem");
    const { status } = here.release("--key", "key.pem", "--base-url", URL, "--out", "out", "a", "b");
    expect(status).toBe(0);
    expect(here.read("out/SHA256SUMS")).toMatch(
      /^[0-9a-f]{64} {2}robur-linux-x64.gz\n[0-9a-f]{64} {2}robur-linux-arm64.gz\n[0-9a-f]{64} {2}RELEASE\n$/,
    );
  });

  test("says what is wrong, and writes nothing", () => {
    using here = new Directory();
    const other = HERE === "x64" ? "arm64" : "x64";
    here.release("--new-key", "key.pem");
    here.write("open.pem", here.read("key.pem"), 0o640);
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
    here.write("rsa.pem", rsa.export({ type: "pkcs8", format: "pem" }).toString(), 0o600);
    here.write("robur", printingExecutable(HERE, ANSWER), 0o755);
    here.write("second", printingExecutable(HERE, ANSWER), 0o755);
    here.write("foreign", printingExecutable(other, ANSWER), 0o755);
    here.write("dirty", printingExecutable(HERE, "robur 0.1.0 (commit 0123-dirty)\n"), 0o755);
    here.write("mute", printingExecutable(HERE, "hello\n"), 0o755);
    here.write("script", "#!/bin/sh\necho 'robur 0.1.0 (commit 0123abcd)'\n", 0o755);
    here.write("tiny", "\u007fELF", 0o755);
    const url = ["--base-url", URL];
    const good = ["--key", "key.pem", ...url];
    const cases: [string[], number, string][] = [
      [[], 2, "usage: "],
      [["--key", "key.pem"], 2, "usage: "],
      [["--frobnicate"], 2, "error: Unknown option '--frobnicate'"],
      [["--key", "missing.pem", ...url, "robur"], 1, "error: there is no key missing.pem"],
      [["--key", "open.pem", ...url, "robur"], 1, "error: others may read the key open.pem"],
      [["--key", "rsa.pem", ...url, "robur"], 1, "error: rsa.pem is no Ed25519 private key"],
      [
        ["--key", "key.pem", "--base-url", "ftp://x", "robur"],
        1,
        "error: ftp://x is not an http or https address",
      ],
      [
        ["--key", "key.pem", "--base-url", "https://x/'$(id)'", "robur"],
        1,
        "error: https://x/'$(id)' is not an",
      ],
      [good, 1, "error: there is no dist/robur"],
      [[...good, "robur", "second"], 1, "error: second is the second executable for"],
      [[...good, "foreign"], 1, "error: none of the executables can tell its version"],
      [[...good, "dirty"], 1, "error: dirty was built from sources that are in no commit"],
      [[...good, "mute"], 1, "error: mute does not tell its version"],
      [[...good, "script"], 1, "error: script is not an executable for Linux on x86_64 or aarch64"],
      [[...good, "tiny"], 1, "error: tiny is not an executable for Linux on x86_64 or aarch64"],
    ];
    for (const [args, expected, message] of cases) {
      const { status, stderr } = here.release(...args);
      expect(stderr).toStartWith(message);
      expect(status).toBe(expected);
    }
    expect(existsSync(here.path("dist", "release"))).toBe(false);
  });
});

describe("a release", () => {
  const key = generateKeyPairSync("ed25519").privateKey;
  const release = (text: string): Release => ({
    version: "0.1.0",
    commit: "0123abcd",
    executables: new Map([["x64", Buffer.from(text)]]),
    key,
    baseUrl: URL,
  });

  test("is never changed once it is published", () => {
    using here = new Directory();
    writeRelease(here.root, release("one"));
    const before = contents(here.root);
    expect(() => writeRelease(here.root, release("two"))).toThrow(
      "version 0.1.0 was released before, with other content",
    );
    expect(contents(here.root)).toEqual(before);
  });

  test("has no name and no time in the gzip header", () => {
    using here = new Directory();
    writeRelease(here.root, release("one"));
    expect(readFileSync(here.path("robur-linux-x64.gz")).subarray(0, 8).toString("hex")).toBe(
      "1f8b080000000000",
    );
  });

  test("can be installed from what the tool wrote, with the executable that it was made from", async () => {
    using here = new Directory();
    using box = new Sandbox();
    const executable = printingExecutable(HERE, ANSWER);
    using server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: (request) =>
        new Response(Bun.file(here.path(new globalThis.URL(request.url).pathname.slice(1)))),
    });
    const executables = new Map([[HERE, executable] as const]);
    writeRelease(here.root, { ...release(""), executables, baseUrl: `http://127.0.0.1:${server.port}` });
    const { status, stdout } = await box.pipe(here.read("install.sh"), ["anything"]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: ANSWER });
    expect(readFileSync(box.target).equals(executable)).toBe(true);
  });

  test("of another installer, without a place for address and key, is refused", () => {
    expect(() => fillInstaller("#!/bin/sh\n", URL, rawPublicKey(key))).toThrow(
      "no place for address and key",
    );
    expect(() => fillInstaller(INSTALLER.replace("PUBLIC_KEY=''", ""), URL, rawPublicKey(key))).toThrow(
      "no place",
    );
  });
});

test("newKey() and rawPublicKey() agree with openssl", () => {
  using here = new Directory();
  const key = newKey(here.path("key.pem"));
  const { stdout } = Bun.spawnSync([
    "openssl",
    "pkey",
    "-in",
    here.path("key.pem"),
    "-pubout",
    "-outform",
    "DER",
  ]);
  expect(rawPublicKey(key)).toBe(stdout.subarray(-32).toString("base64"));
});

test("archOf() reads the header of a real executable", () => {
  expect(archOf(readFileSync(process.execPath).subarray(0, 64), "bun")).toBe(HERE);
});

/** Every file below `directory` with its hash. */
function contents(directory: string): Record<string, string> {
  const names = readdirSync(directory, { recursive: true, encoding: "utf8" }).toSorted();
  const files = names.filter((name) => statSync(join(directory, name)).isFile());
  return Object.fromEntries(
    files.map((name) => [name, String(Bun.hash(readFileSync(join(directory, name))))]),
  );
}
