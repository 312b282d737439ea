// SIGTERM and SIGINT end a guest at once, whatever it is doing.
import { describe, expect, test } from "bun:test";
import { closeSync, constants, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildGuest, compilerVersion } from "../../guests/build.ts";
import { lacks, needsCommands, needsKvm } from "../../needs.ts";
import { guestRuns, sleeps, statusField } from "../../process.ts";
import { command, environment, start, temporaryDirectory, until } from "../../robur.ts";
import { TENDERS, type Tender, bootArguments, startGuest } from "./guest.ts";

const NO_GCC = compilerVersion() === undefined ? needsCommands("gcc") : undefined;
const skip = lacks(needsKvm(), NO_GCC);

/** "At once", on a machine that has other things to do. */
const AT_ONCE_MS = 3000;
const SIGNALS = { SIGINT: 2, SIGTERM: 15 } as const;
type Signal = keyof typeof SIGNALS;

const scratch = temporaryDirectory();

/** An image whose first instruction jumps to itself. */
async function spinner(): Promise<string> {
  const path = join(scratch, "spin.hvt");
  const bytes = readFileSync(await buildGuest("hello", "hvt"));
  const entry = bytes.readBigUInt64LE(24);
  const table = Number(bytes.readBigUInt64LE(32));
  for (let at = table; at < table + bytes.readUInt16LE(56) * 56; at += 56) {
    const address = bytes.readBigUInt64LE(at + 16);
    const size = bytes.readBigUInt64LE(at + 32);
    if (bytes.readUInt32LE(at) !== 1 || entry < address || entry >= address + size) continue;
    bytes.set([0xeb, 0xfe], Number(bytes.readBigUInt64LE(at + 8) + entry - address));
  }
  writeFileSync(path, bytes);
  return path;
}

type Child = Bun.Subprocess<"ignore", "pipe", "pipe"> | Bun.Subprocess<"ignore", number, "pipe">;

/** Sends the signal and checks how the process ends. */
async function expectEnd(tender: Tender, child: Child, signal: Signal): Promise<void> {
  const stderr = child.stderr.text();
  const sent = performance.now();
  child.kill(signal);
  const timer = setTimeout(() => child.kill("SIGKILL"), AT_ONCE_MS + 5000);
  await child.exited;
  clearTimeout(timer);
  const took = performance.now() - sent;
  const number = SIGNALS[signal];
  const program = tender === "solo5-hvt" ? "solo5-hvt" : "robur";
  expect({ code: child.exitCode, signal: child.signalCode, stderr: await stderr }).toEqual({
    code: tender === "solo5-hvt" ? 1 : 128 + number,
    signal: null,
    stderr: `${program}: Exiting on signal ${number}\n`,
  });
  expect(took).toBeLessThan(AT_ONCE_MS);
}

for (const tender of TENDERS) {
  describe.skipIf(skip)(`${tender}, ended by a signal`, () => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const as = tender === "solo5-hvt" ? "solo5-hvt" : "robur";

      test(`${signal} ends a guest that computes and asks for nothing`, async () => {
        const child = await start(bootArguments(tender, await spinner()), { as });
        await guestRuns(child.pid);
        await expectEnd(tender, child, signal);
      });

      test(`${signal} ends a guest that sleeps`, async () => {
        const child = await startGuest(tender, "sleep");
        await guestRuns(child.pid);
        await sleeps(child.pid);
        await expectEnd(tender, child, signal);
      });

      test(`${signal} ends a guest that writes to a pipe nobody reads from`, async () => {
        const fifo = join(scratch, `fifo-${tender.replace(" ", "-")}-${signal}`);
        Bun.spawnSync(["mkfifo", fifo]);
        // Opened for both, so that it opens at once and has a reader that reads nothing.
        const fd = openSync(fifo, constants.O_RDWR);
        const image = await buildGuest("flood", "hvt");
        const child = Bun.spawn(await command(bootArguments(tender, image), { as }), {
          stdio: ["ignore", fd, "pipe"],
          env: environment(),
        });
        await guestRuns(child.pid);
        await sleeps(child.pid);
        await expectEnd(tender, child, signal);
        closeSync(fd);
      });
    }

    test("at 200 moments of a storm of hypercalls it is the same", async () => {
      for (let i = 0; i < 200; i++) {
        const child = await startGuest(tender, "hypercalls", { args: ["count=1000000000"] });
        await guestRuns(child.pid);
        await Bun.sleep(Math.random() * 10);
        await expectEnd(tender, child, i % 2 === 0 ? "SIGTERM" : "SIGINT");
      }
    }, 240_000);

    test("at 100 moments of the start it ends as well, by the signal itself or as ever", async () => {
      for (let i = 0; i < 100; i++) {
        const child = await startGuest(tender, "sleep");
        await Bun.sleep(Math.random() * 20);
        child.kill("SIGTERM");
        const timer = setTimeout(() => child.kill("SIGKILL"), AT_ONCE_MS + 5000);
        await child.exited;
        clearTimeout(timer);
        const allowed: unknown[] = ["SIGTERM", tender === "solo5-hvt" ? 1 : 143];
        expect(allowed).toContain(child.signalCode ?? child.exitCode);
      }
    }, 240_000);
  });
}

describe.skipIf(skip)("signals", () => {
  test("a tender started with SIGINT ignored, as shells do in the background, still ends by it", async () => {
    const child = await startGuest("robur run", "sleep", {
      under: ["sh", "-c", 'trap "" INT; exec "$0" "$@"'],
    });
    await guestRuns(child.pid);
    await expectEnd("robur run", child, "SIGINT");
  });

  test("ten signals at once are one end", async () => {
    const child = await startGuest("robur run", "hypercalls", { args: ["count=1000000000"] });
    await guestRuns(child.pid);
    for (let i = 0; i < 10; i++) child.kill(i % 2 === 0 ? "SIGTERM" : "SIGINT");
    const stderr = await child.stderr.text();
    await child.exited;
    expect([130, 143]).toContain(child.exitCode ?? 0);
    expect(stderr).toMatch(/^(robur: Exiting on signal (2|15)\n)+$/);
  });

  test("the default action of other signals stays", async () => {
    for (const signal of ["SIGHUP", "SIGQUIT", "SIGUSR1", "SIGALRM"] as const) {
      const child = await startGuest("solo5-hvt", "sleep");
      await guestRuns(child.pid);
      child.kill(signal);
      await child.exited;
      expect(child.signalCode).toBe(signal);
    }
  });

  test("a stopped tender goes on where it was", async () => {
    const child = await startGuest("solo5-hvt", "tick", { args: ["every=10", "count=50"] });
    await guestRuns(child.pid);
    for (let i = 0; i < 10; i++) {
      child.kill("SIGSTOP");
      await until("it to be stopped", () => statusField(child.pid, "State")?.startsWith("T"));
      child.kill("SIGCONT");
    }
    const stdout = await child.stdout.text();
    expect(await child.exited).toBe(0);
    expect(stdout.trim().split("\n").length).toBeGreaterThanOrEqual(50);
  });
});
