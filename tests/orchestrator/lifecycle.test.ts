// The state machine against a model: a world with one process in it, which does what it is told and ends when it
// likes. Whatever happens, in whatever order, certain things always hold.
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Exit, RestartPolicy } from "../../src/orchestrator/api.ts";
import {
  type Lifecycle,
  type LifecycleEvent,
  initialLifecycle,
  isLooping,
  mayHaveProcess,
  step,
  timerOf,
} from "../../src/orchestrator/lifecycle.ts";
import { LONGEST_DELAY_MS, backOff, isFinal, judgeExit } from "../../src/orchestrator/restart-rules.ts";

/** What is true outside of the machine. */
interface World {
  now: number;
  restart: RestartPolicy;
  isForgotten: boolean;
  /** What its owner last asked for. */
  wanted: "running" | "stopped";
  /** A launch was asked for and hasn't come to anything yet. */
  isLaunching: boolean;
  /** The process, and whether it was told to end. */
  process: { isNamed: boolean; wasTold: boolean; startedAt: number } | undefined;
  launches: number;
}

class Machine {
  state: Lifecycle;
  constructor(state: Lifecycle) {
    this.state = state;
  }

  send(world: World, event: LifecycleEvent): void {
    const before = this.state;
    const context = {
      now: world.now,
      random: 0.5,
      restart: world.restart,
      wasNamed: world.process?.isNamed ?? false,
    };
    if (event.kind === "exited" || event.kind === "refused") {
      world.process = undefined;
      world.isLaunching = false;
    }
    const { state, actions } = step(before, event, context);
    this.state = state;
    for (const action of actions) {
      if (action.do === "launch") {
        // The most important of all: never two.
        expect(world.process).toBeUndefined();
        expect(world.isLaunching).toBe(false);
        world.isLaunching = true;
        world.launches += 1;
      }
      if (action.do === "signal" && world.process !== undefined) world.process.wasTold = true;
      if (action.do === "forget") {
        expect(world.process).toBeUndefined();
        world.isForgotten = true;
      }
    }
    this.#check(world);
  }

  #check(world: World): void {
    const { phase, reason, failures, restarts } = this.state;
    if (world.isForgotten) return;
    const isThere = world.process !== undefined || world.isLaunching;
    expect(mayHaveProcess(this.state)).toBe(isThere);
    if (phase.kind === "starting") expect(world.isLaunching || world.process !== undefined).toBe(true);
    if (phase.kind === "running") expect(world.process).toBeDefined();
    if (phase.kind === "stopping" && world.process !== undefined) expect(world.process.wasTold).toBe(true);
    if (phase.kind === "failed" || phase.kind === "backing-off") expect(reason).not.toBeNull();
    if (phase.kind === "backing-off") {
      expect(phase.until - this.state.since).toBeLessThanOrEqual(LONGEST_DELAY_MS);
      expect(failures).toBeGreaterThan(0);
      expect(world.restart.kind).not.toBe("no");
    }
    expect(timerOf(this.state) !== null).toBe(phase.kind === "backing-off" || phase.kind === "stopping");
    expect(restarts).toBeLessThanOrEqual(world.launches + 1);
    // Nobody gets a unikernel to run that they told to stop.
    if (world.wanted === "stopped" && !isThere) expect(phase.kind).not.toBe("backing-off");
  }
}

type Command = fc.Command<World, Machine>;

class Ask implements Command {
  constructor(readonly what: "start" | "stop" | "restart" | "remove" | "suspend") {}
  check = (world: Readonly<World>) => !world.isForgotten;
  run(world: World, machine: Machine): void {
    const graceMs = 1000;
    const isRemoved = machine.state.phase.kind === "stopping" && machine.state.phase.next === "remove";
    if (!isRemoved && this.what !== "suspend") {
      world.wanted = this.what === "start" || this.what === "restart" ? "running" : "stopped";
    }
    if (this.what === "start") machine.send(world, { kind: "start" });
    else if (this.what === "remove") machine.send(world, { kind: "remove", graceMs });
    else machine.send(world, { kind: "stop", graceMs, next: this.what });
  }
  toString = () => this.what;
}

