/** What the compiled server measures of real unikernels, and where it says so. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { totalCalls } from "../../src/tender/counter-page.ts";
import type { StatsSample } from "../../src/orchestrator/api.ts";
import { TestServer } from "../commands/client-server.ts";
import { buildGuest } from "../guests/build.ts";
import { until } from "../robur.ts";

setDefaultTimeout(120_000);

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

const ask = (path: string, init: RequestInit = {}) =>
  fetch(`http://localhost/api/v1${path}`, { ...init, unix: server.socket });
const set = (value: unknown) =>
  ask("/settings/influx", {
    method: "PUT",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ value }),
  });
async function sample(name: string): Promise<StatsSample | undefined> {
  const { stats } = (await (await ask("/stats")).json()) as { stats: Record<string, StatsSample> };
  return stats[name];
}

test("hypercalls and exits are those of the tender, also of one that is older than the server", async () => {
  await server.ok("create", "counted", await buildGuest("tick", "hvt"), "-m", "32M", "--", "every=10");
  await server.ok("create", "native", await buildGuest("tick", "spt"), "-m", "16M", "--", "every=10");
  const first = await until("counts", async () => {
    const found = await sample("counted");
    return found !== undefined && found.tender !== null && { ...found, tender: found.tender };
  });
  const { tender } = first;
  expect(tender.calls.puts).toBeGreaterThan(0);
  expect(tender.calls.poll).toBeGreaterThan(0);
  expect(tender.calls.netWrite).toBe(0);
  expect(first.hypercalls).toBe(totalCalls(tender));
  expect(first.vmExits).toBeGreaterThanOrEqual(first.hypercalls!);
  expect(await sample("native")).toMatchObject({ vmExits: null, hypercalls: null, tender: null });

  await server.kill();
  await server.up();
  const second = await until("counts of the next server", async () => {
    const found = await sample("counted");
    return found !== undefined && found.hypercalls !== null && found;
  });
  expect(second.startedAt).toBe(first.startedAt);
  expect(second.hypercalls).toBeGreaterThan(first.hypercalls!);
  const metrics = await (await fetch("http://localhost/metrics", { unix: server.socket })).text();
  expect(metrics).toMatch(/^robur_unikernel_vm_exits_total\{name="counted"\} [1-9]\d*$/m);
  expect(metrics).toMatch(/^robur_unikernel_hypercalls_total\{name="counted",kind="puts"\} [1-9]\d*$/m);
  expect(metrics).not.toContain('robur_unikernel_hypercalls_total{name="native"');
});

test("statistics are pushed where the setting says, from when it is set to when it isn't", async () => {
  for (const wrong of [7, { port: 1 }, { host: "a b" }, { host: "a", port: 0 }, { host: "a", hots: "b" }]) {
    const response = await set(wrong);
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ error: { code: "invalid-setting" } });
  }
  let received = "";
  let open = 0;
  using listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open: () => void (open += 1),
      close: () => void (open -= 1),
      data: (_socket, bytes) => void (received += bytes.toString()),
    },
  });
  expect((await set({ host: "127.0.0.1", port: listener.port })).status).toBe(200);
  await until("lines", () => received.includes("\nkinfo_mem,vm=native "));
  expect(received).toMatch(/^resource_usage,vm=counted utime=\d+\.\d{6},stime=/m);
  expect(received).toMatch(/^vmm,vm=counted vm_exits=\d+i,hypercalls=\d+i$/m);
  expect(received).not.toContain("vmm,vm=native");
  expect((await ask("/settings/influx", { method: "DELETE" })).status).toBe(200);
  await until("the connection's end", () => open === 0);
});

test("a volume is made only as large as the policy of its path allows", async () => {
  const limits = ["--unikernels", "2", "--memory", "64M", "--cpus", "0", "--block", "3M"];
  const policy = await server.robur(["policy", "set", "family", ...limits]);
  expect(policy).toMatchObject({ code: 0 });
  await server.ok("volume", "create", "family:a", "--size", "2M");
  const refused = await server.robur(["volume", "create", "family:b", "--size", "2M"]);
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain("leaves 1 MiB for volumes");
  expect((await server.robur(["volume", "resize", "family:a", "4M"])).code).not.toBe(0);
  await server.ok("volume", "resize", "family:a", "3M");
  const image = await buildGuest("blk", "spt");
  const args = ["-m", "16M", "--block", "storage=a"];
  await server.ok("create", "family:disk", image, ...args, "--no-start");
  // A file that somebody put there is a volume too, and counts.
  await Bun.write(join(server.data, "volumes", "family:b.img"), new Uint8Array(2 ** 20));
  const over = await server.robur(["start", "family:disk"]);
  expect(over.stderr).toContain("volumes");
  expect(over.code).not.toBe(0);
});
