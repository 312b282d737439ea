/**
 * How fast a page goes from a guest through a tap, robur's bridge and its NAT to a host on the LAN: under robur's
 * tender and under the original on PATH, on the same tap, in turns. `bun tests/bench/network.ts [ROUNDS] [MB]`.
 * The aim: a ratio of at least 0.95. Needs root, ip, nft, curl and gcc; all of it is in network namespaces of its
 * own.
 */
import { join } from "node:path";
import { unikernelMac } from "../../src/network/names.ts";
import { HOST_ADDRESS, World, needsWorld, ok } from "../e2e/network-world.ts";
import { buildGuest } from "../guests/build.ts";
import { until } from "../robur.ts";

const rounds = Number(process.argv[2] ?? 7);
const bytes = Number(process.argv[3] ?? 64) * 1_000_000;
const PROJECT = join(import.meta.dir, "../..");
const STEPS = join(PROJECT, "tests/e2e/networks-steps.ts");
const PORT = 8080;

type Kind = "robur" | "solo5-spt";

function tender(kind: Kind): string[] {
  return kind === "robur" ? [process.execPath, join(PROJECT, "src/main.ts"), "tender", "spt"] : [kind];
}

/** Megabytes a second of one page. */
async function measure(world: World, kind: Kind, image: string): Promise<number> {
  const options = ["--mem=32", "--net:service=rbt0", `--net-mac:service=${unikernelMac("bench", "service")}`];
  const guest = Bun.spawn(
    world.in("host", [...tender(kind), ...options, "--", image, "--ipv4=10.0.42.2/24"]),
    {
      stdio: ["ignore", "ignore", "inherit"],
    },
  );
  try {
    const url = `http://${HOST_ADDRESS}:${PORT}`;
    await until("the guest answers", async () => (await world.fetch("lan", url)).startsWith("hello"));
    const speed = await ok(
      ...world.in("lan", ["curl", "-sS", "-o", "/dev/null", "-w", "%{speed_download}", `${url}/${bytes}`]),
    );
    return Number(speed) / 1e6;
  } finally {
    guest.kill("SIGKILL");
    await guest.exited;
  }
}

const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

const missing = needsWorld("curl");
if (missing !== undefined) throw new Error(missing);
const world = await World.make();
const owner = Bun.spawn(["sleep", "3600"], { stdio: ["ignore", "ignore", "ignore"] });
try {
  const image = await buildGuest("http", "spt");
  const attach = ["attach", "bench", "", String(PORT), String(owner.pid)];
  await ok(...world.in("host", [process.execPath, STEPS, join(world.directory, "data"), ...attach]));
  const kinds: Kind[] = Bun.which("solo5-spt") === null ? ["robur"] : ["robur", "solo5-spt"];
  const speeds: Record<Kind, number[]> = { robur: [], "solo5-spt": [] };
  for (let round = 0; round < rounds; round++) {
    for (const kind of round % 2 === 0 ? kinds : kinds.toReversed()) {
      speeds[kind].push(await measure(world, kind, image));
    }
  }
  for (const kind of kinds) {
    console.log(`${kind.padEnd(10)} ${median(speeds[kind]).toFixed(1)} MB/s  (median of ${rounds})`);
  }
  if (kinds.length === 2) {
    const ratios = speeds.robur.map((speed, i) => speed / speeds["solo5-spt"][i]!);
    console.log(`ratio      ${median(ratios).toFixed(3)}  (aim: at least 0.95)`);
  }
} finally {
  owner.kill();
  await world.end();
}