/** The shell comes to an end with a launch. */
class Launched implements Command {
  constructor(
    readonly result: "process" | "refused" | "refused for good",
    readonly isNamed: boolean,
  ) {}
  check = (world: Readonly<World>) => !world.isForgotten && world.isLaunching;
  run(world: World, machine: Machine): void {
    if (this.result !== "process") {
      machine.send(world, { kind: "refused", reason: "no such bridge", mayPass: this.result === "refused" });
      return;
    }
    world.isLaunching = false;
    world.process = {
      isNamed: this.isNamed && !machine.state.knowsNoName,
      wasTold: false,
      startedAt: world.now,
    };
    machine.send(world, { kind: "launched" });
  }
  toString = () => `launched(${this.result})`;
}

class Ran implements Command {
  check = (world: Readonly<World>) => !world.isForgotten && world.process !== undefined;
  run = (world: World, machine: Machine) => machine.send(world, { kind: "ran" });
  toString = () => "ran";
}

class Ends implements Command {
  constructor(readonly exit: Exit) {}
  check = (world: Readonly<World>) => !world.isForgotten && world.process !== undefined;
  run(world: World, machine: Machine): void {
    const { wasTold, startedAt, isNamed } = world.process!;
    const before = world.launches;
    machine.send(world, { kind: "exited", exit: this.exit, ranForMs: world.now - startedAt });
    const { phase } = machine.state;
    const isRetry = isNamed && this.exit.kind === "status" && [64, 124].includes(this.exit.status);
    if (!wasTold && isFinal(this.exit) && !isRetry) {
      expect(phase.kind).toBe("failed");
      expect(world.launches).toBe(before);
    }
    if (!wasTold && isRetry) expect(phase.kind).toBe("starting");
    // What ended as it should wants nothing any more.
    if (phase.kind === "stopped") world.wanted = machine.state.desired;
  }
  toString = () => `ends(${JSON.stringify(this.exit)})`;
}

class TimePasses implements Command {
  constructor(readonly ms: number) {}
  check = (world: Readonly<World>) => !world.isForgotten;
  run(world: World, machine: Machine): void {
    world.now += this.ms;
    const at = timerOf(machine.state);
    if (at !== null && at <= world.now) machine.send(world, { kind: "due" });
  }
  toString = () => `time(${this.ms})`;
}

/** The server is killed, and another one finds what there is. */
class Killed implements Command {
  constructor(
    readonly rebooted: boolean,
    readonly back: number,
  ) {}
  check = (world: Readonly<World>) => !world.isForgotten;
  run(world: World, machine: Machine): void {
    world.isLaunching = false;
    // The clock may have been set back.
    world.now = Math.max(0, world.now - this.back);
    if (this.rebooted) world.process = undefined;
    const wasWanted = machine.state.desired === "running";
    const { kind } = machine.state.phase;
    const process = world.process === undefined ? "gone" : "alive";
    if (process === "gone" && kind === "stopping") world.wanted = machine.state.desired;
    machine.send(world, { kind: "recovered", process, rebooted: this.rebooted });
    const after: string = machine.state.phase.kind;
    if (this.rebooted && wasWanted && kind === "running") expect(after).toBe("starting");
    const at = timerOf(machine.state);
    if (at !== null) expect(at - world.now).toBeLessThanOrEqual(LONGEST_DELAY_MS);
  }
  toString = () => `killed(${this.rebooted})`;
}

const exits: fc.Arbitrary<Exit> = fc.oneof(
  fc.constantFrom(0, 1, 2, 60, 63, 64, 124, 255).map((status): Exit => ({ kind: "status", status })),
  fc.constantFrom("SIGKILL", "SIGSEGV").map((signal): Exit => ({ kind: "signal", signal })),
  fc.constant<Exit>({ kind: "unknown" }),
);

const policies: fc.Arbitrary<RestartPolicy> = fc.oneof(
  fc.constant<RestartPolicy>({ kind: "no" }),
  fc.constant<RestartPolicy>({ kind: "always" }),
  fc.option(fc.integer({ min: 1, max: 4 })).map((limit): RestartPolicy => ({ kind: "on-failure", limit })),
  fc
    .option(fc.array(fc.constantFrom(0, 1, 2, 64, 255)))
    .map((codes): RestartPolicy => ({ kind: "albatross", codes })),
);

