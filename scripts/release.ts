/**
 * Makes a directory of releases that install.sh and `robur upgrade` can download from.
 *
 *     BASE/install.sh              with this address and the public key filled in
 *     BASE/robur-linux-x64.gz      the newest version, for each machine
 *     BASE/RELEASE                 its version, commit, and the SHA-256 of each executable, unpacked
 *     BASE/SHA256SUMS              of the two above; not of install.sh, which is what checks them
 *     BASE/SHA256SUMS.sig          64 bytes: Ed25519 over SHA256SUMS
 *     BASE/vX/…                    the same four for version X, kept for ever
 *
 * RELEASE is signed through SHA256SUMS, so a server cannot hand out an old release as another version.
 * Everything is a function of the executable, the key and the address: made twice, it is the same.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  verify,
  type KeyObject,
} from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { formatError, RoburError } from "../src/lib/errors.ts";

const USAGE = `usage: bun scripts/release.ts --key FILE --base-url URL [--out DIR] [EXECUTABLE…]
       bun scripts/release.ts --new-key FILE

  --key FILE       sign with this Ed25519 key (PEM, PKCS 8)
  --base-url URL   the address that the files will have
  --out DIR        where to put them, beside the versions that are there (default: dist/release)
  EXECUTABLE…      one for each machine (default: dist/robur)
  --new-key FILE   make a key, and print the public key
`;

export type Arch = "x64" | "arm64";

export interface Release {
  version: string;
  commit: string;
  /** The executable of each machine, unpacked. */
  executables: ReadonlyMap<Arch, Uint8Array>;
  /** Ed25519. */
  key: KeyObject;
  /** Where clients will find the files: http or https. */
  baseUrl: string;
}

/** Something that stops a release. */
export class ReleaseError extends RoburError<"release"> {
  constructor(message: string, more: { why?: string; hint?: string } = {}) {
    super("release", message, more);
  }
}

/** Writes `release` to `out` and returns the names of the files, relative to `out`. */
export function writeRelease(out: string, release: Release): string[] {
  const files = releaseFiles(release);
  const versioned = `v${release.version}`;
  refuseToChange(join(out, versioned), files, release.version);

  const installer = readFileSync(join(import.meta.dir, "..", "install.sh"), "utf8");
  const filled = fillInstaller(installer, release.baseUrl, rawPublicKey(release.key));
  const all: [string, Uint8Array, mode?: number][] = [
    ...[...files].map(([name, bytes]): [string, Uint8Array] => [join(versioned, name), bytes]),
    ...files,
    ["install.sh", Buffer.from(filled), 0o755],
  ];
  mkdirSync(join(out, versioned), { recursive: true });
  for (const [name, bytes, mode] of all) replaceFile(join(out, name), bytes, mode ?? 0o644);
  return all.map(([name]) => name);
}

/** The files of one version, by name. The signature is last, as it is the last to be put in place. */
function releaseFiles({ version, commit, executables, key }: Release): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const description = [`version ${version}`, `commit ${commit}`];
  for (const [arch, bytes] of executables) {
    // gzip -9 -n: no name and no time in the header. By Bun's zlib, which is pinned, so the bytes are, too.
    files.set(`robur-linux-${arch}.gz`, gzipSync(bytes, { level: 9 }));
    description.push(`robur-linux-${arch} ${sha256(bytes)}`);
  }
  files.set("RELEASE", Buffer.from(`${description.join("\n")}\n`));
  const sums = Buffer.from([...files].map(([name, bytes]) => `${sha256(bytes)}  ${name}\n`).join(""));
  const signature = sign(null, sums, key);
  if (!verify(null, sums, createPublicKey(key), signature))
    throw new ReleaseError("the signature does not verify");
  return files.set("SHA256SUMS", sums).set("SHA256SUMS.sig", signature);
}

/** A version that was published stays what it was: someone may have it, and its hash written down. */
function refuseToChange(directory: string, files: ReadonlyMap<string, Uint8Array>, version: string): void {
  const published = join(directory, "SHA256SUMS");
  const sums = files.get("SHA256SUMS");
  if (!existsSync(published) || (sums && readFileSync(published).equals(sums))) return;
  throw new ReleaseError(`version ${version} was released before, with other content`, {
    why: `${published} says so`,
    hint: "raise the version in package.json, build and release again",
  });
}

/** Writes beside `path` and renames, so that a server that reads `path` meanwhile sees the old or the new. */
function replaceFile(path: string, bytes: Uint8Array, mode: number): void {
  writeFileSync(`${path}.new`, bytes);
  chmodSync(`${path}.new`, mode);
  renameSync(`${path}.new`, path);
}

/**
 * The installer as it is published: with the address it downloads from and the key it checks with.
 *
 * @param installer the text of install.sh of the source tree
 * @param publicKey the raw key, 32 bytes in base64
 */
