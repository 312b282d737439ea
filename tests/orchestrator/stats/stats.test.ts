import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { type InfluxTarget, pushInflux } from "../../../src/orchestrator/stats/influx-push.ts";
import { influxLines } from "../../../src/orchestrator/stats/influx.ts";
import {
  parseIo,
  parseNetDev,
  parseProcessStat,
  parseStatm,
  parseSwitches,
} from "../../../src/orchestrator/stats/parse.ts";
import { prometheusText } from "../../../src/orchestrator/stats/prometheus.ts";
import { pointBetween, rollUp, spanOf } from "../../../src/orchestrator/stats/roll-up.ts";
import type { StatsSample } from "../../../src/orchestrator/stats/sample.ts";
import { ADMIN, makeLab, name, until, value } from "../lab.ts";

const STAT =
  "42 (a) b (c) S 1 42 42 0 -1 4194304 900 0 3 0 250 150 0 0 20 0 1 0 123456 8388608 512 18446744073709551615 1 1 0";

test("figures of a process, whatever its name contains", () => {
  expect(parseProcessStat(STAT)).toEqual({
    userTime: 2_500_000,
    systemTime: 1_500_000,
    minorFaults: 900,
    majorFaults: 3,
    virtual: 8_388_608,
    resident: 512 * 4096,
  });
  expect(parseProcessStat("")).toBeUndefined();
  expect(parseSwitches("voluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n")).toEqual({
    voluntary: 12,
    involuntary: 3,
  });
  expect(parseIo("rchar: 10\nwchar: 20\nsyscr: 1\n")).toEqual({ read: 10, written: 20 });
  expect(parseIo("")).toBeUndefined();
  expect(parseStatm("2048 512 100 7 0 300 0\n")).toEqual({ text: 7, data: 300 });
});

test("figures of interfaces", () => {
  const text = `Inter-|   Receive                            |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
  rbt0:    1500      10    1    2    0     0          0         4     3000      20    5    6    0     7       0          0
`;
  expect(parseNetDev(text).get("rbt0")).toEqual({
    received: { bytes: 1500, packets: 10, errors: 1, dropped: 2, multicast: 4 },
    sent: { bytes: 3000, packets: 20, errors: 5, dropped: 6, multicast: 0 },
    collisions: 7,
  });
});

const link = { bytes: 100, packets: 2, errors: 0, dropped: 1, multicast: 3 };
const sample = (more: Partial<StatsSample> = {}): StatsSample => ({
  at: 61_000,
  userTime: 1_500_000,
  systemTime: 500_001,
  cpu: 0.25,
  resident: 8192,
  virtual: 1_000_000,
  minorFaults: 10,
  majorFaults: 1,
  voluntarySwitches: 5,
  involuntarySwitches: 6,
  readBytes: 7,
  writtenBytes: 8,
  textPages: 3,
  dataPages: 4,
  vmExits: null,
  hypercalls: null,
  tender: null,
  networks: [
    {
      device: "service",
      tap: "rbt0",
      mtu: 1500,
      fromGuest: link,
      toGuest: { ...link, bytes: 900 },
      collisions: 0,
    },
  ],
  startedAt: 1000,
  ...more,
});

test("influx lines as albatross-influx writes them", () => {
  expect(influxLines(name("family:my.web"), sample())).toBe(
    "resource_usage,vm=my.web utime=1.500000,stime=0.500001,maxrss=2i,ixrss=0i,idrss=0i,isrss=0i,minflt=10i,maxflt=1i," +
      "nswap=0i,inblock=0i,outblock=0i,msgsnd=0i,msgrcv=0i,nsignals=0i,nvcsw=5i,nivcsw=6i\n" +
      "kinfo_mem,vm=my.web vsize=1000000i,rss=2i,tsize=3i,dsize=4i,ssize=4i,cow_faults=0i,runtime=2000001i,uptime=60.000000\n" +
      "interface,vm=my.web,bridge=service send_queue_length=0i,max_send_queue_length=0i,send_queue_drops=0i,mtu=1500i," +
      "baudrate=0i,vm_to_host_packets=2i,vm_to_host_errors=0i,vm_to_host_bytes=100i,vm_to_host_mcast=3i," +
      "vm_to_host_dropped=1i,collisions=0i,host_to_vm_packets=2i,host_to_vm_errors=0i,host_to_vm_bytes=900i," +
      "host_to_vm_mcast=3i,host_to_vm_dropped=1i\n",
  );
  expect(influxLines(name("hello"), sample({ networks: [] }), true)).toStartWith("resource_usage,vm=:hello ");
});