const commands = fc.commands<World, Machine>(
  [
    fc.constantFrom("start", "stop", "restart", "remove", "suspend").map((what) => new Ask(what as "start")),
    fc.constantFrom("start", "start", "restart").map((what) => new Ask(what as "start")),
    fc
      .tuple(fc.constantFrom("process", "process", "refused", "refused for good"), fc.boolean())
      .map(([result, isNamed]) => new Launched(result as "process", isNamed)),
    fc.constant(new Launched("process", true)),
    fc.constant(new Ran()),
    exits.map((exit) => new Ends(exit)),
    fc.constantFrom(10, 1000, 100_000, 1_000_000).map((ms) => new TimePasses(ms)),
    fc
      .tuple(fc.boolean(), fc.constantFrom(0, 0, 31_536_000_000))
      .map(([rebooted, back]) => new Killed(rebooted, back)),
  ],
  { maxCommands: 60 },
);

test("whatever happens to a unikernel, its state is right and there are never two of it", () => {
  fc.assert(
    fc.property(commands, policies, fc.boolean(), (run, restart, started) => {
      const now = 40_000_000_000;
      const wanted = started ? "running" : "stopped";
      const world: World = {
        now,
        restart,
        wanted,
        isForgotten: false,
        isLaunching: false,
        process: undefined,
        launches: 0,
      };
      fc.modelRun(() => ({ model: world, real: new Machine(initialLifecycle(now, wanted)) }), run);
    }),
    { numRuns: 3000 },
  );
});

test("the originals' statuses", () => {
  const status = (code: number): Exit => ({ kind: "status", status: code });
  const all: RestartPolicy = { kind: "albatross", codes: null };
  const listed: RestartPolicy = { kind: "albatross", codes: [2, 64] };
  for (const code of [1, 60, 61, 62, 63, 64]) {
    for (const policy of [all, listed, { kind: "always" } as const]) {
      expect(judgeExit(policy, status(code), 1).kind).toBe("give-up");
    }
  }
  expect(judgeExit(all, status(0), 1).kind).toBe("restart");
  expect(judgeExit(all, status(255), 1).kind).toBe("restart");
  expect(judgeExit(all, { kind: "signal", signal: "SIGKILL" }, 1).kind).toBe("give-up");
  expect(judgeExit(listed, status(2), 1).kind).toBe("restart");
  expect(judgeExit(listed, status(0), 1).kind).toBe("done");
  expect(judgeExit(listed, status(255), 1).kind).toBe("give-up");
});

test("robur's own policies", () => {
  const killed: Exit = { kind: "signal", signal: "SIGKILL" };
  const ended: Exit = { kind: "status", status: 0 };
  expect(judgeExit({ kind: "on-failure", limit: null }, killed, 1).kind).toBe("restart");
  expect(judgeExit({ kind: "on-failure", limit: null }, ended, 1).kind).toBe("done");
  expect(judgeExit({ kind: "on-failure", limit: 2 }, killed, 2).kind).toBe("restart");
  expect(judgeExit({ kind: "on-failure", limit: 2 }, killed, 3).kind).toBe("give-up");
  expect(judgeExit({ kind: "always" }, ended, 1).kind).toBe("restart");
  expect(judgeExit({ kind: "no" }, ended, 1).kind).toBe("done");
  expect(judgeExit({ kind: "no" }, { kind: "unknown" }, 1).kind).toBe("give-up");
});

test("waiting grows to five minutes and is never the same for two", () => {
  const middle = [1, 2, 3, 4, 5, 6, 7].map((failures) => backOff(failures, 0.5));
  expect(middle).toEqual([250, 1000, 4000, 16_000, 64_000, 256_000, 300_000]);
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1000 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (n, random) => {
        const delay = backOff(n, random);
        return delay >= 187 && delay <= LONGEST_DELAY_MS;
      },
    ),
  );
});

test("a guest that always fails soon is in a loop, until it has run for a minute", () => {
  let state = initialLifecycle(0, "running");
  let now = 0;
  const context = () => ({ now, random: 0.5, restart: { kind: "always" } as const, wasNamed: false });
  const send = (event: LifecycleEvent) => ({ state } = step(state, event, context()));
  send({ kind: "start" });
  for (let i = 0; i < 5; i++) {
    send({ kind: "ran" });
    expect(isLooping(state, now)).toBe(false);
    send({ kind: "exited", exit: { kind: "status", status: 255 }, ranForMs: 100 });
    send({ kind: "due" });
  }
  expect(isLooping(state, now)).toBe(true);
  send({ kind: "ran" });
  now += 61_000;
  expect(isLooping(state, now)).toBe(false);
  send({ kind: "exited", exit: { kind: "status", status: 255 }, ranForMs: 61_000 });
  expect(isLooping(state, now)).toBe(false);
  expect(state).toMatchObject({ failures: 1, restarts: 6 });
});
