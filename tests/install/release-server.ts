/** A server with releases made by scripts/release.ts, whose files a test can take away or spoil. */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rawPublicKey, writeRelease, type Arch } from "../../scripts/release.ts";
import { fakeRobur } from "./sandbox.ts";

export class ReleaseServer implements Disposable {
  readonly key: KeyObject;
  readonly publicKey: string;
  readonly url: string;
  /** What is served, by path without the first slash. */
  readonly files = new Map<string, Uint8Array>();
  /** The paths that were asked for. */
  readonly requests: string[] = [];
  readonly #directory = mkdtempSync(join(tmpdir(), "robur-releases-"));
  readonly #server: Bun.Server<undefined>;

  /** Serves `versions`, the last of which is the newest. */
  constructor(versions: string[] = ["0.1.0"], key: KeyObject = generateKeyPairSync("ed25519").privateKey) {
    this.key = key;
    this.publicKey = rawPublicKey(key);
    this.#server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: (request) => this.#answer(request) });
    this.url = `http://127.0.0.1:${this.#server.port}/releases`;
    for (const version of versions)
      this.release(version, { x64: fakeRobur(version), arm64: fakeRobur(version) });
  }

  /** The variables with which the installer of the source tree can download from here. */
  get env(): Record<string, string> {
    return { ROBUR_BASE_URL: this.url, ROBUR_PUBLIC_KEY: this.publicKey };
  }

  /** The installer as it is published. */
  get installer(): string {
    return Buffer.from(this.file("install.sh")).toString();
  }

  release(version: string, executables: Partial<Record<Arch, string>>): void {
    const bytes = Object.entries(executables).map(([arch, script]): [Arch, Uint8Array] => [
      arch === "x64" ? "x64" : "arm64",
      Buffer.from(script),
    ]);
    const release = {
      version,
      commit: "0123abcd",
      key: this.key,
      baseUrl: this.url,
      executables: new Map(bytes),
    };
    writeRelease(this.#directory, release);
    for (const name of readdirSync(this.#directory, { recursive: true, encoding: "utf8" })) {
      const path = join(this.#directory, name);
      if (statSync(path).isFile()) this.files.set(name, readFileSync(path));
    }
  }

  file(name: string): Uint8Array {
    const bytes = this.files.get(name);
    if (bytes === undefined) throw new Error(`the test server has no ${name}`);
    return bytes;
  }

  /** Changes one byte in the middle of a file. */
  spoil(name: string): void {
    const bytes = Buffer.from(this.file(name));
    const middle = bytes.length >> 1;
    bytes.writeUInt8(bytes.readUInt8(middle) ^ 1, middle);
    this.files.set(name, bytes);
  }

  #answer(request: Request): Response {
    const path = new URL(request.url).pathname;
    this.requests.push(path);
    const bytes = this.files.get(path.replace("/releases/", ""));
    return bytes === undefined ? new Response("not here\n", { status: 404 }) : new Response(bytes);
  }

  [Symbol.dispose](): void {
    this.#server.stop(true);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
