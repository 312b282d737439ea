/**
 * The life of one unikernel as a pure state machine: `step(state, event) → state and actions`. The shell writes the
 * new state to the database first and performs the actions then, so that a server that dies in between finds in the
 * database what it was about to do. Performing an action twice must therefore be harmless, and is: `launch` takes the
 * console's lock, which a tender that is alive holds.
 *
 * What is wanted (`desired`) and what is (`phase`) are kept apart: a unikernel that could not be started at boot is
 * not forgotten.
 */
import type { EventKind, Exit, RestartPolicy, UnikernelState } from "./api.ts";
import { LOOP_AFTER, STABLE_MS, backOff, isArgumentError, judgeExit, sayExit } from "./restart-rules.ts";

/** What becomes of a unikernel whose process is being ended. `suspend`: the next server starts it again. */
export type Afterwards = "stop" | "restart" | "remove" | "suspend";

export type Phase =
  | { readonly kind: "created" }
  | { readonly kind: "starting" }
  | { readonly kind: "running" }
  | {
      readonly kind: "stopping";
      readonly next: Afterwards;
      /** When it is killed, if it hasn't ended by then. */
      readonly killAt: number;
    }
  | { readonly kind: "stopped" }
  | { readonly kind: "failed" }
  | { readonly kind: "backing-off"; readonly until: number };

export interface Lifecycle {
  readonly phase: Phase;
  readonly desired: "running" | "stopped";
  /** When the phase began. */
  readonly since: number;
  readonly reason: string | null;
  readonly exit: Exit | null;
  readonly exitedAt: number | null;
  /** Ends and refused starts in a row, none of them after a long run. */
  readonly failures: number;
  /** Starts that nobody asked for, in total. */
  readonly restarts: number;
  /** The guest turned out not to know `--name`. */
  readonly knowsNoName: boolean;
}

export type LifecycleEvent =
  | { readonly kind: "start" }
  | { readonly kind: "stop"; readonly graceMs: number; readonly next: Exclude<Afterwards, "remove"> }
  | { readonly kind: "remove"; readonly graceMs: number }
  /** The tender's process exists. */
  | { readonly kind: "launched" }
  /** The guest runs. */
  | { readonly kind: "ran" }
  /** There is no process, and here is why. Another try may help or not. */
  | { readonly kind: "refused"; readonly reason: string; readonly mayPass: boolean }
  | {
      readonly kind: "exited";
      readonly exit: Exit;
      readonly ranForMs: number;
      /** What its console ended with, where that says more than the status. */
      readonly lastWords?: string | undefined;
    }
  /** The time has come that `timerOf` named. */
  | { readonly kind: "due" }
  /** A server found this state in its database, and the process alive or not; after a reboot it can't be. */
  | {
      readonly kind: "recovered";
      readonly process: "alive" | "gone";
      readonly rebooted: boolean;
      /** How it ended, where its console tells. */
      readonly exit?: Exit | undefined;
    };

export type LifecycleAction =
  | { readonly do: "launch" }
  | { readonly do: "signal"; readonly signal: "SIGTERM" | "SIGKILL" }
  /** Delete what is known of it. */
  | { readonly do: "forget" }
  | { readonly do: "tell"; readonly kind: EventKind; readonly text: string };

export interface LifecycleContext {
  readonly now: number;
  /** In [0, 1). */
  readonly random: number;
  readonly restart: RestartPolicy;
  /** `--name` was given to the guest that ended. */
  readonly wasNamed: boolean;
}

export interface Step {
  readonly state: Lifecycle;
  readonly actions: readonly LifecycleAction[];
}

/** How long a tender that a former server told to end has, once the next one is there. */
const INHERITED_GRACE_MS = 10_000;

/** A unikernel that was just made. */
export function initialLifecycle(now: number, desired: Lifecycle["desired"]): Lifecycle {
  return {
    phase: { kind: "created" },
    desired,
    since: now,
    reason: null,
    exit: null,
    exitedAt: null,
    failures: 0,
    restarts: 0,
    knowsNoName: false,
  };
}

/** The state's name for people. */
export function stateOf({ phase }: Lifecycle): UnikernelState {
  return phase.kind;
}

/** Whether a process exists or may exist. */
export function mayHaveProcess({ phase }: Lifecycle): boolean {
  return phase.kind === "starting" || phase.kind === "running" || phase.kind === "stopping";
}

/** When the machine wants to hear `due`; null for never. */
export function timerOf({ phase }: Lifecycle): number | null {
  if (phase.kind === "backing-off") return phase.until;
  return phase.kind === "stopping" ? phase.killAt : null;
}

/** It fails again and again. */
export function isLooping(state: Lifecycle, now: number): boolean {
  if (state.failures < LOOP_AFTER) return false;
  return !(state.phase.kind === "running" && now - state.since >= STABLE_MS);
}

