/**
 * Sandboxes made by docker or podman: their daemon or their program keeps the root file systems and the limits. A job
 * runs in exactly the image that is recorded, by its identifier.
 */
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { identify, isAlive } from "../../linux/processes.ts";
import type { Sandbox, SandboxWish, Sandboxes } from "./api.ts";
import { scriptCommand } from "./arguments.ts";
import { withBounds } from "./bounds.ts";
import { HOSTNAME, JOB_DIRECTORY, JOB_ENVIRONMENT, SCRIPT } from "./layout.ts";
import { definitionOf } from "./platforms.ts";
import { SYSTEM_PATH, call, needProgram } from "./programs.ts";
import { readIdentity } from "./remains.ts";
import { removeTree } from "./root-file-systems.ts";
import { SandboxError } from "./sandbox-error.ts";

export type ContainerProgram = "docker" | "podman";

export interface ContainerWish {
  readonly program: ContainerProgram;
  readonly name: string;
  readonly image: string;
  /** The host's directory that is JOB_DIRECTORY inside. */
  readonly directory: string;
  /** Is /usr/bin/orb inside. */
  readonly executable: string | undefined;
  readonly command: readonly string[];
  readonly wish: Pick<SandboxWish, "limits" | "network" | "hostname">;
}

/**
 * The arguments of docker or podman. Pure. Throws SandboxError no-sandbox for what they can't do: a choice of hosts,
 * and a limit for the disk.
 */
export function containerArguments({ program, name, image, ...rest }: ContainerWish): string[] {
  const { directory, executable, command, wish } = rest;
  const { limits, network, hostname = HOSTNAME } = wish;
  if (network.kind === "hosts")
    throw cannot(program, "let a job reach some hosts only", "network none or all");
  if (limits.diskMb !== undefined)
    throw cannot(program, "limit what a job writes", "no disk limit for this job");
  return [
    ...["run", "--rm", "--name", name, "--hostname", hostname],
    ...(network.kind === "none" ? ["--network", "none"] : []),
    ...["--security-opt", "no-new-privileges", "--cap-drop", "ALL"],
    ...["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "SETGID", "SETUID", "KILL"].flatMap((right) => [
      "--cap-add",
      right,
    ]),
    ...(limits.memoryMb === undefined
      ? []
      : ["--memory", `${limits.memoryMb}m`, "--memory-swap", `${limits.memoryMb}m`]),
    ...(limits.cpus === undefined ? [] : ["--cpus", String(limits.cpus)]),
    ...(limits.processes === undefined ? [] : ["--pids-limit", String(limits.processes)]),
    ...Object.entries(JOB_ENVIRONMENT).flatMap(([key, value]) => ["--env", `${key}=${value}`]),
    ...["--volume", `${directory}:${JOB_DIRECTORY}`],
    ...(executable === undefined ? [] : ["--volume", `${executable}:/usr/bin/orb:ro`]),
    ...["--workdir", JOB_DIRECTORY, image],
    ...command,
  ];
}

function cannot(program: ContainerProgram, what: string, hint: string): SandboxError {
  return new SandboxError("no-sandbox", `${program} can't ${what}`, {
    hint: `${hint}, or sandboxes of kind bwrap`,
  });
}

/** Where the two find their settings, images and daemon, a user's own also. Containers see none of these. */
const OWN_VARIABLES =
  /^(HOME|TMPDIR|XDG_(RUNTIME|CONFIG|DATA)_(DIR|HOME)|DBUS_SESSION_BUS_ADDRESS|(DOCKER|CONTAINERS?|REGISTRY|STORAGE)_\w+|(HTTPS?|NO)_PROXY)$/i;

/** Of a process's environment what docker and podman are given. */
export function ownVariables(
  environment: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) =>
      value !== undefined && OWN_VARIABLES.test(name) ? [[name, value] as const] : [],
    ),
  );
}

