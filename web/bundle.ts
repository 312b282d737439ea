/**
 * Runs while the program is bundled (a macro), not in it: makes the browser's files and puts them into the program
 * as text. Names carry a hash of the content, so browsers may keep them for ever. The same sources give the same
 * bytes: nothing of the machine goes in.
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Bundle {
  /** By file name: `main-1a2b3c4d.js`. */
  readonly files: Readonly<Record<string, string>>;
  readonly script: string;
  readonly style: string;
  /** For the page with a terminal alone. */
  readonly terminalStyle: string;
  readonly icon: string;
}

/** Builds islands and styles, and takes the icon along. */
export function bundleWeb(): Bundle {
  const web = import.meta.dir;
  const out = mkdtempSync(join(tmpdir(), "robur-web-"));
  try {
    const { exitCode, stderr } = Bun.spawnSync(
      [
        ...[process.execPath, "build", "islands/main.ts", "styles/main.css", "styles/terminal.css"],
        ...["--target=browser", "--format=esm", "--splitting", "--minify-whitespace", "--minify-syntax"],
        ...["--sourcemap=none", "--production", "--public-path=/assets/", `--outdir=${out}`],
        ...["--entry-naming=[name]-[hash].[ext]", "--chunk-naming=part-[hash].[ext]"],
      ],
      { cwd: web, stdin: "ignore", stdout: "ignore", stderr: "pipe" },
    );
    if (exitCode !== 0) throw new Error(`the browser's files can't be made:\n${stderr.toString()}`);
    const files: Record<string, string> = {};
    for (const name of readdirSync(out).sort()) files[name] = readFileSync(join(out, name), "utf8");
    const icon = readFileSync(join(web, "icons/robur.svg"), "utf8");
    const hash = new Bun.CryptoHasher("sha256").update(icon).digest("hex").slice(0, 8);
    files[`robur-${hash}.svg`] = icon;
    return {
      files,
      script: find(files, /^main-.*\.js$/),
      style: find(files, /^main-.*\.css$/),
      terminalStyle: find(files, /^terminal-.*\.css$/),
      icon: `robur-${hash}.svg`,
    };
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

function find(files: Readonly<Record<string, string>>, pattern: RegExp): string {
  const [name, ...more] = Object.keys(files).filter((file) => pattern.test(file));
  if (name === undefined || more.length > 0) throw new Error(`not one file is like ${pattern}`);
  return name;
}