/** One step. Events that don't fit the state change nothing. */
export function step(state: Lifecycle, event: LifecycleEvent, context: LifecycleContext): Step {
  switch (event.kind) {
    case "start":
      return onStart(state, context);
    case "stop":
      return onStop(state, event.next, event.graceMs, context);
    case "remove":
      return mayHaveProcess(state)
        ? end({ ...state, desired: "stopped" }, "remove", event.graceMs, context)
        : { state: { ...state, desired: "stopped" }, actions: [{ do: "forget" }] };
    case "launched":
      // It was told to stop while its process was being made.
      return state.phase.kind === "stopping"
        ? { state, actions: [{ do: "signal", signal: "SIGTERM" }] }
        : same(state);
    case "ran":
      return state.phase.kind === "starting" ? onRan(state, context) : same(state);
    case "refused":
      return onRefused(state, event.reason, event.mayPass, context);
    case "exited":
      return onExited(state, event.exit, event.ranForMs, context, event.lastWords);
    case "due":
      return onDue(state, context);
    case "recovered":
      return onRecovered(state, event.process, event.rebooted, event.exit ?? { kind: "unknown" }, context);
  }
}

function same(state: Lifecycle): Step {
  return { state, actions: [] };
}

function enter(state: Lifecycle, phase: Phase, reason: string | null, now: number): Lifecycle {
  return { ...state, phase, reason, since: now };
}

function launch(state: Lifecycle, reason: string | null, now: number): Step {
  const actions: LifecycleAction[] = [
    { do: "tell", kind: "starting", text: reason ?? "starting" },
    { do: "launch" },
  ];
  return { state: enter(state, { kind: "starting" }, reason, now), actions };
}

function onStart(state: Lifecycle, { now }: LifecycleContext): Step {
  const { phase } = state;
  if (phase.kind === "starting" || phase.kind === "running") return same({ ...state, desired: "running" });
  if (phase.kind === "stopping") {
    if (phase.next === "remove") return same(state);
    return same({ ...state, desired: "running", phase: { ...phase, next: "restart" } });
  }
  return launch({ ...state, desired: "running", failures: 0 }, null, now);
}

function onStop(state: Lifecycle, then: Afterwards, graceMs: number, context: LifecycleContext): Step {
  const desired = then === "stop" ? "stopped" : "running";
  const { phase } = state;
  if (phase.kind === "stopping") {
    return phase.next === "remove"
      ? same(state)
      : same({ ...state, desired, phase: { ...phase, next: then } });
  }
  if (mayHaveProcess(state)) return end({ ...state, desired }, then, graceMs, context);
  if (then === "restart") return onStart(state, context);
  // What isn't running is as it is for the next server.
  if (then === "suspend") return same(state);
  if (phase.kind === "backing-off") return stopped(state, "stopped before it was tried again", context.now);
  return same({ ...state, desired });
}

/** Tells the process to end. */
function end(state: Lifecycle, then: Afterwards, graceMs: number, { now }: LifecycleContext): Step {
  if (state.phase.kind === "stopping") return same({ ...state, phase: { ...state.phase, next: then } });
  const next = enter(state, { kind: "stopping", next: then, killAt: now + graceMs }, null, now);
  const text = then === "restart" ? "stopping, to be started again" : "stopping";
  return {
    state: next,
    actions: [
      { do: "tell", kind: "stopping", text },
      { do: "signal", signal: "SIGTERM" },
    ],
  };
}

function onRan(state: Lifecycle, { now }: LifecycleContext): Step {
  const next = enter(state, { kind: "running" }, null, now);
  return { state: next, actions: [{ do: "tell", kind: "running", text: "runs" }] };
}

function stopped(state: Lifecycle, reason: string, now: number): Step {
  const next = enter({ ...state, desired: "stopped", failures: 0 }, { kind: "stopped" }, reason, now);
  return { state: next, actions: [{ do: "tell", kind: "stopped", text: reason }] };
}

function failed(state: Lifecycle, reason: string, now: number): Step {
  const next = enter(state, { kind: "failed" }, reason, now);
  return { state: next, actions: [{ do: "tell", kind: "failed", text: reason }] };
}

/** There is no process any more, or there never was one, and somebody wanted it so. */
function finish(state: Lifecycle, then: Afterwards, reason: string, now: number): Step {
  switch (then) {
    case "stop":
      return stopped(state, reason, now);
    case "remove":
      return {
        state: enter({ ...state, desired: "stopped" }, { kind: "stopped" }, reason, now),
        actions: [{ do: "forget" }],
      };
    case "restart":
      return launch({ ...state, desired: "running", failures: 0 }, null, now);
    case "suspend": {
      const next = enter(state, { kind: "stopped" }, "stopped with the server, to be started with it", now);
      return { state: next, actions: [{ do: "tell", kind: "stopped", text: next.reason ?? "" }] };
    }
  }
}

