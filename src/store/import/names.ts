/**
 * Names of another server that can't be names here. The original took any text for a job or a platform, `..` among
 * them. What a name becomes depends on nothing but the name, so that an import that is repeated finds its own again.
 * Pure.
 */
import { sha256Of } from "../../lib/sha256-of.ts";
import { type JobName, type Platform, parseJobName, parsePlatform } from "../api.ts";

const LONGEST = 128;
/** Enough to tell apart what became alike. */
const DIGITS = 8;

/** The job's name here: itself, or one that is like it and has a part of its SHA-256 behind. */
export function jobNameFor(text: string): JobName {
  return parseJobName(text) ?? parseJobName(replacement(text, "job"))!;
}

/** The platform's name here. */
export function platformFor(text: string): Platform {
  return parsePlatform(text) ?? parsePlatform(replacement(text, "platform"))!;
}

function replacement(text: string, otherwise: string): string {
  const clean = text
    .replaceAll(/[^A-Za-z0-9._+-]+/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "")
    .replace(/[^A-Za-z0-9]+$/, "");
  const base = clean === "" ? otherwise : clean.slice(0, LONGEST - DIGITS - 1);
  return `${base}-${sha256Of(text).slice(0, DIGITS)}`;
}

/** A user's name here, by the rules of accounts; undefined where nothing is left of it. */
export function userNameFor(text: string): string | undefined {
  const name = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]+/g, "-")
    .replace(/^[^a-z0-9]+/, "")
    .slice(0, 63);
  return name === "" ? undefined : name;
}

/**
 * A file's path within a build: without `./` and doubled slashes at its beginning or within. Undefined for one that
 * leads out of the build, is empty, too long or holds control characters.
 */
export function artifactPathFor(text: string): string | undefined {
  const parts = text.split("/").filter((part) => part !== "" && part !== ".");
  const path = parts.join("/");
  // oxlint-disable-next-line no-control-regex
  const isBad = path === "" || path.length > 1024 || /[\0-\x1f\x7f]/.test(path) || parts.includes("..");
  return isBad || text.startsWith("/") ? undefined : path;
}
