/**
 * A build in the form that Debian's tools know, deb822 with `Format: 1.0` (deb-buildinfo(5)): what came out with its
 * sums, what was installed, and the environment. Packages of opam have no field of their own there, so they go into
 * one that begins with X-.
 */
export interface BuildinfoFacts {
  readonly source: string;
  readonly version: string;
  /** As Debian calls it: amd64, arm64. */
  readonly architecture: string;
  /** Milliseconds since 1970. */
  readonly builtAt: number;
  readonly buildPath: string | undefined;
  readonly outputs: readonly {
    readonly path: string;
    readonly size: number;
    readonly sha256: string;
    readonly md5?: string;
    readonly sha1?: string;
  }[];
  readonly systemPackages: readonly { readonly name: string; readonly version: string }[];
  readonly opamPackages: readonly { readonly name: string; readonly version: string }[];
  readonly environment: readonly (readonly [name: string, value: string])[];
}

/** The file's text. Values are one line each: what isn't printable is left out of them. */
export function formatBuildinfo(facts: BuildinfoFacts): string {
  const sums = (title: string, of: (output: BuildinfoFacts["outputs"][number]) => string | undefined) => {
    const lines = facts.outputs.flatMap((output) => {
      const sum = of(output);
      return sum === undefined ? [] : [` ${sum} ${output.size} ${oneLine(output.path).replaceAll(" ", "_")}`];
    });
    return lines.length === 0 ? [] : [`${title}:`, ...lines];
  };
  const installed = facts.systemPackages.map(
    ({ name, version }) => ` ${oneLine(name)} (= ${oneLine(version)})`,
  );
  const opam = facts.opamPackages.map(({ name, version }) => ` ${oneLine(name)} (= ${oneLine(version)})`);
  const environment = facts.environment.map(
    ([name, value]) => ` ${oneLine(name)}="${oneLine(value).replace(/["\\]/g, "\\$&")}"`,
  );
  const source = debianName(facts.source);
  return [
    "Format: 1.0",
    `Source: ${source}`,
    ...(facts.outputs.length === 0 ? [] : [`Binary: ${source}`]),
    `Architecture: ${oneLine(facts.architecture)}`,
    `Version: ${debianVersion(facts.version)}`,
    ...sums("Checksums-Md5", ({ md5 }) => md5),
    ...sums("Checksums-Sha1", ({ sha1 }) => sha1),
    ...sums("Checksums-Sha256", ({ sha256 }) => sha256),
    `Build-Architecture: ${oneLine(facts.architecture)}`,
    `Build-Date: ${rfc5322(facts.builtAt)}`,
    ...(facts.buildPath === undefined ? [] : [`Build-Path: ${oneLine(facts.buildPath)}`]),
    ...list("Installed-Build-Depends", installed, ","),
    ...list("X-Opam-Installed", opam, ","),
    ...list("Environment", environment, ""),
    "",
  ].join("\n");
}

/** Debian's names are small letters, digits and + - . */
function debianName(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9+.-]/g, "-")
    .replace(/^[^a-z0-9]+/, "");
}

/** Debian's versions begin with a digit: one that doesn't sorts before all that do. */
function debianVersion(version: string): string {
  const known = version.replace(/[^A-Za-z0-9.+~-]/g, "+");
  return /^\d/.test(known) ? known : `0~${known}`;
}

function list(title: string, lines: readonly string[], between: string): string[] {
  if (lines.length === 0) return [];
  const last = lines.length - 1;
  return [`${title}:`, ...lines.map((line, i) => (i === last ? line : line + between))];
}

function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\0-\x1f\x7f]/g, "");
}

/** `Wed, 25 Nov 2026 04:00:00 +0000` */
function rfc5322(milliseconds: number): string {
  return new Date(milliseconds).toUTCString().replace("GMT", "+0000");
}
