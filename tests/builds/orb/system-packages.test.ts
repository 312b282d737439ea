import { describe, expect, test } from "bun:test";
import { knownVersions, missingPackages } from "../../../src/builds/orb/system-packages.ts";

describe("recorded system packages", () => {
  test("are missing in another version, and lines that are none ask for nothing", () => {
    const list =
      "gcc=4:12.2.0-3\nlibc6=2.36-9+deb12u4\n--install=x\n$(reboot)=1\nzlib\nperl=5.36 -o x\nlibgmp-dev=2:6\n";
    expect(missingPackages(list, new Set(["gcc=4:12.2.0-3", "libc6=2.36-9"]))).toEqual([
      "libc6=2.36-9+deb12u4",
      "libgmp-dev=2:6",
    ]);
    expect(missingPackages("", new Set())).toEqual([]);
  });

  test("are had in the versions that the archive lists, of which there may be several", () => {
    const madison = [
      "       gcc | 4:12.2.0-3 | http://deb.debian.org/debian bookworm/main amd64 Packages",
      "     libc6 | 2.36-9+deb12u13 | http://deb.debian.org/debian-security bookworm-security/main amd64 Packages",
      "     libc6 | 2.36-9+deb12u10 | http://deb.debian.org/debian bookworm/main amd64 Packages",
      "nonsense",
      "",
    ].join("\n");
    expect([...knownVersions(madison)]).toEqual([
      "gcc=4:12.2.0-3",
      "libc6=2.36-9+deb12u13",
      "libc6=2.36-9+deb12u10",
    ]);
  });
});
