/** What a package's control file says, and the version that it gets here. Pure. */
import type { Sha256 } from "../api.ts";
import { DebianError } from "./debian-error.ts";

export interface Control {
  readonly name: string;
  readonly architecture: string;
  readonly version: string;
}

/** A line that begins a field, with the field's name. */
const FIELD = /^([!-9;-~]+):/;
/** What the list of packages says by itself. */
const OF_THE_LIST = new Set(["filename", "size", "sha256", "sha512", "sha1", "md5sum"]);

/** Throws DebianError for what isn't one paragraph of fields: in the list it would spoil the packages beside it. */
export function readControl(text: string): Control {
  checkParagraph(text);
  const field = (name: string) => new RegExp(`^${name}:[ \\t]*(.*)$`, "im").exec(text)?.[1]?.trim() ?? "";
  const control = { name: field("Package"), architecture: field("Architecture"), version: field("Version") };
  const isGood =
    /^[a-z0-9][a-z0-9+.-]{1,127}$/.test(control.name) && /^[a-z0-9-]{1,32}$/.test(control.architecture);
  if (isGood) return control;
  throw new DebianError("not-a-package", "the control file has no right name or architecture");
}

/** Simple fields have one line, any other goes on with blanks in front. */
function checkParagraph(text: string): void {
  const seen = new Set<string>();
  let name = "";
  for (const line of text.trimEnd().split("\n")) {
    // oxlint-disable-next-line no-control-regex
    if (/[\0-\x08\x0b-\x1f\x7f]/.test(line)) throw notControl("it has control characters");
    const goesOn = /^[ \t]+\S/.test(line);
    if (goesOn && name !== "" && !["package", "version", "architecture"].includes(name)) continue;
    name = FIELD.exec(line)?.[1]?.toLowerCase() ?? "";
    if (name === "") throw notControl(`${JSON.stringify(line.slice(0, 100))} is no field`);
    if (seen.has(name) || OF_THE_LIST.has(name))
      throw notControl(`the field ${name} can't be there, or is twice`);
    seen.add(name);
  }
}

function notControl(why: string): DebianError {
  return new DebianError("not-a-package", "the control file can't be read", { why });
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

/** A package's lines in a list of packages: its control file, and where it is. */
export function packageStanza(
  control: string,
  file: { readonly filename: string; readonly size: number; readonly sha256: string },
): string {
  return `${control.trimEnd()}\nFilename: ${file.filename}\nSize: ${file.size}\nSHA256: ${file.sha256}\n`;
}