function onRefused(state: Lifecycle, reason: string, mayPass: boolean, context: LifecycleContext): Step {
  const { phase } = state;
  if (phase.kind === "stopping") return finish(state, phase.next, reason, context.now);
  if (phase.kind !== "starting") return same(state);
  const next = { ...state, failures: state.failures + 1 };
  const { restart } = context;
  const isOver = restart.kind === "on-failure" && restart.limit !== null && next.failures > restart.limit;
  if (!mayPass || restart.kind === "no" || isOver) return failed(next, reason, context.now);
  return retryLater(next, reason, context);
}

function retryLater(state: Lifecycle, reason: string, { now, random }: LifecycleContext): Step {
  const delay = backOff(state.failures, random);
  const loops = state.failures >= LOOP_AFTER;
  const told = loops ? `in a loop, ${state.failures} times in a row: ${reason}` : reason;
  const next = enter(
    { ...state, restarts: state.restarts + 1 },
    { kind: "backing-off", until: now + delay },
    told,
    now,
  );
  const actions: LifecycleAction[] = [{ do: "tell", kind: "backing-off", text: told }];
  if (state.failures === LOOP_AFTER) actions.push({ do: "tell", kind: "looping", text: told });
  return { state: next, actions };
}

function onExited(
  state: Lifecycle,
  exit: Exit,
  ranForMs: number,
  context: LifecycleContext,
  lastWords?: string,
): Step {
  const { phase } = state;
  if (!mayHaveProcess(state)) return same(state);
  const ended = { ...state, exit, exitedAt: context.now };
  if (phase.kind === "stopping") return finish(ended, phase.next, "stopped", context.now);
  if (isArgumentError(exit) && context.wasNamed) {
    // Not counted as a failure: it is the way to find out.
    return launch(
      { ...ended, knowsNoName: true },
      "it seems not to know --name: started again without",
      context.now,
    );
  }
  const failures = ranForMs >= STABLE_MS ? 1 : state.failures + 1;
  const verdict = judgeExit(context.restart, exit, failures);
  const text = lastWords === undefined ? sayExit(exit) : `${sayExit(exit)}: ${lastWords}`;
  if (verdict.kind === "done") return stopped(ended, text, context.now);
  if (verdict.kind === "give-up")
    return failed({ ...ended, failures }, `${text}; ${verdict.why}`, context.now);
  return retryLater({ ...ended, failures }, text, context);
}

function onDue(state: Lifecycle, { now }: LifecycleContext): Step {
  const { phase } = state;
  // Whoever keeps the time is right about it: the clock may have been set back meanwhile.
  if (phase.kind === "backing-off") return launch(state, state.reason, now);
  if (phase.kind !== "stopping") return same(state);
  const next = { ...state, phase: { ...phase, killAt: now + INHERITED_GRACE_MS } };
  return { state: next, actions: [{ do: "signal", signal: "SIGKILL" }] };
}

function onRecovered(
  state: Lifecycle,
  process: "alive" | "gone",
  rebooted: boolean,
  exit: Exit,
  context: LifecycleContext,
): Step {
  const { now } = context;
  const { phase } = state;
  switch (phase.kind) {
    case "starting":
    case "running":
      if (process === "alive") return adopted(state, now);
      // A start that was decided on and of which there is no trace has not happened.
      if (phase.kind === "starting") return launch(state, state.reason, now);
      if (rebooted) return launch(state, "started again with the machine", now);
      return endedUnseen(state, exit, context);
    case "stopping":
      if (process === "gone") return finish(state, phase.next, "stopped", now);
      return {
        state: { ...state, phase: { ...phase, killAt: now + INHERITED_GRACE_MS } },
        actions: [{ do: "signal", signal: "SIGTERM" }],
      };
    case "backing-off":
      // The clock may have been set back while nobody was there: it waits no longer than it would have from now.
      return same({
        ...state,
        phase: { kind: "backing-off", until: Math.min(phase.until, now + wait(state, context)) },
      });
    case "created":
    case "stopped":
      return state.desired === "running" ? launch(state, null, now) : same(state);
    case "failed":
      return same(state);
  }
}

/**
 * It ended while no server was there. The first time it is started again at once, among the others and in their
 * order: perhaps everything was killed. One that was failing before waits as it would have.
 */
function endedUnseen(state: Lifecycle, exit: Exit, context: LifecycleContext): Step {
  const judged = onExited(state, exit, Math.max(0, context.now - state.since), context);
  const { phase, failures, reason } = judged.state;
  return phase.kind === "backing-off" && failures === 1 ? launch(judged.state, reason, context.now) : judged;
}

function wait({ failures }: Lifecycle, { random }: LifecycleContext): number {
  return backOff(Math.max(1, failures), random);
}

function adopted(state: Lifecycle, now: number): Step {
  const tell: LifecycleAction = { do: "tell", kind: "adopted", text: "found running by this server" };
  if (state.phase.kind === "running") return { state, actions: [tell] };
  const next = enter(state, { kind: "running" }, null, now);
  return { state: next, actions: [tell, { do: "tell", kind: "running", text: "runs" }] };
}
