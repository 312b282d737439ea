// Builds the test guests in this directory with gcc, each once for its sources and flags.
import { createHash, randomUUID } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

export type Target = "hvt" | "spt" | "virtio";

export type GuestOptions = {
  // The version in the ABI note. Version 1 of hvt and spt also has the older memory layout.
  abi?: number;
  // Macros, as NAME or NAME=VALUE. ABI_TARGET=N changes the target's number in the ABI note.
  defines?: string[];
  // With DWARF debug information.
  debug?: boolean;
};

const all: readonly Target[] = ["hvt", "spt", "virtio"];
const tenders: readonly Target[] = ["hvt", "spt"];

/** Every guest and the targets it exists for. */
export const guests: Readonly<Record<string, readonly Target[]>> = {
  abort: all,
  blk: all,
  blkbench: all,
  blkraw: ["hvt"],
  cmdline: all,
  crash: all,
  dumpcore: ["hvt"],
  exception: all,
  exit: all,
  flood: all,
  forbidden: ["spt"],
  fpu: all,
  globals: all,
  hello: all,
  hostile: ["hvt"],
  http: all,
  hypercalls: tenders,
  mft_maxdevices: tenders,
  net: all,
  net_2if: all,
  net_mtu: all,
  netbench: all,
  notls: all,
  output: all,
  poll: all,
  quiet: all,
  rnow: tenders,
  rnox: tenders,
  seccomp: ["spt"],
  sleep: all,
  ssp: all,
  tick: all,
  time: all,
  tls: all,
  wnox: tenders,
  xnor: tenders,
  xnow: tenders,
  zeropage: all,
};

const project = join(import.meta.dir, "../..");
const sources = import.meta.dir;
const kit = join(sources, "kit");
const base = join(project, "assets/hello");
const layout = join(base, "guest.ld");

const compileFlags = [
  ...["-std=gnu17", "-O2", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-fno-pic", "-fno-pie"],
  // On hosts that emulate guest code instruction by instruction, SSE fails.
  ...["-mno-red-zone", "-mgeneral-regs-only", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"],
  ...["-fstack-protector-explicit", "-mstack-protector-guard=global", "-fcf-protection=none", "-fno-ident"],
  ...[
    "-fno-tree-loop-distribute-patterns",
    "-ftls-model=local-exec",
    "-ffunction-sections",
    "-fdata-sections",
  ],
  ...[`-ffile-prefix-map=${project}=.`, "-I", base, "-I", kit],
];
const linkFlags = [
  ...["-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none", "-Wl,--gc-sections"],
  ...["-Wl,-z,max-page-size=4096", "-Wl,-z,noexecstack", "-Wl,-z,norelro", "-Wl,--no-warn-rwx-segments"],
];

const targetSources: Record<Target, string[]> = {
  hvt: [join(base, "hvt.c"), join(kit, "kit-hvt.c"), join(kit, "traps.c")],
  spt: [join(base, "spt.c"), join(kit, "kit-spt.c")],
  virtio: [
    ...[join(base, "virtio-boot.S"), join(base, "virtio.c")],
    ...[join(kit, "kit-virtio.c"), join(kit, "virtio-pci.c"), join(kit, "traps.c")],
  ],
};
const sharedSources = [join(base, "text.c"), join(kit, "kit.c"), join(kit, "echo.c")];

async function gcc(args: string[]): Promise<string> {
  const child = Bun.spawn(["gcc", ...args], {
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, LC_ALL: "C" },
  });
  const [output, errors, status] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  if (status !== 0) throw new Error(`gcc ${args.join(" ")}\nended with status ${status}:\n${errors}`);
  return output;
}

let version: Promise<string> | undefined;

/** The compiler's version, or undefined on a machine without gcc: then the tests that need guests are skipped. */
export function compilerVersion(): Promise<string> | undefined {
  if (Bun.which("gcc") === null) return undefined;
  return (version ??= gcc(["--version"]));
}

// Everything a guest is made of. Headers and other guests' sources are few, so each directory counts as a whole.
function hashInputs(guest: string, args: string[], compiler: string): string {
  const hash = createHash("sha256");
  for (const directory of [base, kit]) {
    for (const name of readdirSync(directory).sort()) {
      if (!/\.(c|h|S|ld)$/.test(name)) continue;
      hash
        .update(`${name}\0`)
        .update(readFileSync(join(directory, name)))
        .update("\0");
    }
  }
  hash.update(readFileSync(guest)).update(`\0${args.join("\0")}\0${compiler}`);
  return hash.digest("hex").slice(0, 32);
}

const running = new Map<string, Promise<string>>();

async function build(output: string, scriptArgs: string[], args: string[]): Promise<string> {
  if (existsSync(output)) return output;
  // Parallel test processes may build the same guest: each renames a whole file.
  const own = `${output}.${randomUUID()}`;
  try {
    await gcc([...scriptArgs, "-o", `${own}.ld`]);
    await gcc([...args, "-T", `${own}.ld`, "-o", own]);
    renameSync(own, output);
  } finally {
    rmSync(`${own}.ld`, { force: true });
    rmSync(own, { force: true });
  }
  return output;
}

/** Builds tests/guests/NAME.c and returns the path of the image. */
export async function buildGuest(name: string, target: Target, options: GuestOptions = {}): Promise<string> {
  if (!guests[name]?.includes(target)) throw new Error(`there is no guest ${name} for ${target}`);
  const compiler = await compilerVersion();
  if (compiler === undefined) throw new Error("gcc is missing; it builds the test guests");

  const source = join(sources, `${name}.c`);
  const abi = options.abi ?? (target === "virtio" ? 1 : 2);
  const defines = [
    `TARGET_${target.toUpperCase()}`,
    `ABI_VERSION=${abi}`,
    "WITH_TLS",
    ...(options.defines ?? []),
  ];
  const defineFlags = defines.map((define) => `-D${define}`);
  const scriptArgs = ["-E", "-P", "-x", "c", ...defineFlags, layout];
  const args = [
    ...[...compileFlags, ...(options.debug ? ["-g"] : []), ...linkFlags, ...defineFlags],
    ...[...targetSources[target], ...sharedSources, source],
  ];
  const directory = join(project, ".cache/guests", hashInputs(source, [...scriptArgs, ...args], compiler));
  const output = join(directory, `${name}.${target}`);
  mkdirSync(directory, { recursive: true });
  const job = running.get(output) ?? build(output, scriptArgs, args);
  running.set(output, job);
  return job;
}

// Run as a program: builds the guests named, or all of them, and prints their paths.
if (import.meta.main) {
  const wanted = process.argv.slice(2);
  for (const [name, targets] of Object.entries(guests)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    for (const target of targets) console.log(await buildGuest(name, target));
  }
}