test("counters that began anew count from zero", () => {
  const before = sample();
  const after = sample({ at: 71_000, minorFaults: 14 });
  expect(pointBetween(before, after)).toMatchObject({ minorFaults: 4, fromGuestBytes: 0, cpu: 0.25 });
  const restarted = sample({ at: 81_000, minorFaults: 3, startedAt: 75_000 });
  expect(pointBetween(after, restarted)).toMatchObject({
    minorFaults: 3,
    fromGuestBytes: 100,
    toGuestBytes: 900,
  });
});

test("hours made of minutes are what hours made of looks would be", () => {
  const points = fc.array(fc.record({ cpu: fc.integer({ min: 0, max: 100 }), faults: fc.nat(1000) }), {
    minLength: 6,
    maxLength: 60,
  });
  fc.assert(
    fc.property(points, (raw) => {
      const looks = raw.map(({ cpu, faults }, i) => ({
        ...pointBetween(undefined, sample({ at: i * 10_000, cpu: cpu / 100, minorFaults: faults })),
      }));
      const minutes = [...Map.groupBy(looks, ({ at }) => spanOf(at, 60_000))].map(([at, each]) =>
        rollUp(each, at),
      );
      const [once, twice] = [rollUp(looks, 0), rollUp(minutes, 0)];
      expect(twice.cpu).toBeCloseTo(once.cpu, 9);
      expect(twice.minorFaults).toBe(once.minorFaults);
      expect([twice.samples, twice.cpuMax]).toEqual([once.samples, once.cpuMax]);
    }),
  );
});

test("Prometheus's text", () => {
  const text = prometheusText([
    { name: name("a"), state: "running", restarts: 2, memoryMb: 32, sample: sample() },
    { name: name("b"), state: "stopped", restarts: 0, memoryMb: 8, sample: undefined },
  ]);
  expect(text).toContain('robur_unikernel_state{name="a",state="running"} 1\n');
  expect(text).toContain('robur_unikernel_state{name="b",state="running"} 0\n');
  expect(text).toContain('robur_unikernel_cpu_seconds_total{name="a",mode="user"} 1.5\n');
  expect(text).toContain('robur_unikernel_network_received_bytes_total{name="a",device="service"} 900\n');
  expect(text).not.toContain("vm_exits");
  // Each metric is described once, and every line is a comment or a value.
  for (const line of text.trimEnd().split("\n"))
    expect(line).toMatch(/^(# (HELP|TYPE) \w+ .+|\w+\{[^}]*\} \d[\d.e+-]*)$/);
  expect(prometheusText([])).toBe("");
});

test("running unikernels are measured, followed, pushed and rolled up", async () => {
  const received: string[] = [];
  using listener = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: (_socket, data) => void received.push(data.toString()) },
  });
  await using lab = makeLab({ statsIntervalMs: 20 });
  const { unikernel } = await lab.run("flood", "flood", { args: [] });
  const stop = new AbortController();
  const rounds = lab.orchestrator.stats.follow(ADMIN, stop.signal);
  const target: InfluxTarget = { host: "127.0.0.1", port: listener.port };
  const pushing = pushInflux({
    ...{ rounds, signal: stop.signal, target: () => target, report: () => undefined },
  });
  await until(
    "a figure of its work",
    () => (lab.orchestrator.stats.latest(ADMIN).get(name("flood"))?.cpu ?? 0) > 0,
  );
  const latest = lab.orchestrator.stats.latest(ADMIN).get(name("flood"))!;
  expect(latest.resident).toBeGreaterThan(0);
  expect(latest.writtenBytes).toBeGreaterThan(0);
  await until("lines to be pushed", () => received.join("").includes("resource_usage,vm=flood utime="));
  stop.abort();
  await pushing;
  const series = value(lab.orchestrator.stats.series(ADMIN, name("flood"), { resolution: "raw" }));
  expect(series.points.length).toBeGreaterThan(1);
  expect(lab.orchestrator.stats.prometheus()).toContain('robur_unikernel_resident_bytes{name="flood"}');
  await lab.close();
  await lab.open().recovered;
  // The minute that hadn't passed was written by the server that ended.
  const minutes = value(lab.orchestrator.stats.series(ADMIN, name("flood"), { resolution: "minute" }));
  expect(minutes.points[0]!.samples).toBeGreaterThan(0);
  expect(
    value(lab.orchestrator.stats.series(ADMIN, name("flood"), { resolution: "day" })).points.length,
  ).toBe(1);
  expect(value(lab.orchestrator.inspect(ADMIN, name("flood"))).pid).toBe(unikernel.pid);
});

