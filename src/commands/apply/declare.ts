/** What a server has, as unikernels.toml. Pure. Applied again, it changes nothing. */
import { DEFAULT_CONFIG } from "../../orchestrator/api.ts";
import type { Policy, PolicyView, UnikernelConfig, UnikernelView } from "../../orchestrator/api.ts";
import { completeConfig } from "../../orchestrator/config.ts";
import { formatCpus, formatPublish, formatRestart } from "../client/config-text.ts";

/** `imageOf` says how an image is written. */
export function formatDeclaration(
  unikernels: readonly UnikernelView[],
  policies: readonly PolicyView[],
  imageOf: (unikernel: UnikernelView) => string,
): string {
  const tables = [
    ...policies.map(({ path, policy }) => [
      `[policies.${text(path === "" ? ":" : path)}]`,
      ...policyLines(policy),
    ]),
    ...unikernels.map((unit) => [`[unikernels.${text(unit.name)}]`, ...unikernelLines(unit, imageOf(unit))]),
  ];
  return tables.map((lines) => `${lines.join("\n")}\n`).join("\n");
}

function policyLines({ unikernels, memoryMb, cpus, blockMb, bridges }: Policy): string[] {
  return [
    `unikernels = ${unikernels}`,
    `memory = ${memory(memoryMb)}`,
    `cpus = ${text(formatCpus(cpus))}`,
    ...(blockMb === null ? [] : [`block = ${memory(blockMb)}`]),
    ...(bridges.length === 0 ? [] : [`networks = ${list(bridges)}`]),
  ];
}

/** Only what isn't so by default. */
function unikernelLines(unit: UnikernelView, image: string): string[] {
  const { config, name } = unit;
  // Networks are always written: another server might choose others.
  const completed = completeConfig(name, {}, { ...unit.image, devices: [] }, () => false);
  const usual: UnikernelConfig = completed.ok ? completed.value : DEFAULT_CONFIG;
  const lines: [key: keyof UnikernelConfig, line: string][] = [
    ["memoryMb", `memory = ${memory(config.memoryMb)}`],
    ["cpus", `cpus = ${text(formatCpus(config.cpus))}`],
    ["args", `args = ${list(config.args)}`],
    ["addName", `add-name = ${config.addName}`],
    ["addAddress", `add-address = ${config.addAddress}`],
    [
      "networks",
      tables("networks", config.networks, ({ device, network, mac, address }) => ({
        device,
        network,
        mac,
        address,
      })),
    ],
    [
      "blocks",
      tables("blocks", config.blocks, ({ device, volume, sectorSize }) => ({
        device,
        volume,
        "sector-size": sectorSize,
      })),
    ],
    ["publish", `publish = ${list(config.publish.map(formatPublish))}`],
    ["restart", `restart = ${text(formatRestart(config.restart))}`],
    ["priority", `priority = ${config.priority}`],
    ["labels", `labels = ${inline(config.labels)}`],
  ];
  return [
    `image = ${text(image)}`,
    ...lines.filter(([key]) => !Bun.deepEquals(config[key], usual[key])).map(([, line]) => line),
    ...(unit.desired === "running" ? [] : ["running = false"]),
  ];
}

function memory(mb: number): string {
  return text(mb % 1024 === 0 && mb > 0 ? `${mb / 1024}G` : `${mb}M`);
}

function tables<T>(
  key: string,
  items: readonly T[],
  toTable: (item: T) => Record<string, string | number | null>,
): string {
  if (items.length === 0) return `${key} = []`;
  return `${key} = [\n${items.map((item) => `  ${inline(toTable(item))},\n`).join("")}]`;
}

function inline(table: Readonly<Record<string, string | number | null>>): string {
  const pairs = Object.entries(table)
    .filter(([, value]) => value !== null)
    .map(
      ([key, value]) =>
        `${/^[\w-]+$/.test(key) ? key : text(key)} = ${typeof value === "string" ? text(value) : value}`,
    );
  return pairs.length === 0 ? "{}" : `{ ${pairs.join(", ")} }`;
}

function list(items: readonly string[]): string {
  return `[${items.map(text).join(", ")}]`;
}

/** A basic string: JSON's escapes are TOML's, but TOML wants one for DEL as well. */
function text(value: string): string {
  return JSON.stringify(value).replaceAll("\u007f", "\\u007f");
}
