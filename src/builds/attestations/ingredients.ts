/**
 * What went into a build, as in-toto's resources: opam packages and vendored sources by the hashes of what was
 * downloaded, system packages by name and version. Names are package URLs (purl). Pure; what can't be read is left out.
 */
import { readDuniverse } from "../../opam/duniverse.ts";
import { OpamError } from "../../opam/opam-error.ts";
import { type SwitchExport, readSwitchExport } from "../../opam/switch-export.ts";
import { elementsOf, fieldOf, sectionsOf, textOf } from "../../opam/syntax.ts";
import type { Resource } from "../../trust/statement.ts";

/** The texts of the three files; undefined where a build has none. */
export interface InputTexts {
  readonly opamSwitch: string | undefined;
  readonly environment: string | undefined;
  readonly systemPackages: string | undefined;
}

export interface NamedVersion {
  readonly name: string;
  readonly version: string;
}

/** Everything that went in, as far as the three files tell. */
export function ingredientsOf(inputs: InputTexts): Resource[] {
  const exported = readExport(inputs.opamSwitch);
  const environment = readEnvironment(inputs.environment ?? "");
  return [
    ...(exported === undefined ? [] : [...opamResources(exported), ...vendoredResources(exported)]),
    ...readSystemPackages(inputs.systemPackages ?? "").map((one) => systemResource(one, environment)),
  ];
}

/** The installed opam packages; none where the switch can't be read. */
export function opamPackagesOf(text: string | undefined): NamedVersion[] {
  return [...(readExport(text)?.installed ?? [])];
}

/** `KEY=VALUE` lines: a value may have `=` in it, and a later line of a key holds. */
export function readEnvironment(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split("\n")) {
    const at = line.indexOf("=");
    if (at > 0) found.set(line.slice(0, at), line.slice(at + 1));
  }
  return found;
}

/** `name=version` of Debian's kin, `name-version` of FreeBSD, whose versions have no dash. */
export function readSystemPackages(text: string): NamedVersion[] {
  return text.split("\n").flatMap((line) => {
    const equals = line.indexOf("=");
    const at = equals === -1 ? line.lastIndexOf("-") : equals;
    return at <= 0 ? [] : [{ name: line.slice(0, at), version: line.slice(at + 1) }];
  });
}

function readExport(text: string | undefined): SwitchExport | undefined {
  if (text === undefined) return undefined;
  try {
    return readSwitchExport(text);
  } catch (error) {
    if (error instanceof OpamError) return undefined;
    throw error;
  }
}

function opamResources({ installed, packages }: SwitchExport): Resource[] {
  return installed.map(({ name, version }) => {
    const uri = `pkg:opam/${encodeURIComponent(name)}@${encodeURIComponent(version)}`;
    const file = packages.get(name);
    const [url] = file === undefined ? [] : sectionsOf(file, "url");
    if (url === undefined) return { uri };
    const source = textOf(url, "src") ?? textOf(url, "archive") ?? textOf(url, "git");
    const digest = digestOf(
      elementsOf(fieldOf(url, "checksum")).flatMap((one) => (one.kind === "string" ? [one.value] : [])),
      source,
    );
    return { uri, ...located(source), ...digest };
  });
}

function vendoredResources(exported: SwitchExport): Resource[] {
  try {
    return [...readDuniverse(exported).values()].map(({ directory, url, hashes }) => ({
      name: directory,
      ...located(url),
      ...digestOf(
        hashes.map(({ kind, value }) => `${kind}=${value}`),
        url,
      ),
    }));
  } catch (error) {
    if (error instanceof OpamError) return [];
    throw error;
  }
}

function systemResource({ name, version }: NamedVersion, environment: ReadonlyMap<string, string>): Resource {
  const distribution = environment.get("OS_DISTRIBUTION") ?? "";
  const isDebian = environment.get("OS_FAMILY") === "debian" || distribution === "debian";
  const [architecture, qualified] = [DEBIAN_NAMES[environment.get("ARCH") ?? ""], name.split(":")];
  const path = `${encodeURIComponent(qualified[0]!)}@${encodeURIComponent(version)}`;
  const arch = qualified[1] ?? architecture;
  const query = arch === undefined ? "" : `?arch=${encodeURIComponent(arch)}`;
  return {
    uri: isDebian ? `pkg:deb/${encodeURIComponent(distribution)}/${path}${query}` : `pkg:generic/${path}`,
  };
}

/** opam's names of machines, and Debian's. */
export const DEBIAN_NAMES: Readonly<Record<string, string>> = {
  x86_64: "amd64",
  arm64: "arm64",
  arm32: "armhf",
  x86_32: "i386",
  ppc64: "ppc64el",
};

function located(url: string | undefined): Pick<Resource, "downloadLocation"> {
  return url === undefined ? {} : { downloadLocation: url };
}

/** `sha256=…`, `md5=…`, no prefix for MD5; and the commit at the end of a git address. */
function digestOf(sums: readonly string[], url: string | undefined): Pick<Resource, "digest"> {
  const digest: Record<string, string> = {};
  for (const sum of sums) {
    const [, kind = "md5", hex] = /^(?:(md5|sha256|sha512)=)?([0-9a-fA-F]{32,128})$/.exec(sum) ?? [];
    if (hex !== undefined) digest[kind] = hex.toLowerCase();
  }
  const [, commit] = /^git\+?.*#([0-9a-f]{40})$/.exec(url ?? "") ?? [];
  if (commit !== undefined) digest["gitCommit"] = commit;
  return Object.keys(digest).length === 0 ? {} : { digest };
}