test("a hvt guest's hypercalls and block requests are counted, and die with its process", async () => {
  await using lab = makeLab({ statsIntervalMs: 20 });
  await lab.run("ticks", "tick", { args: ["every=1"], memoryMb: 32 }, "hvt");
  const latest = () => lab.orchestrator.stats.latest(ADMIN).get(name("ticks"));
  const first = await until("counts", () => latest()?.tender ?? undefined);
  expect(first.calls.puts).toBeGreaterThan(0);
  expect(first.blockRead).toEqual({ requests: 0, bytes: 0 });
  await until("more of them", () => (latest()?.tender?.calls.puts ?? 0) > first.calls.puts + 5);
  expect(latest()!.vmExits).toBeGreaterThanOrEqual(latest()!.hypercalls!);
  const before = latest()!;
  value(await lab.orchestrator.restart(ADMIN, name("ticks")));
  const again = await until("counts of the next process", () => {
    const sample = latest();
    return sample !== undefined && sample.startedAt !== before.startedAt && sample.tender !== null && sample;
  });
  expect(again.tender!.calls.walltime).toBe(0);
  const prometheus = lab.orchestrator.stats.prometheus();
  expect(prometheus).toContain('robur_unikernel_hypercalls_total{name="ticks",kind="puts"}');
  expect(prometheus).toContain('robur_unikernel_block_bytes_total{name="ticks",kind="read"} 0\n');
});

test("pushing goes on when the listener comes back, changes its address, or is taken away", async () => {
  let count = 0;
  const said: string[] = [];
  const stop = new AbortController();
  const listen = (port: number) => {
    const sockets = new Set<Bun.Socket>();
    let text = "";
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => void sockets.add(socket),
        close: (socket) => void sockets.delete(socket),
        data: (_socket, data) => void (text += data.toString()),
      },
    });
    return {
      port: listener.port,
      lines: () => text,
      isQuiet: () => sockets.size === 0,
      end() {
        listener.stop(true);
        for (const socket of sockets) socket.terminate();
      },
    };
  };
  async function* rounds() {
    while (!stop.signal.aborted) {
      await Bun.sleep(2);
      count += 1;
      yield new Map([[name("a"), sample()]]);
    }
  }
  const first = listen(0);
  let target: InfluxTarget | undefined = { host: "127.0.0.1", port: first.port };
  const report = (level: string) => void said.push(level);
  const pushing = pushInflux({
    ...{ rounds: rounds(), signal: stop.signal, report, pauseMs: 4 },
    target: () => target,
  });
  await until("the first lines", () => first.lines().includes("kinfo_mem,vm=a "));
  first.end();
  await until("the loss to be told", () => said.includes("warning"));
  const rounded = count;
  await until("rounds without anybody", () => count > rounded + 5);
  const second = listen(first.port);
  await until("lines after the loss", () => second.lines().includes("kinfo_mem,vm=a "));
  expect(said).toEqual(["warning", "info"]);
  const third = listen(0);
  target = { host: "127.0.0.1", port: third.port, keepPath: true };
  await until("lines at the other place", () => third.lines().includes("kinfo_mem,vm=:a "));
  await until("the end of the old connection", second.isQuiet);
  target = undefined;
  await until("no connection", third.isQuiet);
  stop.abort();
  await pushing;
  second.end();
  third.end();
});
