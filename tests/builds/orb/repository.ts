/**
 * A small opam repository of our own, served on loopback: a compiler that is the system's, a library, a unikernel made
 * with gcc from assets/hello, one that embeds the time, one that embeds its place, and one that is built as MirageOS 4
 * unikernels are, with a lock file and vendored sources.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const HELLO = join(import.meta.dir, "../../../assets/hello");

export interface OpamRepository extends Disposable {
  /** For --repos: http://127.0.0.1:PORT */
  readonly url: string;
  readonly port: number;
  /** Paths that were asked for. */
  readonly requests: string[];
  /** Adds a file to what is served, or replaces it. */
  serve(path: string, bytes: Uint8Array): void;
}

const hex = (kind: "md5" | "sha256", bytes: Uint8Array) =>
  new Bun.CryptoHasher(kind).update(bytes).digest("hex");

/** An archive of some files, the same whenever it is made. `compress`: an option of tar. */
function archive(
  files: Readonly<Record<string, string | Uint8Array>>,
  top: string,
  compress: string,
): Uint8Array {
  const scratch = mkdtempSync(join(tmpdir(), "robur-test-archive-"));
  try {
    for (const [path, content] of Object.entries(files)) {
      const at = join(scratch, top, path);
      mkdirSync(dirname(at), { recursive: true });
      writeFileSync(at, content, { mode: path.endsWith(".sh") ? 0o755 : 0o644 });
    }
    const same = [
      "--sort=name",
      "--mtime=@0",
      "--owner=0",
      "--group=0",
      "--numeric-owner",
      "--mode=u+rw,go=rX",
    ];
    const made = Bun.spawnSync(["tar", "-c", compress, ...same, "-C", scratch, top === "" ? "." : top]);
    if (!made.success) throw new Error(made.stderr.toString());
    return made.stdout;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const PLAIN = 'opam-version: "2.0"\nmaintainer: "tests@example.org"\n';

/** Serves the repository on a free port, or a given one. */
export function serveRepository(port = 0): OpamRepository {
  const files = new Map<string, Uint8Array>();
  const requests: string[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port,
    fetch(request) {
      const { pathname } = new URL(request.url);
      requests.push(pathname);
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
  const index = archive(packages, "", "--gzip");
  serve("/index.tar.gz", index);
  serve("/repo", new TextEncoder().encode(packages["repo"]!));
  return { url, port: server.port!, requests, serve, [Symbol.dispose]: () => void server.stop(true) };
}

type Add = (name: string, version: string, body: string, source?: Uint8Array) => void;

function addPackages(add: Add, url: string, serve: OpamRepository["serve"]): void {
  add("conf-cc", "1", 'build: ["cc" "--version"]\nflags: conf\n');
  const greeting = archive({ "greeting.txt": "Hello\n" }, "greeting-1.0", "--gzip");
  add(
    "greeting",
    "1.0",
    'depends: ["conf-cc"]\ninstall: ["install" "-D" "-m" "644" "greeting.txt" "%{lib}%/greeting/greeting.txt"]\n',
    greeting,
  );
  for (const version of ["1.0", "1.1"]) {
    add(
      "hello",
      version,
      `depends: ["greeting" {= "1.0"}]
build: ["sh" "build.sh" "out"]
install: [
  ["install" "-D" "-m" "755" "out/hello.hvt" "%{bin}%/hello.hvt"]
  ["install" "-D" "-m" "644" "out/hello.spt" "%{share}%/hello/hello.spt"]
]
`,
      helloSource(version),
    );
  }
  add("broken", "1.0", 'depends: ["greeting"]\nbuild: ["false"]\n', greeting);
  add("half", "1.0", 'x-mirage-configure: ["true"]\n', greeting);
  add(
    "clock",
    "1.0",
    `depends: ["conf-cc"]
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
    `depends: ["conf-cc"]
build: ["sh" "-c" "pwd > place"]
install: ["install" "-D" "-m" "755" "place" "%{bin}%/placed.hvt"]
`,
    greeting,
  );
  addUnikernel(add, url, serve);
}

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
  return archive(files, `hello-${version}`, "--gzip");
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

function zipOf(files: Readonly<Record<string, string>>): Uint8Array {
  const scratch = mkdtempSync(join(tmpdir(), "robur-test-zip-"));
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(scratch, dirname(path)), { recursive: true });
      writeFileSync(join(scratch, path), text);
    }
    const tops = new Set(Object.keys(files).map((path) => path.split("/")[0]!));
    const made = Bun.spawnSync(["python3", "-m", "zipfile", "-c", "made.zip", ...tops], { cwd: scratch });
    if (!made.success) throw new Error(made.stderr.toString());
    return readFileSync(join(scratch, "made.zip"));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
