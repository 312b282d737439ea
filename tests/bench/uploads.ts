/**
 * Builds that come in and are looked at, with the compiled server over loopback: records of 100 MiB, and a year of
 * daily builds of three jobs. What else is asked meanwhile must hardly wait, and the server's memory must not grow.
 * ROBUR_MANY: how many builds (default 120; 1,000 take a quarter of an hour).
 */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { TestServer } from "../commands/client-server.ts";
import { temporaryDirectory } from "../robur.ts";
import { type SampleRecord, recordBytes, utf8 } from "../store/builds/lab.ts";
import { changed, consoleOf, machineCode, switchExport } from "./daily-builds.ts";

const MIB = 1024 * 1024;
const BUILDS = Number(process.env["ROBUR_MANY"] ?? 120);
const JOBS = ["dns-primary", "hello", "tlstunnel"];
const DAY = 24 * 3_600_000;
/** What the store may take of one file per SHA-256. */
const MOST = 0.15;

let isGood = true;

/** Prints a figure, and whether it is what it should be. */
function say(what: string, figure: string, isMet = true): void {
  console.log(`  ${what.padEnd(44)} ${figure.padStart(12)}${isMet ? "" : "   missed"}`);
  if (!isMet) isGood = false;
}

await using server = await TestServer.start();
const made = await fetch("http://localhost/api/v1/users", {
  method: "POST",
  body: JSON.stringify({ name: "ci", password: "correct horse battery", role: "admin" }),
  headers: { "content-type": "application/json" },
  unix: server.socket,
});
if (made.status !== 201) throw new Error(await made.text());
const token = (await server.ok("token", "create", "ci", "bench", "--scope", "write")).trim();

function uuidOf(number: number): string {
  return `00000000-0000-4000-8000-${number.toString(16).padStart(12, "0")}`;
}

/** Over the socket, which has no limit of requests: of these, their number counts. */
async function send(record: Partial<SampleRecord>): Promise<void> {
  const body = (await recordBytes(record)) as Uint8Array<ArrayBuffer>;
  const answer = await fetch("http://localhost/upload", { method: "POST", body, unix: server.socket });
  if (answer.status !== 201) throw new Error(`${answer.status}: ${await answer.text()}`);
}

const resident = () =>
  Number(/^VmRSS:\s*(\d+)/m.exec(readFileSync(`/proc/${server.pid}/status`, "utf8"))![1]) * 1024;

/** Runs `work`, asks for pages meanwhile, and says how long those took and how much memory the server took more. */
async function measured(what: string, bytes: number, goal: number, work: () => Promise<void>): Promise<void> {
  const before = resident();
  let most = before;
  const over = new AbortController();
  const waits: number[] = [];
  const asking = (async () => {
    while (!over.signal.aborted) {
      const asked = performance.now();
      await (await fetch(`${server.address}${waits.length % 2 === 0 ? "/healthz" : "/job/hello"}`)).text();
      waits.push(performance.now() - asked);
      most = Math.max(most, resident());
      await Bun.sleep(5);
    }
  })();
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  over.abort();
  await asking;
  const speed = bytes / 1e6 / seconds;
  const p99 = waits.toSorted((a, b) => a - b)[Math.floor(waits.length * 0.99)]!;
  say(what, `${speed.toFixed(0)} MB/s`, speed >= goal);
  say(`  others wait meanwhile, p99 of ${waits.length}`, `${p99.toFixed(1)} ms`, p99 < 50);
  say("  memory more", `${((most - before) / MIB).toFixed(0)} MiB`, most - before < 64e6);
}

