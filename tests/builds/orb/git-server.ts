/** Git repositories of small files, served over HTTP by git's own server program. */
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const BACKEND = "/usr/lib/git-core/git-http-backend";

/** Serves the repositories below a directory. */
export interface GitServer {
  /** Makes NAME.git, or gives it one more commit, in which it holds exactly these files; answers the commit. */
  commit(name: string, files: Readonly<Record<string, string>>): string;
  /** The newest commit of NAME.git. */
  head(name: string): string;
  /** Answers requests below /git/. */
  answer(request: Request): Promise<Response>;
}

/** Always the same people and dates, so the same files have the same commit. */
const IDENTITY = {
  PATH: process.env["PATH"] ?? "",
  HOME: "/nonexistent",
  GIT_CONFIG_NOSYSTEM: "1",
  ...{ GIT_AUTHOR_NAME: "Tests", GIT_AUTHOR_EMAIL: "tests@example.org", GIT_AUTHOR_DATE: "1589138087 +0000" },
  ...{ GIT_COMMITTER_NAME: "Tests", GIT_COMMITTER_EMAIL: "tests@example.org" },
  GIT_COMMITTER_DATE: "1589138087 +0000",
};

export function gitServer(directory: string): GitServer {
  return {
    commit(name, files) {
      const bare = join(directory, `${name}.git`);
      const tree = join(directory, `${name}.tree`);
      const git = (...args: string[]) => {
        const ended = Bun.spawnSync(["git", `--git-dir=${bare}`, `--work-tree=${tree}`, ...args], {
          cwd: directory,
          env: IDENTITY,
        });
        if (!ended.success) throw new Error(`git ${args.join(" ")}: ${ended.stderr.toString()}`);
        return ended.stdout.toString().trim();
      };
      rmSync(tree, { recursive: true, force: true });
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(dirname(join(tree, path)), { recursive: true });
        writeFileSync(join(tree, path), text);
        if (text.startsWith("#!")) chmodSync(join(tree, path), 0o755);
      }
      git("init", "-q", "--initial-branch=main");
      git("config", "core.bare", "false");
      git("config", "http.receivepack", "false");
      git("add", "-A", ".");
      git("commit", "-q", "--allow-empty", "-m", "files");
      return git("rev-parse", "HEAD");
    },
    head(name) {
      const path = join(directory, `${name}.git/refs/heads/main`);
      return readFileSync(path, "utf8").trim();
    },
    async answer(request) {
      const { pathname, search } = new URL(request.url);
      const child = Bun.spawn([BACKEND], {
        env: {
          ...IDENTITY,
          GIT_PROJECT_ROOT: directory,
          GIT_HTTP_EXPORT_ALL: "1",
          PATH_INFO: pathname.replace(/^\/git/, ""),
          QUERY_STRING: search.slice(1),
          REQUEST_METHOD: request.method,
          CONTENT_TYPE: request.headers.get("content-type") ?? "",
          HTTP_CONTENT_ENCODING: request.headers.get("content-encoding") ?? "",
          GIT_PROTOCOL: request.headers.get("git-protocol") ?? "",
          REMOTE_ADDR: "127.0.0.1",
        },
        stdin: new Uint8Array(await request.arrayBuffer()),
        stdout: "pipe",
        stderr: "inherit",
      });
      return fromCgi(new Uint8Array(await new Response(child.stdout).arrayBuffer()));
    },
  };
}

/** Header lines, an empty line, and the body. */
function fromCgi(bytes: Uint8Array<ArrayBuffer>): Response {
  const end = Buffer.from(bytes).indexOf("\r\n\r\n");
  const headers = new Headers();
  let status = 200;
  for (const line of Buffer.from(bytes.subarray(0, end)).toString().split("\r\n")) {
    const [, name = "", value = ""] = /^([^:]+): *(.*)$/.exec(line) ?? [];
    if (name.toLowerCase() === "status") status = Number.parseInt(value, 10);
    else if (name !== "") headers.set(name, value);
  }
  return new Response(bytes.subarray(end + 4), { status, headers });
}
