/**
 * A day in short, as somebody at the command line has it: the compiled server in a network namespace, unikernels of
 * both tenders with networks, a volume and a crash loop; the server is killed, and then everything.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { instanceOf } from "../../src/network/names.ts";
import { findTenders } from "../../src/orchestrator/process/identity.ts";
import { TestServer } from "../commands/client-server.ts";
import { buildGuest, compilerVersion } from "../guests/build.ts";
import { lacks, needsKvm } from "../needs.ts";
import { roburExecutable, until } from "../robur.ts";
import { HOST_ADDRESS, World, needsWorld } from "./network-world.ts";

const compiler = compilerVersion() === undefined ? "gcc is missing, which builds the test guests" : undefined;
const LIMIT = 120_000;
const WEB = "10.0.42.2";
const ECHO = "10.0.42.50";
/** Replies that are waited for between two moments of the day: half a second each way. */
const SOME_PINGS = 10;

/** What the test looks at of `robur ps --format json` and `robur events --format jsonl`. */
interface Shown {
  readonly name: string;
  readonly state: string;
  readonly pid: number | null;
  readonly restarts: number;
  readonly startedAt: number | null;
  readonly createdAt: number;
}
interface Told {
  readonly id: number;
  readonly kind: string;
  readonly unikernel: { readonly name: string } | null;
}

/** A ping each 50 ms until it is told to end, with the number of each reply. */
class Pings {
  readonly #child: Bun.Subprocess<"ignore", "pipe", "inherit">;
  readonly #read: Promise<void>;
  #text = "";