/** curl, as whoever uploads would; several transfers one after another. */
async function curl(transfers: readonly (readonly string[])[]): Promise<void> {
  for (const args of transfers) {
    const child = Bun.spawn(["curl", "-sSf", "-o", "/dev/null", ...args], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    if ((await child.exited) !== 0) throw new Error(`curl ${args.join(" ")}`);
  }
}

const ROUNDS = 4;

async function transfers(): Promise<void> {
  const size = 100 * MIB;
  const directory = temporaryDirectory();
  const sendFile = (file: string) => [
    ...["-H", `Authorization: Bearer ${token}`, "--data-binary", `@${join(directory, file)}`],
    `${server.address}/upload`,
  ];
  const uuids: string[] = [];
  const record = async (file: string, image: Uint8Array) => {
    const uuid = uuidOf(uuids.push(file));
    await Bun.write(join(directory, file), await recordBytes({ uuid, files: [["bin/hello.hvt", image]] }));
  };
  await record("first", machineCode(8 * MIB));
  const code = machineCode((ROUNDS + 1) * size);
  const rounds = Array.from({ length: ROUNDS }, (_, round) => round);
  for (const round of rounds)
    await record(`new ${round}`, code.subarray((round + 1) * size, (round + 2) * size));
  for (const round of rounds) await record(`known ${round}`, code.subarray(size, 2 * size));
  // What a server has once it has seen one upload and a page is no growth.
  await curl([sendFile("first"), [`${server.address}/job/hello`]]);
  const total = ROUNDS * size;
  const all = (name: string) => curl(rounds.map((round) => sendFile(`${name} ${round}`)));
  await measured(`upload of ${ROUNDS} records of 100 MiB`, total, 100, () => all("new"));
  await measured("the same again, known by now", total, 100, () => all("known"));
  const path = `/job/hello/build/${uuidOf(2)}/f/bin/hello.hvt`;
  await measured("download, as often", total, 400, () => curl(rounds.map(() => [server.address + path])));
  for (const number of uuids.keys()) await server.ok("build", "rm", "--yes", uuidOf(number + 1));
  await server.ok("store", "gc");
}

const databaseBytes = () =>
  ["robur.db", "robur.db-wal"].reduce(
    (sum, name) => sum + (statSync(join(server.data, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );

async function manyBuilds(): Promise<void> {
  const hashes = new Set<string>();
  let plain = 0;
  const began = databaseBytes();
  const files = JOBS.map((_, job) => ({
    image: machineCode(12 * MIB * (job + 1)).subarray(12 * MIB * job),
    debug: machineCode(12 * MIB * (job + 5)).subarray(12 * MIB * (job + 4)),
  }));
  const start = performance.now();
  for (let number = 0; number < BUILDS; number++) {
    const [job, day] = [number % JOBS.length, Math.floor(number / JOBS.length)];
    const one = files[job]!;
    one.image = changed(one.image, number, 0.03);
    one.debug = changed(one.debug, number + 7, 0.03);
    const name = JOBS[job]!;
    const startedAt = Date.UTC(2025, 0, 1) + day * DAY + job * 1000;
    const kept: SampleRecord["files"] = [
      [`bin/${name}.hvt`, one.image],
      [`${name}.hvt.debug`, one.debug],
      ["opam-switch", switchExport(number)],
      ["build-environment", "OS=linux"],
      ["system-packages", `zlib=1.${Math.floor(day / 30)}\n`],
    ];
    const console = consoleOf(number)
      .split("\n")
      .map((line, index) => ({ delta: BigInt(index) * 1_000_000n, text: utf8(line) }));
    for (const [, content] of kept) {
      const bytes = typeof content === "string" ? utf8(content) : content;
      const sha256 = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
      if (!hashes.has(sha256)) plain += bytes.length;
      hashes.add(sha256);
    }
    plain += console.reduce((sum, { text }) => sum + text.length + 1, 0);
    await send({
      name,
      uuid: uuidOf(number + 10),
      startedAt,
      finishedAt: startedAt + 60_000,
      console,
      files: kept,
    });
  }
  const seconds = (performance.now() - start) / 1000;
  const share = (databaseBytes() - began) / plain;
  say(`${BUILDS} builds: one file per SHA-256`, `${(plain / 1e6).toFixed(0)} MB`);
  say("  stored, of that", `${(100 * share).toFixed(1)} %`, share <= MOST);
  say("  each, with its making", `${((1000 * seconds) / BUILDS).toFixed(0)} ms`);
}

/** Median of twenty, the answer read to its end. */
async function pageTime(what: string, path: string, accept = "text/html"): Promise<void> {
  const times: number[] = [];
  for (let round = 0; round < 21; round++) {
    const start = performance.now();
    const answer = await fetch(`http://localhost${path}`, {
      ...{ redirect: "manual", headers: { accept }, unix: server.socket },
    });
    await answer.arrayBuffer();
    if (answer.status >= 400) throw new Error(`${path}: ${answer.status}`);
    times.push(performance.now() - start);
  }
  const median = times.toSorted((a, b) => a - b)[10]!;
  say(what, `${median.toFixed(1)} ms`, median < 20);
}

async function pages(): Promise<void> {
  // A thousand builds of one job, small ones: their number is what counts here.
  for (let number = 0; number < 1000; number++) {
    const startedAt = Date.UTC(2024, 0, 1) + number * 3_600_000;
    await send({
      ...{ name: "many", uuid: uuidOf(100_000 + number), startedAt, finishedAt: startedAt + 60_000 },
      files: [
        ["bin/many.hvt", `binary ${Math.floor(number / 2)}`],
        ["opam-switch", switchExport(number % 7)],
        ["build-environment", "OS=linux"],
        ["system-packages", `zlib=1.${Math.floor(number / 100)}\n`],
      ],
    });
  }
  const last = uuidOf(100_999);
  const json = "application/json";
  await pageTime("page of a job with 1,000 builds", "/job/many");
  await pageTime("  as JSON", "/job/many", json);
  await pageTime("  without the last half", "/job/many/failed");
  await pageTime("page of a build", `/job/many/build/${last}`);
  await pageTime("comparison", `/compare/${uuidOf(100_990)}/${last}`);
  await pageTime("  as JSON", `/compare/${uuidOf(100_990)}/${last}`, json);
  const sha256 = new Bun.CryptoHasher("sha256").update("binary 499").digest("hex");
  await pageTime("look-up of a hash", `/hash?sha256=${sha256}`);
  await pageTime("search", `/search?q=${sha256.slice(0, 12)}`);
  await pageTime("all jobs", "/all-builds");
}

await transfers();
await manyBuilds();
await pages();
if (!isGood) process.exitCode = 1;
