/**
 * The store of contents: how fast bytes go in and out over loopback, what else the process can do meanwhile, and how
 * much room a year of daily builds takes. Baselines are the same bytes written to a file with fsync, and read from it.
 * ROBUR_MANY: how many builds (default 300). ROBUR_BENCH_MIB: bytes of one transfer (default 256).
 */
import { closeSync, fsyncSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDatabase } from "../../src/db/open.ts";
import { collect } from "../../src/store/collection/collect.ts";
import { storeStatistics } from "../../src/store/collection/statistics.ts";
import { openContentStore } from "../../src/store/contents/content-store.ts";
import { randomBytes } from "../store/bytes.ts";
import { changed, consoleOf, machineCode, switchExport } from "./daily-builds.ts";

const MIB = 1024 * 1024;
const SIZE = Number(process.env["ROBUR_BENCH_MIB"] ?? 256) * MIB;
const BUILDS = Number(process.env["ROBUR_MANY"] ?? 300);
/** Of one file per SHA-256, the most that the store may take. */
const MOST = 0.15;

const [mode, path] = process.argv.slice(2);
if (mode === "serve") serve(path!);
else await measure();

/** A server with nothing but the store: what the routes cost is measured elsewhere. */
function serve(path: string): void {
  const db = openDatabase(path);
  const contents = openContentStore(db);
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/rss") return new Response(String(process.memoryUsage.rss()));
      if (pathname === "/ping") return new Response("pong");
      if (request.method === "PUT") {
        await using session = contents.session();
        return new Response(String((await session.put(request.body!)).id));
      }
      return new Response(contents.read(contents.byId(Number(pathname.slice(1)))!));
    },
  });
  console.log(server.port);
}

async function measure(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "robur-bench-"));
  try {
    await measureSpeed(directory);
    await measureRoom(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measureSpeed(directory: string): Promise<void> {
  const child = Bun.spawn([process.execPath, import.meta.path, "serve", join(directory, "speed.db")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const { value } = await child.stdout.getReader().read();
    const base = `http://127.0.0.1:${new TextDecoder().decode(value).trim()}`;
    const bytes = machineCode(SIZE);
    const file = join(directory, "plain");
    const written = timed(() => writePlainly(file, bytes));
    const read = timed(() => readPlainly(file));
    console.log(`  a file, written with fsync   ${speed(written)}`);
    console.log(`  a file, read                 ${speed(read)}`);
    const put = () => fetch(`${base}/`, { method: "PUT", body: bytes }).then((answer) => answer.text());
    await fetch(`${base}/`, { method: "PUT", body: randomBytes(4 * MIB, 1) });
    const fresh = await transfer(base, put);
    console.log(
      `  upload, new                  ${speed(fresh.ms)}  ${(written / fresh.ms).toFixed(2)} of the file's  ${fresh.text}`,
    );
    const known = await transfer(base, put);
    console.log(
      `  upload, known                ${speed(known.ms)}  ${(written / known.ms).toFixed(2)} of the file's  ${known.text}`,
    );
    const get = async () => {
      let size = 0;
      for await (const piece of (await fetch(`${base}/${fresh.answer}`)).body!) size += piece.length;
      if (size !== SIZE) throw new Error(`${size} bytes came`);
      return "";
    };
    await get();
    const out = await transfer(base, get);
    console.log(
      `  download                     ${speed(out.ms)}  ${(read / out.ms).toFixed(2)} of the file's  ${out.text}`,
    );
  } finally {
    child.kill();
    await child.exited;
  }
}

interface Transfer {
  readonly ms: number;
  readonly answer: string;
  readonly text: string;
}

/** Runs `work` and asks meanwhile for something small, again and again. */
async function transfer(base: string, work: () => Promise<string>): Promise<Transfer> {
  const rss = async () => Number(await (await fetch(`${base}/rss`)).text());
  const before = await rss();
  let most = before;
  const over = new AbortController();
  const waits: number[] = [];
  const pinging = (async () => {
    while (!over.signal.aborted) {
      const asked = performance.now();
      await (await fetch(`${base}/ping`)).text();
      waits.push(performance.now() - asked);
      if (waits.length % 10 === 0) most = Math.max(most, await rss());
      await Bun.sleep(5);
    }
  })();
  const start = performance.now();
  const answer = await work();
  const ms = performance.now() - start;
  over.abort();
  await pinging;
  const sorted = waits.toSorted((a, b) => a - b);
  const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? 0;
  const text = `others wait ${p99.toFixed(1)} ms (p99 of ${waits.length}), memory +${((most - before) / MIB).toFixed(0)} MiB`;
  return { ms, answer, text };
}

function writePlainly(path: string, bytes: Uint8Array): void {
  const descriptor = openSync(path, "w");
  for (let at = 0; at < bytes.length;)
    at += writeSync(descriptor, bytes, at, Math.min(MIB, bytes.length - at));
  fsyncSync(descriptor);
  closeSync(descriptor);
}

function readPlainly(path: string): void {
  const descriptor = openSync(path, "r");
  const buffer = new Uint8Array(MIB);
  while (readSync(descriptor, buffer, 0, MIB, null) > 0);
  closeSync(descriptor);
}

function timed(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

function speed(ms: number): string {
  return `${(SIZE / 1e6 / (ms / 1000)).toFixed(0).padStart(5)} MB/s`;
}

/** A year of a job: each day 3 % of the image are another, and what is behind moves by a few bytes. */
async function measureRoom(directory: string): Promise<void> {
  const db = openDatabase(join(directory, "room.db"));
  const contents = openContentStore(db);
  const size = 12 * MIB;
  let [image, debug] = [machineCode(size), machineCode(2 * size).subarray(size)];
  let plain = 0;
  const start = performance.now();
  for (let day = 0; day < BUILDS; day++) {
    image = changed(image, day, 0.03);
    debug = changed(debug, day + 7, 0.03);
    const encoder = new TextEncoder();
    await using session = contents.session();
    for (const bytes of [image, debug, encoder.encode(switchExport(day)), encoder.encode(consoleOf(day))]) {
      plain += bytes.length;
      await session.put(bytes);
    }
  }
  const seconds = (performance.now() - start) / 1000;
  const { compressedBytes, databaseBytes, chunks } = storeStatistics(db);
  const ratio = databaseBytes / plain;
  console.log(
    `  ${BUILDS} builds: ${mb(plain)} of files are ${mb(compressedBytes)} in ${chunks} chunks, ${mb(databaseBytes)} on disk`,
  );
  console.log(
    `  stored size                  ${(100 * ratio).toFixed(1)} % of one file per SHA-256 (${seconds.toFixed(0)} s)`,
  );
  const beganAt = performance.now();
  let longest = 0;
  let last = performance.now();
  const watch = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 1);
  const { chunks: gone } = await collect(db, contents, { now: Date.now() + 2 * 3_600_000 });
  clearInterval(watch);
  const took = performance.now() - beganAt;
  console.log(
    `  collection of ${gone} chunks: ${took.toFixed(0)} ms, longest without a turn ${longest.toFixed(0)} ms`,
  );
  await contents[Symbol.asyncDispose]();
  db.close();
  if (ratio <= MOST) return;
  console.log(`  that is more than ${100 * MOST} %`);
  process.exitCode = 1;
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}
