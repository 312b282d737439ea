/** The form of a new unikernel: from fields to a request, or to what is wrong with which field. Pure. */
import type {
  BlockConfig,
  ImageView,
  NetworkConfig,
  PublishConfig,
  RestartPolicy,
  UnikernelConfig,
} from "../../orchestrator/api.ts";
import { DEFAULT_CONFIG } from "../../orchestrator/api.ts";
import { type UnikernelName, parseName } from "../../orchestrator/names.ts";

export interface Wanted {
  readonly name: UnikernelName;
  readonly config: Partial<UnikernelConfig>;
  readonly replace: boolean;
}

export type FormResult =
  | { readonly ok: true; readonly wanted: Wanted }
  | { readonly ok: false; readonly errors: Readonly<Record<string, string>> };

/** What an empty form shows. */
export function formDefaults(name: string): Record<string, string> {
  return {
    name,
    args: "",
    memory: String(DEFAULT_CONFIG.memoryMb),
    cpus: "",
    restart: "on-failure",
    priority: String(DEFAULT_CONFIG.priority),
    publish: "",
  };
}

/** Reads the form for an image, whose devices are fields. */
export function readDeployForm(fields: Readonly<Record<string, string>>, image: ImageView): FormResult {
  const errors: Record<string, string> = {};
  const field = (name: string) => fields[name]?.trim() ?? "";
  const check = <T>(name: string, value: T | undefined, complaint: string): T | undefined => {
    if (value === undefined) errors[name] = complaint;
    return value;
  };

  const name = check(
    "name",
    parseName(field("name")),
    "1 to 63 letters, digits, dots and dashes, not a dash first.",
  );
  const memoryMb = check(
    "memory",
    whole(field("memory"), 1, 16_777_216),
    "A whole number of MiB, such as 32.",
  );
  const priority = check("priority", whole(field("priority") || "50", 0, 1000), "A number from 0 to 1000.");
  const cpus = check("cpus", readCpus(field("cpus")), "Numbers of processors with commas, such as 0,1.");
  const publish = check(
    "publish",
    readPublish(field("publish")),
    "One a line, such as 8080:80 or 53:53/udp.",
  );
  const networks: NetworkConfig[] = [];
  const blocks: BlockConfig[] = [];
  for (const { name: device, type } of image.devices) {
    const chosen = field(`${type}.${device}`);
    const complaint = type === "net" ? "It wants a network." : "It wants a volume.";
    if (check(`${type}.${device}`, chosen || undefined, complaint) === undefined) continue;
    if (type === "net") networks.push({ device, network: chosen, mac: null, address: null });
    else blocks.push({ device, volume: chosen, sectorSize: null });
  }
  if (name === undefined || memoryMb === undefined || priority === undefined) return { ok: false, errors };
  if (cpus === undefined || publish === undefined || Object.keys(errors).length > 0)
    return { ok: false, errors };
  const args = lines(fields["args"] ?? "");
  const restart = readRestart(field("restart"));
  const config = {
    args,
    memoryMb,
    priority,
    networks,
    blocks,
    publish,
    restart,
    cpus: cpus.length === 0 ? null : cpus,
  };
  return { ok: true, wanted: { name, config, replace: field("replace") === "on" } };
}

function lines(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

function whole(text: string, least: number, most: number): number | undefined {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : -1;
  return value >= least && value <= most ? value : undefined;
}

function readCpus(text: string): number[] | undefined {
  if (text === "") return [];
  const numbers = text.split(/[\s,]+/).map((part) => whole(part, 0, 65_535));
  return numbers.every((number) => number !== undefined) ? numbers : undefined;
}

function readPublish(text: string): PublishConfig[] | undefined {
  const ports = lines(text).map((line): PublishConfig | undefined => {
    const [, host = "", guest = "", protocol = "tcp"] = /^(\d+):(\d+)(?:\/(tcp|udp))?$/.exec(line) ?? [];
    const hostPort = whole(host, 1, 65_535);
    const guestPort = whole(guest, 1, 65_535);
    if (hostPort === undefined || guestPort === undefined) return undefined;
    return { protocol: protocol === "udp" ? "udp" : "tcp", hostAddress: null, hostPort, guestPort };
  });
  return ports.every((port) => port !== undefined) ? ports : undefined;
}

function readRestart(text: string): RestartPolicy {
  if (text === "no" || text === "always") return { kind: text };
  return { kind: "on-failure", limit: null };
}
