/**
 * What a release says of itself, once it is known to be genuine. Its files, as scripts/release.ts makes them and
 * install.sh reads them: SHA256SUMS, SHA256SUMS.sig over it (Ed25519), RELEASE, and an executable for each machine.
 */
import { type KeyObject, verify } from "node:crypto";
import { ReleaseError, UNCHANGED } from "./release-error.ts";
import type { Origin } from "./origin.ts";

export interface Release {
  readonly version: string;
  readonly commit: string;
  /** Where its files are. */
  readonly address: string;
  /** The SHA-256 of this machine's executable, unpacked. */
  readonly sha256: string;
  /** The name of its packed file, and that one's SHA-256. */
  readonly file: string;
  readonly packedSha256: string;
}

/** What a server answers for a small file is never larger. */
const SMALL_MAX = 1024 * 1024;
const SMALL_TIMEOUT_MS = 30_000;

/**
 * Fetches and checks what is known of a version, or of the newest. `arch` as in file names: x64 or arm64. Throws
 * ReleaseError unreachable, missing, not-genuine.
 */
export async function fetchRelease(
  { baseUrl, key }: Origin,
  version: string | undefined,
  arch: string,
): Promise<Release> {
  const address = version === undefined ? baseUrl : `${baseUrl}/v${version}`;
  const sums = await fetchSmall(`${address}/SHA256SUMS`);
  const signature = await fetchSmall(`${address}/SHA256SUMS.sig`);
  const description = await fetchSmall(`${address}/RELEASE`);
  const release = readRelease({ sums, signature, description, key, address, arch });
  // Signed as well, so that nobody can pass an old release off as another version.
  if (version !== undefined && release.version !== version) {
    throw notGenuine(address, `it holds version ${release.version}, not ${version}`);
  }
  return release;
}

export interface ReleaseFiles {
  readonly sums: Uint8Array;
  readonly signature: Uint8Array;
  readonly description: Uint8Array;
  readonly key: KeyObject;
  readonly address: string;
  readonly arch: string;
}

/** Checks the signature and what it signs. Pure. Throws ReleaseError not-genuine, missing. */
export function readRelease({ sums, signature, description, key, address, arch }: ReleaseFiles): Release {
  if (!verify(null, sums, key, signature)) {
    throw notGenuine(address, "SHA256SUMS is not signed by the key that robur was installed with");
  }
  const hashes = readHashes(Buffer.from(sums).toString());
  const sha256 = new Bun.CryptoHasher("sha256").update(description).digest("hex");
  if (hashes.get("RELEASE") !== sha256) throw notGenuine(address, "RELEASE is not the one that was signed");
  const fields = new Map(
    Buffer.from(description)
      .toString()
      .split("\n")
      .map((line) => [line.slice(0, line.indexOf(" ")), line.slice(line.indexOf(" ") + 1)]),
  );
  const name = `robur-linux-${arch}`;
  const file = `${name}.gz`;
  const unpacked = fields.get(name);
  const packedSha256 = hashes.get(file);
  const version = fields.get("version");
  if (version === undefined || !/^[0-9A-Za-z.+-]+$/.test(version))
    throw notGenuine(address, "it has no version");
  if (unpacked === undefined || packedSha256 === undefined) {
    throw new ReleaseError("missing", `robur ${version} has no executable for this machine (${arch})`);
  }
  return {
    version,
    commit: fields.get("commit") ?? "unknown",
    address,
    sha256: unpacked,
    file,
    packedSha256,
  };
}

function readHashes(text: string): Map<string, string> {
  const lines = text.split("\n").map((line) => /^([0-9a-f]{64}) {2}(\S+)$/.exec(line));
  return new Map(lines.filter((match) => match !== null).map(([, hash, name]) => [name!, hash!]));
}

async function fetchSmall(url: string): Promise<Uint8Array> {
  const response = await request(url, AbortSignal.timeout(SMALL_TIMEOUT_MS));
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of response.body ?? []) {
      length += chunk.length;
      if (length > SMALL_MAX) throw notGenuine(url, "it is far too large");
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof ReleaseError ? error : unreachable(url, error);
  }
  return Buffer.concat(chunks);
}

/** A whole answer's beginning. Throws ReleaseError unreachable and missing. */
export async function request(url: string, signal: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { signal, headers: { "accept-encoding": "identity" } });
  } catch (error) {
    throw unreachable(url, error);
  }
  if (response.status === 404) {
    throw new ReleaseError("missing", `there is no ${url}`, {
      why: `${UNCHANGED}`,
      hint: "another --version or --from",
    });
  }
  if (!response.ok) throw unreachable(url, `the server answers ${response.status}`);
  return response;
}

export function unreachable(url: string, cause: unknown): ReleaseError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ReleaseError("unreachable", `can't download ${url}; ${UNCHANGED}`, { why, cause });
}

export function notGenuine(where: string, why: string): ReleaseError {
  return new ReleaseError("not-genuine", `${where}: not a genuine release; ${UNCHANGED}`, {
    why: `${why}: the download is damaged, or somebody else made it`,
  });
}

/** Whether version `a` is older than (-1), the same as (0) or newer than (1) `b`, as semantic versions order. Pure. */
export function compareVersions(a: string, b: string): -1 | 0 | 1 {
  const [left, right] = [parts(a), parts(b)];
  for (let i = 0; i < Math.max(left.numbers.length, right.numbers.length); i++) {
    const difference = (left.numbers[i] ?? 0) - (right.numbers[i] ?? 0);
    if (difference !== 0) return difference < 0 ? -1 : 1;
  }
  // 1.0.0-rc.1 comes before 1.0.0.
  if (left.before.length === 0 || right.before.length === 0) {
    return left.before.length === right.before.length ? 0 : left.before.length > 0 ? -1 : 1;
  }
  for (let i = 0; i < Math.max(left.before.length, right.before.length); i++) {
    const order = compareWords(left.before[i], right.before[i]);
    if (order !== 0) return order;
  }
  return 0;
}

function parts(version: string): { numbers: number[]; before: string[] } {
  const [core = "", ...rest] = version.split("+", 1)[0]!.split("-");
  return { numbers: core.split(".").map(Number), before: rest.length === 0 ? [] : rest.join("-").split(".") };
}

function compareWords(a: string | undefined, b: string | undefined): -1 | 0 | 1 {
  if (a === b) return 0;
  if (a === undefined || b === undefined) return a === undefined ? -1 : 1;
  const areNumbers = /^\d+$/.test(a) && /^\d+$/.test(b);
  const isLess = areNumbers
    ? Number(a) < Number(b)
    : /^\d+$/.test(a)
      ? true
      : /^\d+$/.test(b)
        ? false
        : a < b;
  return isLess ? -1 : 1;
}
