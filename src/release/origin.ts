/**
 * Where this robur came from, and whose signature its successors must have. install.sh writes both down when it
 * installs a release, so that a server that is taken over later can't bring another key along:
 *
 *     /etc/robur/origin                  for root
 *     ~/.config/robur/origin             for anybody else (XDG_CONFIG_HOME is heeded)
 *
 *     base-url https://…
 *     public-key BASE64
 *
 * Flags come first, then ROBUR_BASE_URL and ROBUR_PUBLIC_KEY, which install.sh knows too, then this file.
 */
import { type KeyObject, createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ReleaseError } from "./release-error.ts";

export interface Origin {
  /** http or https, without a slash at the end. */
  readonly baseUrl: string;
  /** Ed25519. */
  readonly key: KeyObject;
}

export interface Asked {
  readonly from: string | undefined;
  readonly key: string | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The file's path for this user. */
export function originPath(environment: Environment, isRoot: boolean): string {
  if (isRoot) return "/etc/robur/origin";
  return join(environment["XDG_CONFIG_HOME"] || join(environment["HOME"] ?? "/", ".config"), "robur/origin");
}

/**
 * Where to upgrade from. `text`: the file's, or undefined. Pure. Throws ReleaseError no-origin and bad-key.
 */
export function chooseOrigin(asked: Asked, environment: Environment, text: string | undefined): Origin {
  const written = new Map(
    (text ?? "")
      .split("\n")
      .map((line) => [line.split(" ", 1)[0]!, line.slice(line.indexOf(" ") + 1).trim()]),
  );
  const baseUrl = asked.from ?? (environment["ROBUR_BASE_URL"] || written.get("base-url"));
  const key = asked.key ?? (environment["ROBUR_PUBLIC_KEY"] || written.get("public-key"));
  if (baseUrl === undefined || key === undefined) {
    const what = baseUrl === undefined ? "where releases of robur come from" : "whose releases to trust";
    throw new ReleaseError("no-origin", `it isn't known ${what}`, {
      why: "install.sh writes that down when it installs a release; this one was built from sources, or copied",
      hint:
        baseUrl === undefined ? "robur upgrade --from https://… --key BASE64" : "robur upgrade --key BASE64",
    });
  }
  if (!/^https?:\/\/[^\s]+$/.test(baseUrl)) {
    throw new ReleaseError("no-origin", `${baseUrl} is not an http or https address`);
  }
  return { baseUrl: baseUrl.replace(/\/+$/, ""), key: readPublicKey(key) };
}

/** The file's text, or undefined where there is none. */
export function readOrigin(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new ReleaseError("not-permitted", `can't read ${path}`, { cause: error });
  }
}

/** RFC 8410: the same twelve bytes stand before the 32 of every Ed25519 key. */
const DER_PREFIX = "302a300506032b6570032100";

/** A public key: 32 bytes in base64, or PEM. Throws ReleaseError bad-key. */
export function readPublicKey(text: string): KeyObject {
  const base64 = text.replaceAll(/-----[^-]+-----|\s/g, "");
  if (!/^[A-Za-z0-9+/]+=*$/.test(base64)) throw badKey(text);
  const bytes = Buffer.from(base64, "base64");
  const prefix = Buffer.from(DER_PREFIX, "hex");
  const der = bytes.length === 32 ? Buffer.concat([prefix, bytes]) : bytes;
  if (der.length !== 44 || !der.subarray(0, prefix.length).equals(prefix)) throw badKey(text);
  return createPublicKey({ key: der, format: "der", type: "spki" });
}

function badKey(text: string): ReleaseError {
  return new ReleaseError("bad-key", `this is no Ed25519 public key: ${text.trim().slice(0, 100)}`, {
    why: "it is 32 bytes in base64, or PEM",
  });
}
