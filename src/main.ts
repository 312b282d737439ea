/**
 * The executable. What it does depends on the name it was called by: `solo5-hvt` and `solo5-spt` are the tenders,
 * `builder-client` and `builder-worker` are builder's programs, `orb` is orb, anything else is `robur`. Every command
 * is loaded only when it is used, so that a tender never loads a server.
 */
import { readSmallFile } from "./linux/libc.ts";

/** The name this process was called by. The runtime puts its own in process.argv, the kernel keeps ours. */
function calledName(): string {
  const [path = ""] = (readSmallFile("/proc/self/cmdline") ?? "").split("\0", 1);
  return path.slice(path.lastIndexOf("/") + 1);
}

const name = calledName();
const argv = process.argv.slice(2);
if (/^solo5-hvt(\b|$)/.test(name)) {
  const { solo5Hvt } = await import("./commands/solo5-hvt.ts");
  solo5Hvt(name, argv);
} else if (/^solo5-spt(\b|$)/.test(name)) {
  const { solo5Spt } = await import("./commands/solo5-spt.ts");
  solo5Spt(name, argv);
} else if (/^builder-db(\b|$)/.test(name)) {
  const { builderDb } = await import("./commands/builder-db.ts");
  await builderDb(argv);
} else if (/^builder-inspect(\b|$)/.test(name)) {
  const { builderInspect } = await import("./commands/inspect-record.ts");
  await builderInspect(argv);
} else if (/^builder-client(\b|$)/.test(name)) {
  const { builderClient } = await import("./commands/builder-client.ts");
  await builderClient(argv);
} else if (/^builder-worker(\b|$)/.test(name)) {
  const { builderWorkerProgram } = await import("./commands/builder-worker.ts");
  await builderWorkerProgram(argv);
} else if (/^orb(\b|$)/.test(name)) {
  const [{ run }, orb] = await Promise.all([import("./commands/robur.ts"), import("./commands/orb.ts")]);
  await run(() => orb.main(argv, "orb"));
} else {
  const { robur } = await import("./commands/robur.ts");
  await robur(argv);
}
