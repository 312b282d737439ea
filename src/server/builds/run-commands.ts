/** How a build's binary is fetched, checked and run: lines for a terminal, from what the unikernel says of itself. Pure. */
import { shellWord } from "../../lib/shell-word.ts";
import type { BuildSummary, Platform } from "../../store/api.ts";
import { filePath } from "./paths.ts";

export interface CommandGroup {
  readonly title: string;
  readonly text: string;
}

/** `origin`: this server as its visitor reached it, `https://builds.example`. */
export function runCommands(build: BuildSummary, origin: string): CommandGroup[] {
  const { main, solo5, job } = build;
  if (main === undefined) return [];
  const file = main.path.slice(main.path.lastIndexOf("/") + 1);
  // It is no option, whatever it begins with.
  const name = shellWord(file.startsWith("-") ? `./${file}` : file);
  const fetch = `curl -fLo ${name} ${shellWord(origin + filePath(build, main.path))}\necho ${shellWord(`${main.sha256}  ${file}`)} | sha256sum -c`;
  const groups: CommandGroup[] = [{ title: "Download and verify", text: fetch }];
  if (file.endsWith(".deb")) {
    groups.push({
      title: "Install it by apt, and what is built after it",
      text: aptCommands(origin, build.platform),
    });
  }
  if (solo5 === undefined) return groups;
  const { target } = solo5.abi;
  const nets = solo5.manifest.devices.filter(({ type }) => type === "NET_BASIC").map((device) => device.name);
  const blocks = solo5.manifest.devices
    .filter(({ type }) => type === "BLOCK_BASIC")
    .map((device) => device.name);
  const words = (parts: readonly string[]) => parts.filter((part) => part !== "").join(" ");
  if (target === "hvt" || target === "spt") {
    const devices = [
      ...nets.map((net, i) => `${shellWord(net)}=tap${100 + i}`).map((text) => ["net", text] as const),
      ...blocks.map((block) => ["block", `${shellWord(block)}=${shellWord(`${block}.img`)}`] as const),
    ];
    // Networks come by themselves, and volumes that don't exist are made.
    const volumes = blocks.map((block) => `--block ${shellWord(`${block}=${block}`)}`);
    const size = blocks.length === 0 ? "" : "--size 64M";
    groups.push({ title: "Run it", text: words(["robur run", ...volumes, size, name]) });
    const tender = devices.map(([kind, text]) => `--${kind}:${text}`);
    groups.push({
      title: `Run it by solo5-${target}`,
      text: words([`solo5-${target}`, ...tender, "--", name]),
    });
    const albatross = [
      ...nets.map((net) => `--net ${shellWord(`${net}:service`)}`),
      ...blocks.map((block) => `--block ${shellWord(`${block}:${block}`)}`),
    ];
    groups.push({
      title: "Run it by albatross",
      text: words(["albatross-client create --mem=64", ...albatross, shellWord(job), name]),
    });
  }
  return groups;
}

const APT_KEY = "/etc/apt/keyrings/robur.asc";

/** How a machine is told of the packages that this server built: three lines. */
export function aptCommands(origin: string, platform: Platform): string {
  const source = `deb [signed-by=${APT_KEY}] ${origin}/deb ${platform} main`;
  return [
    `curl -fsSL ${shellWord(`${origin}/deb/robur.asc`)} | sudo tee ${APT_KEY} >/dev/null`,
    `echo ${shellWord(source)} | sudo tee /etc/apt/sources.list.d/robur.list`,
    "sudo apt update",
  ].join("\n");
}
