/** The state of a unikernel, as a word with a shape and a colour. */
import type { Exit, UnikernelState, UnikernelView } from "../../src/orchestrator/api.ts";
import { Icon, type IconName } from "./icons.tsx";

interface Look {
  readonly word: string;
  readonly tone: "good" | "busy" | "warn" | "bad" | "";
  readonly icon: IconName;
}

const LOOKS: Record<UnikernelState, Look> = {
  created: { word: "created", tone: "", icon: "dash" },
  starting: { word: "starting", tone: "busy", icon: "clock" },
  running: { word: "running", tone: "good", icon: "play" },
  stopping: { word: "stopping", tone: "busy", icon: "clock" },
  stopped: { word: "stopped", tone: "", icon: "stop" },
  failed: { word: "failed", tone: "bad", icon: "alert" },
  "backing-off": { word: "waits to restart", tone: "warn", icon: "again" },
};

export function StateBadge({ state }: { state: UnikernelState }) {
  const { word, tone, icon } = LOOKS[state];
  return (
    <span class={`state ${tone}`.trim()}>
      <Icon name={icon} size={14} />
      {word}
    </span>
  );
}

/** Which of the three actions make sense now. */
export function possibleActions({ state }: Pick<UnikernelView, "state">) {
  const isUp = state === "running" || state === "starting" || state === "backing-off";
  return { start: !isUp && state !== "stopping", stop: isUp, restart: isUp };
}

/** Whether somebody ought to look at it. */
export function needsAttention({ state, isLooping }: UnikernelView): boolean {
  return state === "failed" || state === "backing-off" || isLooping;
}

export function exitText(exit: Exit): string {
  if (exit.kind === "unknown") return "ended while no server was there to see it";
  return exit.kind === "signal" ? `ended by ${exit.signal}` : `ended with status ${exit.status}`;
}
