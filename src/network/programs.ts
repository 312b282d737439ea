/** Calling iproute2 and nft: argument lists, no shell, and their complaints as errors. */
import { NetworkError } from "./network-error.ts";

export interface Command {
  readonly program: "ip" | "nft";
  readonly args: readonly string[];
  /** Standard input. */
  readonly input?: string;
}

interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where system programs are, for users whose PATH leaves them out. */
const SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin";

/** The program's path, or undefined where it isn't installed. */
export function findProgram(name: string): string | undefined {
  return Bun.which(name, { PATH: `${process.env["PATH"] ?? ""}:${SYSTEM_PATH}` }) ?? undefined;
}

const PACKAGE: Readonly<Record<string, string>> = { ip: "iproute2", nft: "nftables", passt: "passt" };

/** The program's path. Throws NetworkError program-missing. */
export function needProgram(name: string): string {
  const path = findProgram(name);
  if (path !== undefined) return path;
  throw new NetworkError("program-missing", `${name} is not installed`, {
    why: "networks are made with it",
    hint: `sudo apt-get install ${PACKAGE[name] ?? name}`,
  });
}

/** Runs to the end. Throws NetworkError program-missing. */
export async function callProgram(command: Command): Promise<Ended> {
  const child = Bun.spawn([needProgram(command.program), ...command.args], {
    stdin: command.input === undefined ? "ignore" : new TextEncoder().encode(command.input),
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: SYSTEM_PATH, LC_ALL: "C" },
  });
  const [stdout, stderr, status] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { status, stdout, stderr };
}

/** Its output. Throws NetworkError program-failed, not-permitted or program-missing. */
export async function runProgram(command: Command): Promise<string> {
  const ended = await callProgram(command);
  if (ended.status === 0) return ended.stdout;
  throw complaint(command, ended);
}

/** The error for a program that said no. */
export function complaint(command: Command, { stderr }: Pick<Ended, "stderr">): NetworkError {
  const line = [command.program, ...command.args].join(" ");
  const said = stderr.trim().replace(/^RTNETLINK answers: /, "");
  if (/Operation not permitted|Permission denied/.test(stderr)) {
    return new NetworkError("not-permitted", "making networks is not permitted to this user", {
      why: `${line}: ${said}`,
      hint: "sudo robur …; for a service: AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW",
    });
  }
  return new NetworkError("program-failed", `${line} failed`, { why: said || "it gave no reason" });
}

/** What `ip -j` printed; nothing at all where it has nothing to say. */
export function parseJson(text: string): unknown[] {
  const parsed: unknown = text.trim() === "" ? [] : JSON.parse(text);
  return Array.isArray(parsed) ? parsed : [];
}
