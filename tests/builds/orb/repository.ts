/**
 * A small opam repository of our own, served on loopback: the system's OCaml as the compiler, a library in OCaml, a
 * unikernel made with it and gcc from assets/hello, one that embeds the time, one that embeds its place, and two that
 * are built as MirageOS 4 unikernels are.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { archive, hex, zipOf } from "./archives.ts";
import { type GitServer, gitServer } from "./git-server.ts";
import { addMirage } from "./mirage-packages.ts";

const HELLO = join(import.meta.dir, "../../../assets/hello");
/** The programs that its packages are built with. */
export const REPOSITORY_NEEDS = ["opam", "ocamlopt", "gcc", "git", "curl", "rsync", "unzip", "python3"];

export interface OpamRepository extends Disposable {
  /** For --repos: http://127.0.0.1:PORT */
  readonly url: string;
  readonly port: number;
  /** Paths that were asked for. */
  readonly requests: string[];
  readonly git: GitServer;
  /** Adds a file to what is served, or replaces it. */
  serve(path: string, bytes: Uint8Array): void;
}

const PLAIN = 'opam-version: "2.0"\nmaintainer: "tests@example.org"\n';

/** Serves the repository on a free port, or a given one. */
export function serveRepository(port = 0): OpamRepository {
  const files = new Map<string, Uint8Array>();
  const requests: string[] = [];
  const place = mkdtempSync(join(tmpdir(), "robur-test-git-"));
  const git = gitServer(place);
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port,
    fetch(request) {
      const { pathname } = new URL(request.url);
      requests.push(pathname);
      if (pathname.startsWith("/git/")) return git.answer(request);
      const found = files.get(pathname);
      return found === undefined
        ? new Response("none", { status: 404 })
        : new Response(found as Uint8Array<ArrayBuffer>);
    },
  });
  const url = `http://127.0.0.1:${server.port}`;
  const serve = (path: string, bytes: Uint8Array) => void files.set(path, bytes);
  const packages: Record<string, string> = { repo: 'opam-version: "2.0"\n' };
  const add = (name: string, version: string, body: string, source?: Uint8Array) => {
    let text = `${PLAIN}synopsis: "${name} of the tests"\n${body}`;
    if (source !== undefined) {
      const path = `/src/${name}-${version}.tar.gz`;
      serve(path, source);
      text += `url {\n  src: "${url}${path}"\n  checksum: [\n    "md5=${hex("md5", source)}"\n    "sha256=${hex("sha256", source)}"\n  ]\n}\n`;
    }
    packages[`packages/${name}/${name}.${version}/opam`] = text;
  };
  addPackages(add, url, serve);
  addMirage({ url, git, add, serve });
  const index = archive(packages, "", "--gzip");
  serve("/index.tar.gz", index);
  serve("/repo", new TextEncoder().encode(packages["repo"]!));
  return {
    ...{ url, port: server.port!, requests, git, serve },
    [Symbol.dispose]() {
      void server.stop(true);
      rmSync(place, { recursive: true, force: true });
    },
  };
}

type Add = (name: string, version: string, body: string, source?: Uint8Array) => void;

/** As opam's own repository has it: there is the version that the system has, and no other. */
function addCompiler(add: Add): void {
  const version = Bun.spawnSync(["ocamlopt", "-version"]).stdout.toString().trim();
  add(
    "ocaml-system",
    version,
    `flags: compiler
available: sys-ocaml-version = "${version}"
build: ["ocamlopt" "-version"]
`,
  );
}

/** What the library says in the place of the unikernel's own words. */
export const GREETING = "Hello from OCaml!";

function addPackages(add: Add, url: string, serve: OpamRepository["serve"]): void {
  addCompiler(add);
  const greeting = archive({ "greeting.ml": `let text = "${GREETING}"\n` }, "greeting-1.0", "--gzip");
  add(
    "greeting",
    "1.0",
    `depends: ["ocaml-system"]
build: [
  ["ocamlopt" "-c" "greeting.ml"]
  ["ocamlopt" "-a" "greeting.cmx" "-o" "greeting.cmxa"]
]
install: [
  "install" "-D" "-m" "644" "-t" "%{lib}%/greeting" "greeting.cmi" "greeting.cmx" "greeting.cmxa" "greeting.a"
]
`,
    greeting,
  );
  for (const version of ["1.0", "1.1"]) {
    add(
      "hello",
      version,
      `depends: ["greeting" {= "1.0"}]
build: [
  ["ocamlopt" "-I" "%{lib}%/greeting" "greeting.cmxa" "greet.ml" "-o" "greet"]
  ["./greet" "hello.c"]
  ["sh" "build.sh" "out"]
]
install: [
  ["install" "-D" "-m" "755" "out/hello.hvt" "%{bin}%/hello.hvt"]
  ["install" "-D" "-m" "644" "out/hello.spt" "%{share}%/hello/hello.spt"]
]
`,
      helloSource(version),
    );
  }
  // A program of the operating system's, which opam is to install first.
  const depexts = 'depexts: [["hello"] {os-family = "debian" | os-family = "ubuntu"}]\nflags: conf\n';
  add("conf-hello", "1", `build: ["hello" "--version"]\n${depexts}`);
  add(
    "greeter",
    "1.0",
    `depends: ["conf-hello"]
build: ["sh" "-c" "hello > hello.txt"]
install: ["install" "-D" "-m" "644" "hello.txt" "%{bin}%/greeter"]
`,
    greeting,
  );
  add("broken", "1.0", 'depends: ["greeting"]\nbuild: ["false"]\n', greeting);
  add("endless", "1.0", 'build: ["sleep" "60"]\n');
  add("half", "1.0", 'x-mirage-configure: ["true"]\n', greeting);
  add(
    "clock",
    "1.0",
    `depends: ["ocaml-system"]
build: ["sh" "-c" "date +%s%N > now; echo same > same"]
install: [
  ["install" "-D" "-m" "755" "now" "%{bin}%/clock.hvt"]
  ["install" "-D" "-m" "644" "same" "%{share}%/clock/same"]
]
`,
    greeting,
  );
  add(
    "placed",
    "1.0",
    `depends: ["ocaml-system"]
build: ["sh" "-c" "pwd > place"]
install: ["install" "-D" "-m" "755" "place" "%{bin}%/placed.hvt"]
`,
    greeting,
  );
  addUnikernel(add, url, serve);
}