export function fillInstaller(installer: string, baseUrl: string, publicKey: string): string {
  // Both end up between single quotes in a shell script.
  if (!/^https?:\/\/[^\s'"\\]+$/.test(baseUrl))
    throw new ReleaseError(`${baseUrl} is not an http or https address`);
  const filled = installer.replace("\nBASE_URL=''\n", `\nBASE_URL='${baseUrl.replace(/\/+$/, "")}'\n`);
  const both = filled.replace("\nPUBLIC_KEY=''\n", `\nPUBLIC_KEY='${publicKey}'\n`);
  if (filled === installer || both === filled)
    throw new ReleaseError("install.sh has no place for address and key");
  return both;
}

/** The public half of an Ed25519 key: 32 bytes in base64. */
export function rawPublicKey(key: KeyObject): string {
  const der = createPublicKey(key).export({ type: "spki", format: "der" });
  return der.subarray(-32).toString("base64");
}

/** Reads a private key that nobody else can read. */
export function readKey(path: string): KeyObject {
  if (!existsSync(path)) {
    throw new ReleaseError(`there is no key ${path}`, { hint: `bun scripts/release.ts --new-key ${path}` });
  }
  if (statSync(path).mode & 0o077) {
    throw new ReleaseError(`others may read the key ${path}`, { hint: `chmod 600 ${path}` });
  }
  const pem = readFileSync(path, "utf8");
  // createPrivateKey has its own words for what is not PEM at all.
  const key = pem.includes("PRIVATE KEY") ? createPrivateKey(pem) : undefined;
  if (key?.asymmetricKeyType !== "ed25519") {
    throw new ReleaseError(`${path} is no Ed25519 private key in PEM`);
  }
  return key;
}

/** Makes a private key at `path`, where nothing may be yet, and returns it. */
export function newKey(path: string): KeyObject {
  if (existsSync(path)) {
    throw new ReleaseError(`${path} exists already`, {
      why: "whoever installed a release signed by it could not upgrade any more",
      hint: "another file name",
    });
  }
  const { privateKey } = generateKeyPairSync("ed25519");
  // "wx" refuses what appeared since.
  writeFileSync(path, privateKey.export({ type: "pkcs8", format: "pem" }), { flag: "wx", mode: 0o600 });
  return privateKey;
}

/** Which machine an executable is for, by its ELF header. */
export function archOf(executable: Uint8Array, path: string): Arch {
  const header = new DataView(executable.buffer, executable.byteOffset, Math.min(executable.byteLength, 20));
  const isElf64LittleEndian =
    header.byteLength === 20 && header.getUint32(0) === 0x7f454c46 && header.getUint16(4) === 0x0201;
  const machine = isElf64LittleEndian ? header.getUint16(18, true) : undefined;
  if (machine === 62) return "x64";
  if (machine === 183) return "arm64";
  throw new ReleaseError(`${path} is not an executable for Linux on x86_64 or aarch64`);
}

/** Asks the executable for its version and commit: `robur 0.1.0 (commit abcdef)`. */
export function versionOf(path: string): { version: string; commit: string } {
  const { stdout } = Bun.spawnSync([resolve(path), "--version"], { stdin: "ignore", stderr: "ignore" });
  const answer = stdout.toString().trim();
  const [, version, commit] = /^robur ([0-9A-Za-z.+-]+) \(commit ([^)\s]+)\)$/.exec(answer) ?? [];
  if (version === undefined || commit === undefined) {
    throw new ReleaseError(`${path} does not tell its version`, {
      why: `it answers ${JSON.stringify(answer)}`,
    });
  }
  if (commit === "unknown" || commit.endsWith("-dirty")) {
    throw new ReleaseError(`${path} was built from sources that are in no commit`, {
      why: "nobody could build it again and compare",
      hint: "commit, then npm run build",
    });
  }
  return { version, commit };
}

function sha256(bytes: Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
}

/** Reads the executables; the version is that of the one that this machine can run. */
function readExecutables(paths: string[]): Pick<Release, "version" | "commit" | "executables"> {
  const executables = new Map<Arch, Uint8Array>();
  let native: string | undefined;
  for (const path of paths) {
    if (!existsSync(path)) throw new ReleaseError(`there is no ${path}`, { hint: "npm run build" });
    const bytes = readFileSync(path);
    const arch = archOf(bytes, path);
    if (executables.has(arch)) throw new ReleaseError(`${path} is the second executable for ${arch}`);
    executables.set(arch, bytes);
    if (arch === process.arch) native = path;
  }
  if (native === undefined) {
    throw new ReleaseError("none of the executables can tell its version", {
      why: `this machine is ${process.arch}, and none of them is for it`,
    });
  }
  return { ...versionOf(native), executables };
}

function parse(args: string[]) {
  return parseArgs({
    args,
    allowPositionals: true,
    options: {
      key: { type: "string" },
      "base-url": { type: "string" },
      out: { type: "string", default: join("dist", "release") },
      "new-key": { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
}

/** Returns the exit status. */
function main({ values, positionals }: ReturnType<typeof parse>): number {
  if (values["new-key"] !== undefined) {
    console.log(rawPublicKey(newKey(values["new-key"])));
    return 0;
  }
  if (values.help || values.key === undefined || values["base-url"] === undefined) {
    console.error(USAGE);
    return values.help ? 0 : 2;
  }
  const key = readKey(values.key);
  const executables = readExecutables(positionals.length > 0 ? positionals : [join("dist", "robur")]);
  const names = writeRelease(values.out, { ...executables, key, baseUrl: values["base-url"] });
  console.log(names.map((name) => join(values.out, name)).join("\n"));
  console.error(
    `robur ${executables.version} (commit ${executables.commit}), signed by ${rawPublicKey(key)}`,
  );
  return 0;
}

if (import.meta.main) {
  try {
    process.exitCode = main(parse(process.argv.slice(2)));
  } catch (error) {
    // parseArgs has a sentence for each mistake.
    const isUsage = error instanceof TypeError && "code" in error;
    process.stderr.write(isUsage ? `error: ${error.message}\n${USAGE}` : formatError(error));
    process.exitCode = isUsage ? 2 : 1;
  }
}
