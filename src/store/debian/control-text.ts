/** What a package's control file says, and the version that it gets here. Pure. */
import type { Sha256 } from "../api.ts";
import { DebianError } from "./debian-error.ts";

export interface Control {
  readonly name: string;
  readonly architecture: string;
  readonly version: string;
}

/** Throws DebianError. */
export function readControl(text: string): Control {
  const field = (name: string) => new RegExp(`^${name}:[ \\t]*(.*)$`, "im").exec(text)?.[1]?.trim() ?? "";
  const control = { name: field("Package"), architecture: field("Architecture"), version: field("Version") };
  const isGood =
    /^[a-z0-9][a-z0-9+.-]{1,127}$/.test(control.name) && /^[a-z0-9-]{1,32}$/.test(control.architecture);
  if (isGood) return control;
  throw new DebianError("not-a-package", "the control file has no right name or architecture");
}

/**
 * `1.2.3` becomes `1.2.3-0-g0000000-20240904101112-SHA256`: builds of one version differ, and each is newer than
 * the ones before; the hash leads back to the build. Throws DebianError for other versions than `N.N.N` and
 * `N.N.N-COMMITS-gHEX`, which wouldn't sort so.
 */
export function publishedVersion(version: string, builtAt: number, sha256: Sha256): string {
  const upstream = /^\d+\.\d+\.\d+$/.test(version) ? `${version}-0-g0000000` : version;
  if (!/^\d+\.\d+\.\d+-\d+-g[0-9a-f]+$/.test(upstream)) {
    throw new DebianError("version", `the version ${JSON.stringify(version)} can't be published`, {
      why: "it is N.N.N, or N.N.N-COMMITS-gHEX as git describe says",
    });
  }
  const time = new Date(builtAt).toISOString().replaceAll(/[-:T]/g, "").slice(0, "20240904101112".length);
  return `${upstream}-${time}-${sha256}`;
}

/** The control file with that version. */
export function withVersion(text: string, version: string): string {
  return text.replace(/^Version:.*$/im, `Version: ${version}`);
}

/** A package's lines in a list of packages: its control file, and where it is. Empty lines would end them. */
export function packageStanza(
  control: string,
  file: { readonly filename: string; readonly size: number; readonly sha256: string },
): string {
  const lines = control.split("\n").filter((line) => line.trim() !== "");
  return `${lines.join("\n")}\nFilename: ${file.filename}\nSize: ${file.size}\nSHA256: ${file.sha256}\n`;
}
