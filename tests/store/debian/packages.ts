/** Small Debian packages, made by dpkg-deb. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface PackageFields {
  readonly name: string;
  readonly version: string;
  readonly architecture?: string;
  readonly compression?: "gzip" | "xz" | "zstd";
  readonly content?: string;
}

/** Writes a package into a directory, and answers its path. */
export function makePackage(directory: string, fields: PackageFields): string {
  const { name, version, architecture = "all", compression = "gzip", content = "hello\n" } = fields;
  const root = join(directory, `${name}-${version}-${compression}-${Bun.hash(content)}`);
  mkdirSync(join(root, "DEBIAN"), { recursive: true });
  mkdirSync(join(root, "usr/share", name), { recursive: true });
  writeFileSync(join(root, "usr/share", name, "file"), content);
  writeFileSync(
    join(root, "DEBIAN/control"),
    `Package: ${name}\nVersion: ${version}\nArchitecture: ${architecture}\nMaintainer: Nobody <nobody@example.org>\nDescription: A package for a test\n with a second line\n`,
  );
  const path = `${root}.deb`;
  const { exitCode, stderr } = Bun.spawnSync(
    [
      ...[
        "dpkg-deb",
        "--root-owner-group",
        `-Z${compression}`,
        "--uniform-compression",
        "--build",
        root,
        path,
      ],
    ],
    { env: { ...process.env, SOURCE_DATE_EPOCH: "1000000000" } },
  );
  if (exitCode !== 0) throw new Error(stderr.toString());
  return path;
}