/** Sandboxes of one worker. Throws SandboxError no-sandbox where the program isn't installed. */
export function openContainers(
  dataDirectory: string,
  program: ContainerProgram,
  executable: string | undefined,
  onLine?: (line: string) => void,
): Sandboxes {
  const path = needProgram(program);
  const environment = ownVariables(process.env);
  const all = join(dataDirectory, "containers");
  mkdirSync(all, { recursive: true, mode: 0o700 });
  return {
    async prepare(wish) {
      const { image } = definitionOf(dataDirectory, wish.platform);
      const id = await needImage({ program, path, environment }, image, onLine);
      const name = `robur-build-${crypto.randomUUID()}`;
      return prepareContainer({ all, program, path, environment, name, image, id, executable }, wish);
    },
    shell: async () => undefined,
    async sweep() {
      for (const name of readdirSync(all)) {
        const owner = readIdentity(join(all, name, "owner.json"));
        if (owner !== undefined && isAlive(owner)) continue;
        await call([path, ...removal(program, name)], { environment });
        await removeTree(join(all, name), OWN);
      }
    },
  };
}

/** At once: docker kills what it is to remove, podman waits for ten seconds. */
const removal = (program: ContainerProgram, name: string) => [
  ...["rm", "--force", ...(program === "podman" ? ["--time", "0"] : []), name],
];

/** What containers leave is this process's user's, as far as it may be removed at all. */
const OWN = { under: [] };

/** An image's identifier; it is fetched if need be. Throws SandboxError no-sandbox. */
async function needImage(
  { program, path, environment }: Pick<ContainerPlace, "program" | "path" | "environment">,
  image: string,
  onLine: ((line: string) => void) | undefined,
): Promise<string> {
  const inspect = () => call([path, "image", "inspect", "--format", "{{.Id}}", image], { environment });
  let asked = await inspect();
  if (asked.status !== 0) {
    onLine?.(`${program} pull ${image}`);
    const pulled = await call([path, "pull", "--quiet", image], { onLine, environment });
    asked = pulled.status === 0 ? await inspect() : pulled;
  }
  const id = asked.stdout.trim();
  if (asked.status === 0 && /^(sha256:)?[0-9a-f]{64}$/.test(id)) return id;
  throw new SandboxError("no-sandbox", `${program} has no image ${image}`, {
    why: asked.stderr.trim().split("\n").at(-1) || `it calls it ${JSON.stringify(id.slice(0, 80))}`,
    hint: `${program} info, and "image" in the platform's definition.json`,
  });
}

interface ContainerPlace {
  readonly all: string;
  readonly program: ContainerProgram;
  readonly path: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly name: string;
  readonly image: string;
  readonly id: string;
  readonly executable: string | undefined;
}

async function prepareContainer(place: ContainerPlace, wish: SandboxWish): Promise<Sandbox> {
  const { all, program, path, environment, name, image, id, executable } = place;
  const home = join(all, name);
  const directory = join(home, "build");
  const command = scriptCommand(wish.script, `${JOB_DIRECTORY}/${SCRIPT}`);
  const bounded = { ...wish, limits: withBounds(wish.limits) };
  const run = containerArguments({ program, name, image: id, directory, executable, command, wish: bounded });
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(home, "owner.json"), JSON.stringify(identify("self")));
  for (const { name: file, content } of wish.files) {
    if (file === "" || file === "." || file === ".." || file === SCRIPT || /[/\0]/.test(file)) {
      throw new SandboxError("failed", `${JSON.stringify(file)} can't be the name of a job's file`);
    }
    writeFileSync(join(directory, file), content);
  }
  writeFileSync(join(directory, SCRIPT), wish.script);
  chmodSync(join(directory, SCRIPT), 0o755);
  const remove = () => call([path, ...removal(program, name)], { environment });
  return {
    argv: [path, ...run],
    environment: { PATH: SYSTEM_PATH, ...environment },
    directory,
    origin: { kind: program, packagesSha256: undefined, description: `${program} image ${image} (${id})` },
    async kill() {
      await remove();
    },
    async keep() {},
    async [Symbol.asyncDispose]() {
      await remove();
      await removeTree(home, OWN);
    },
  };
}