/** Puts the library's greeting in the place of the one in a C file. */
const GREET = `let own = "\\"Hello from robur!\\""
let rec replace text at =
  if String.sub text at (String.length own) = own then
    String.sub text 0 at ^ "\\"" ^ Greeting.text ^ "\\""
    ^ String.sub text (at + String.length own) (String.length text - at - String.length own)
  else replace text (at + 1)
let () =
  let input = open_in_bin Sys.argv.(1) in
  let text = really_input_string input (in_channel_length input) in
  let output = open_out_bin Sys.argv.(1) in
  output_string output (replace text 0);
  close_out output
`;

function helloSource(version: string): Uint8Array {
  const names = [
    "abi.h",
    "guest.h",
    "hello.c",
    "text.c",
    "hvt.c",
    "spt.c",
    "virtio.c",
    "virtio-boot.S",
    "guest.ld",
    "build.sh",
  ];
  const files = Object.fromEntries(names.map((name) => [name, readFileSync(join(HELLO, name))]));
  return archive({ ...files, "greet.ml": GREET }, `hello-${version}`, "--gzip");
}

/** Four vendored sources, packed in the four ways. */
function addUnikernel(add: Add, url: string, serve: OpamRepository["serve"]): void {
  const zip = zipOf({ "zipped-1/part.txt": "from a zip\n" });
  const sources: Readonly<Record<string, Uint8Array>> = {
    "gz.tar.gz": archive({ "part.txt": "from a tar.gz\n" }, "gz-1", "--gzip"),
    "bz2.tbz": archive({ "part.txt": "from a tbz\n" }, "bz2-1", "--bzip2"),
    "xz.txz": archive({ "part.txt": "from a txz\n" }, "xz-1", "--xz"),
    "zipped.zip": zip,
  };
  const lines = Object.entries(sources).map(([name, bytes]) => {
    serve(`/vendored/${name}`, bytes);
    const directory = name.split(".")[0];
    return `  ["${url}/vendored/${name}" "${directory}" ["sha256=${hex("sha256", bytes)}" "md5=${hex("md5", bytes)}"]]`;
  });
  const lock = `opam-version: "2.0"\nx-opam-monorepo-duniverse-dirs: [\n${lines.join("\n")}\n]\n`;
  const fetching = Object.keys(sources).map((name) => {
    const directory = name.split(".")[0];
    const get = `curl -sSf -o part.bin ${url}/vendored/${name} && mkdir -p duniverse/${directory}`;
    return name.endsWith(".zip")
      ? `${get} && unzip -q part.bin -d part && mv part/*/* duniverse/${directory}/ && rm -rf part part.bin`
      : `${get} && tar -xf part.bin -C duniverse/${directory} --strip-components=1 && rm part.bin`;
  });
  const source = archive(
    {
      "locked.txt": lock,
      "configure.sh": "#!/bin/sh\nset -e\nmkdir -p mirage\necho configured > mirage/configured\n",
      "lock.sh": `#!/bin/sh\nset -e\ncp locked.txt mirage/vendoring.opam.locked\nmkdir -p duniverse\n${fetching.join("\n")}\n`,
      "build.sh":
        "#!/bin/sh\nset -e\nmkdir -p dist\ncat mirage/configured duniverse/*/part.txt > dist/vendoring.hvt\npwd >> dist/vendoring.hvt\n",
    },
    "vendoring-1.0",
    "--gzip",
  );
  add(
    "vendoring",
    "1.0",
    `depends: ["greeting"]
build: ["sh" "-exc" "./build.sh"]
install: ["install" "-D" "-m" "755" "dist/vendoring.hvt" "%{bin}%/vendoring.hvt"]
x-mirage-configure: ["sh" "-exc" "./configure.sh"]
x-mirage-pre-build: ["sh" "-exc" "./lock.sh"]
x-mirage-opam-lock-location: "mirage/vendoring.opam.locked"
`,
    source,
  );
}