  constructor(world: World, address: string) {
    const child = Bun.spawn(world.in("host", ["ping", "-n", "-i", "0.05", address]), {
      stdin: "ignore",
      stdout: "pipe",
      env: { ...process.env, LC_ALL: "C" },
    });
    this.#child = child;
    this.#read = (async () => {
      const decoder = new TextDecoder();
      for await (const piece of child.stdout) this.#text += decoder.decode(piece, { stream: true });
    })();
  }

  get replies(): number[] {
    return [...this.#text.matchAll(/^\d+ bytes from .* icmp_seq=(\d+) .*$/gm)].map(([, n]) => Number(n));
  }

  async some(): Promise<void> {
    const enough = this.replies.length + SOME_PINGS;
    await until(`${SOME_PINGS} more replies`, () => this.replies.length >= enough);
  }

  /** Ends it. Throws unless every ping was answered, once and in order; the one under way may have no answer yet. */
  async end(): Promise<void> {
    this.#child.kill("SIGINT");
    await Promise.all([this.#read, this.#child.exited]);
    const { replies } = this;
    expect(replies).toEqual(replies.map((_, i) => i + 1));
    const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(this.#text) ?? [];
    expect(Number(received)).toBe(replies.length);
    expect(Number(sent) - Number(received)).toBeLessThanOrEqual(1);
  }
}

/** The numbers of a guest's lines `tick N`. */
function ticks(log: string): number[] {
  return [...log.matchAll(/^tick (\d+)$/gm)].map(([, number]) => Number(number));
}

function upTo(last: number): number[] {
  return Array.from({ length: last }, (_, i) => i + 1);
}

const missing = lacks(needsWorld("nft", "ping", "curl"), needsKvm(), compiler);

let world: World;
let server: TestServer;

beforeAll(async () => {
  if (missing) return;
  await roburExecutable();
  world = await World.make();
  server = new TestServer({ under: world.in("host", []) });
}, LIMIT);
afterAll(() => (missing ? undefined : world.end()));

async function shown(): Promise<Map<string, Shown>> {
  const all = JSON.parse(await server.ok("ps", "-a", "--format", "json")) as Shown[];
  return new Map(all.map((one) => [one.name, one]));
}

async function one(name: string): Promise<Shown> {
  return (await shown()).get(name)!;
}

async function told(): Promise<Told[]> {
  const lines = (await server.ok("events", "--format", "jsonl")).trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as Told);
}

function tenders(): number[] {
  return [...findTenders(instanceOf(server.data)).values()].map(({ pid }) => pid);
}

async function createAll(): Promise<void> {
  const web = await buildGuest("http", "spt");
  await server.ok("create", "web", web, "-p", "8080:80", "--priority", "30", "--restart", "always");
  const echo = await buildGuest("net", "hvt");
  const device = ["--net", `service0=service,ip=${ECHO}`];
  await server.ok("create", "echo", echo, ...device, "--priority", "10", "--", `ip=${ECHO}`);
  const clock = await buildGuest("tick", "spt");
  await server.ok("create", "clock", clock, "--priority", "20", "--", "every=20");
  const crash = await buildGuest("crash", "spt");
  await server.ok("create", "crash", crash, "--restart", "on-failure", "--no-wait");
  await server.ok("volume", "create", "disk", "--size", "1M");
  const store = await buildGuest("blk", "spt");
  await server.ok("create", "store", store, "--block", "storage=disk", "--restart", "always", "--no-wait");
}

const HEALTHY = ["echo", "clock", "web"];

test.skipIf(missing)(
  "a day: a server that is killed loses no ping, no line and no count; all killed, all return in order",
  async () => {
    const before = await world.snapshot();
    await server.up();
    await createAll();
    const hello = `hello from ${WEB} to 10.0.42.1\n`;
    const isServed = async () => (await world.fetch("host", `${HOST_ADDRESS}:8080`)) === hello;
    expect(await isServed()).toBe(true);
    const crashed = await until("the crash loop to be one", async () => {
      const crash = await one("crash");
      return crash.restarts >= 2 && crash;
    });
    await until("the volume to have been used", async () => {
      return (await server.ok("logs", "store")).includes("SUCCESS");
    });

    // The server is killed, and another one comes.
    const pings = [WEB, ECHO].map((address) => new Pings(world, address));
    await Promise.all(pings.map((each) => each.some()));
    const morning = await shown();
    const consoles = new Map<string, string>();
    for (const name of morning.keys()) consoles.set(name, await server.ok("logs", name));
    await server.kill();
    await Promise.all(pings.map((each) => each.some()));
    expect(await isServed()).toBe(true);
    await server.up();
    await Promise.all(pings.map((each) => each.some()));
    const noon = await shown();
    for (const name of HEALTHY) {
      const { pid, startedAt, createdAt } = morning.get(name)!;
      expect(noon.get(name)).toMatchObject({ state: "running", pid, startedAt, createdAt, restarts: 0 });
    }
    for (const name of ["crash", "store"]) {
      expect(noon.get(name)!.restarts).toBeGreaterThanOrEqual(morning.get(name)!.restarts);
    }
    for (const [name, text] of consoles) expect(await server.ok("logs", name)).toStartWith(text);
    const seen = ticks(consoles.get("clock")!).length;
    const counted = await until("the clock to go on", async () => {
      const numbers = ticks(await server.ok("logs", "clock"));
      return numbers.length > seen + SOME_PINGS && numbers;
    });
    expect(counted).toEqual(upTo(counted.length));
    // Its pauses grow from try to try.
    const goesOn = async () => (await one("crash")).restarts > crashed.restarts;
    await until("the crash loop to go on", goesOn, LIMIT / 2);
    await Promise.all(pings.map((each) => each.end()));

    // Everything is killed, as by a loss of power.
    const last = (await told()).at(-1)!.id;
    await server.kill();
    const gone = tenders();
    expect(gone.length).toBeGreaterThanOrEqual(HEALTHY.length);
    for (const pid of gone) process.kill(pid, "SIGKILL");
    await until("all tenders to be gone", () => tenders().length === 0);
    await server.up();
    const evening = await until("all to be back", async () => {
      const now = await shown();
      const isBack = ({ name, state, pid }: Shown) => state === "running" && pid !== noon.get(name)!.pid;
      return HEALTHY.every((name) => isBack(now.get(name)!)) && now;
    });
    expect([...evening.keys()].toSorted()).toEqual([...morning.keys()].toSorted());
    const started = (await told()).filter(({ id, kind }) => id > last && kind === "running");
    const order = started.map(({ unikernel }) => unikernel!.name).filter((name) => HEALTHY.includes(name));
    expect(order).toEqual(HEALTHY);
    expect(await isServed()).toBe(true);
    for (const address of [WEB, ECHO]) {
      const again = new Pings(world, address);
      await again.some();
      await again.end();
    }
    // The console of the day before is still there, and the new one behind it.
    const numbers = await until("the clock to tick again", async () => {
      const all = ticks(await server.ok("logs", "clock"));
      return all.lastIndexOf(1) > 0 && all;
    });
    const turn = numbers.lastIndexOf(1);
    expect(turn).toBeGreaterThanOrEqual(counted.length);
    expect(numbers.slice(0, turn)).toEqual(upTo(turn));
    const used = (await server.ok("logs", "store")).split("SUCCESS").length;
    await until("the volume to be used again", async () => {
      return (await server.ok("logs", "store")).split("SUCCESS").length > used;
    });

    // Nothing is left of it.
    for (const name of evening.keys()) await server.ok("rm", "--yes", "--force", name);
    await server.ok("volume", "rm", "--yes", "disk");
    await server.down();
    expect(tenders()).toEqual([]);
    expect((await world.onHost("nft", "list", "ruleset")).stdout).toBe("");
    expect(await world.snapshot()).toBe(before);
    for (const { pid } of [...noon.values(), ...evening.values()]) {
      if (pid !== null) expect(existsSync(`/proc/${pid}`)).toBe(false);
    }
  },
  LIMIT,
);
