// Run in a network namespace of its own by networked.test.ts: a unikernel on a network of robur's, through the death
// of its server. Prints one JSON line a fact. Arguments: the directory, and the image.
import { readFileSync } from "node:fs";
import { databasePath, openDatabase } from "../../src/db/open.ts";
import { hostAttachments } from "../../src/orchestrator/host-attachments.ts";
import { openOrchestrator } from "../../src/orchestrator/orchestrator.ts";
import { createVolume } from "../../src/orchestrator/volumes/volumes.ts";
import { ADMIN, name, refusal, value } from "./lab.ts";

const [directory = "", phase = "", netGuest = "", blkGuest = ""] = process.argv.slice(2);
const tell = (fact: string, what: unknown) => console.log(JSON.stringify([fact, what]));

function taps(): string[] {
  const { stdout } = Bun.spawnSync(["ip", "-j", "link", "show"]);
  const links = JSON.parse(stdout.toString()) as { ifname: string }[];
  return links.map(({ ifname }) => ifname).filter((one) => one.startsWith("rb"));
}

async function ping(address: string): Promise<boolean> {
  const child = Bun.spawn(["ping", "-q", "-c", "3", "-i", "0.1", "-w", "10", address], { stdout: "ignore" });
  return (await child.exited) === 0;
}

const db = openDatabase(databasePath(directory));
using attachments = hostAttachments(db, directory);
const orchestrator = openOrchestrator({ db, dataDirectory: directory, attachments, useCgroups: false });
await orchestrator.recovered;
const echo = name("echo");

if (phase === "first") {
  const image = value(await orchestrator.images.put(ADMIN, readFileSync(netGuest))).sha256;
  const disk = value(await orchestrator.images.put(ADMIN, readFileSync(blkGuest))).sha256;
  const config = {
    memoryMb: 8,
    addName: false,
    args: ["limit", "ip=10.0.42.9"],
    networks: [{ device: "service0", network: null, mac: null, address: "10.0.42.9" }],
    publish: [{ protocol: "udp" as const, hostAddress: null, hostPort: 7007, guestPort: 7 }],
  };
  const { unikernel } = value(await orchestrator.create(ADMIN, { name: echo, image, config }));
  tell("state", unikernel.state);
  tell("network", { ...unikernel.networks[0], tap: unikernel.networks[0]?.tap === null });
  tell("ping", await ping("10.0.42.9"));
  await createVolume({ db, dataDirectory: directory }, "disk", { size: 1 << 20, source: undefined, now: 0 });
  const blocks = [{ device: "storage", volume: "disk", sectorSize: null }];
  const checked = value(
    await orchestrator.create(ADMIN, {
      name: name("blk"),
      image: disk,
      config: { memoryMb: 8, addName: false, blocks, restart: { kind: "no" } },
    }),
  );
  tell("volume", [checked.unikernel.state, checked.unikernel.reason]);
  const missing = [{ device: "storage", volume: "nothing", sectorSize: null }];
  const without = await orchestrator.create(ADMIN, {
    name: name("without"),
    image: disk,
    config: { memoryMb: 8, blocks: missing, restart: { kind: "no" } },
  });
  tell("missing volume", without.ok ? without.value.unikernel.reason : refusal(without));
  value(await orchestrator.remove(ADMIN, name("without")));
  process.kill(process.pid, "SIGKILL");
}

const view = value(orchestrator.inspect(ADMIN, echo));
tell("adopted", view.state);
tell("interfaces", taps().length);
tell("ping again", await ping("10.0.42.9"));
const restarted = value(await orchestrator.restart(ADMIN, echo));
tell("restarted", restarted.unikernel.state);
tell("ping after a restart", await ping("10.0.42.9"));
value(await orchestrator.remove(ADMIN, echo, { force: true }));
tell("left", taps());
tell("leases", attachments.networks.records().leases.length);
await orchestrator.shutdown();
process.exit(0);
