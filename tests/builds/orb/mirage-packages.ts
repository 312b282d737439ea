/**
 * What a MirageOS 4 unikernel's build is made of, in small imitations: mirage, opam-monorepo, repositories of overlays,
 * and a unikernel in git, whose lock file names a library in git without a hash and an archive.
 */
import { archive, hex } from "./archives.ts";
import type { GitServer } from "./git-server.ts";

export interface Sources {
  /** Of the server. */
  readonly url: string;
  readonly git: GitServer;
  add(name: string, version: string, body: string, source?: Uint8Array): void;
  serve(path: string, bytes: Uint8Array): void;
}

/** Says what a program's argument list begins with, does the rest. */
const MIRAGE = `#!/bin/sh
set -e
case "$1" in
  configure)
    [ "$2 $3 $4" = "--target hvt --no-extra-repo" ]
    mkdir -p mirage
    echo "hvt of $(opam var prefix)" > mirage/context
    printf 'lock:\\n\\topam monorepo lock mirage/net-hvt.opam\\ndepext-lockfile:\\n\\topam monorepo depext -y\\npull:\\n\\topam monorepo pull\\n' > Makefile
    ;;
  build)
    mkdir -p dist
    { cat mirage/context; for part in duniverse/*/part.txt; do echo "$part: $(cat "$part")"; done; pwd; } > dist/net.hvt
    ;;
  *) exit 2 ;;
esac
`;

/** Its lock file is one that the unikernel brings. */
const MONOREPO = `#!/bin/sh
set -e
case "$1" in
  lock) cp locked.txt mirage/net-hvt.opam.locked ;;
  depext) echo "depext: nothing to do" ;;
  pull)
    mkdir -p duniverse
    echo "(vendored_dirs *)" > duniverse/dune
    sed -n 's/^ *\\["\\([^"]*\\)" "\\([^"]*\\)".*/\\1 \\2/p' mirage/net-hvt.opam.locked | while read -r url dir; do
      case "$url" in
        git+*)
          git clone -q "$(echo "$url" | sed 's/^git+//; s/#.*//')" "duniverse/$dir"
          git -C "duniverse/$dir" checkout -q "\${url#*#}"
          rm -rf "duniverse/$dir/.git"
          ;;
        *)
          mkdir -p "duniverse/$dir"
          curl -sSf "$url" | tar -xz -C "duniverse/$dir" --strip-components=1
          ;;
      esac
    done
    ;;
  *) exit 2 ;;
esac
`;

const tool = (name: string, text: string) => archive({ [`${name}.sh`]: text }, name, "--gzip");
const installs = (name: string) => `install: ["install" "-D" "-m" "755" "${name}.sh" "%{bin}%/${name}"]\n`;

/** Repositories of overlays: packages that only a lock file names. */
const overlay = (name: string, version: string, body: string) => ({
  [`packages/${name}/${name}.${version}/opam`]: `opam-version: "2.0"\nmaintainer: "tests@example.org"\nsynopsis: "${name}"\n${body}`,
});

/** Adds the packages `net-hvt`, and `net-broken`, which can't be built; and `tree`, which needs `leaf`, in git. */
export function addMirage({ url, git, add, serve }: Sources): void {
  add("mirage", "4.5.0", installs("mirage"), tool("mirage", MIRAGE));
  add("opam-monorepo", "0.3.5", installs("opam-monorepo"), tool("opam-monorepo", MONOREPO));

  git.commit("opam-overlays", {
    repo: 'opam-version: "2.0"\n',
    ...overlay(
      "tcpip",
      "8.0+dune",
      'depends: ["dune" {>= "2.0"} "duration" "cstruct" {>= "6" & !with-test} "lwt" {with-test}]\n',
    ),
    ...overlay("duration", "0.2", 'depends: ["dune" ("no-such" | "ocaml")]\n'),
    ...overlay(
      "cstruct",
      "6.2",
      'depends: ["ocaml" {os = "linux"} "sexplib" {os = "plan9"} "fmt" {= version & build}]\n',
    ),
    ...overlay("dune", "3.0", 'depends: ["ocaml" {>= "4.08"}]\n'),
  });
  git.commit("mirage-overlays", {
    repo: 'opam-version: "2.0"\n',
    ...overlay("mirage-solo5", "0.9", 'depends: ["tcpip" {= version} | "cstruct" "duration" {post}]\n'),
    ...overlay("ocaml-solo5", "0.8", ""),
    ...overlay("ocaml", "4.14.1", ""),
  });

  const part = git.commit("duration", { "part.txt": "in git\n" });
  // What comes after the recorded commit is of no account.
  git.commit("duration", { "part.txt": "changed since\n" });
  const tcpip = archive({ "part.txt": "in an archive\n" }, "tcpip-8.0", "--gzip");
  serve("/vendored/tcpip.tar.gz", tcpip);
  git.commit("net", {
    "locked.txt": `opam-version: "2.0"
depends: [
  "tcpip" {= "8.0+dune" & ?vendor}
  "duration" {= "0.2" & ?vendor}
  "cstruct" {= "6.2" & ?vendor}
  "dune" {= "3.0"}
  "mirage-solo5" {= "0.9" & ?vendor}
  "ocaml-solo5" {= "0.8"}
  "ocaml" {= "4.14.1"}
]
x-opam-monorepo-duniverse-dirs: [
  ["git+${url}/git/duration.git#${part}" "duration"]
  ["${url}/vendored/tcpip.tar.gz" "tcpip" ["md5=${hex("md5", tcpip)}" "sha256=${hex("sha256", tcpip)}"]]
]
`,
    "config.ml": "(* a unikernel *)\n",
  });
  const net = (build: string) => `depends: [
  "mirage" {build & >= "4.5.0" & < "4.6.0"}
  "opam-monorepo" {build & >= "0.3.2"}
  "tcpip" {?monorepo & >= "8.0"}
  "duration" {?monorepo}
  "mirage-solo5" {?monorepo & >= "0.9"}
]
build: ["sh" "-exc" "${build}"]
install: ["install" "-D" "-m" "644" "dist/net.hvt" "%{bin}%/net.hvt"]
x-mirage-opam-lock-location: "mirage/net-hvt.opam.locked"
x-mirage-configure: ["sh" "-exc" "mirage configure --target hvt --no-extra-repo"]
x-mirage-pre-build: [make "lock" "depext-lockfile" "pull"]
x-mirage-extra-repo: [
  ["opam-overlays" "git+${url}/git/opam-overlays.git"]
  ["mirage-overlays" "git+${url}/git/mirage-overlays.git"]
]
x-opam-monorepo-opam-provided: ["ocaml" "ocaml-solo5"]
url {
  src: "git+${url}/git/net.git"
}
`;
  add("net-hvt", "1.0", net("mirage build"));
  add("net-broken", "1.0", net("exit 7"));
  // A library in git, that an ordinary package depends on.
  git.commit("leaf", { "leaf.txt": "from git\n" });
  add(
    "leaf",
    "1.0",
    `install: ["install" "-D" "-m" "644" "leaf.txt" "%{share}%/leaf/leaf.txt"]
url {
  src: "git+${url}/git/leaf.git"
}
`,
  );
  add(
    "tree",
    "1.0",
    `depends: ["leaf"]
install: ["install" "-D" "-m" "644" "%{leaf:share}%/leaf.txt" "%{bin}%/tree"]
`,
  );
}
