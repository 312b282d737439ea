/**
 * How an execution ended. Signals travel in OCaml's numbers, which are negative for those that OCaml knows; others
 * keep their own.
 */
import { type Der, type ValueOf, choice, explicit, map, named } from "../der/der.ts";
import { smallInteger, utf8Bytes } from "../der/types.ts";
import { type Result, resultText } from "./result-text.ts";

const wire = choice({
  exited: explicit(0, named("code", smallInteger())),
  signalled: explicit(1, named("signal", smallInteger())),
  stopped: explicit(2, named("signal", smallInteger())),
  message: explicit(3, named("text", utf8Bytes())),
});

/** Any bytes may stand in a message; what isn't UTF-8 is replaced when it is read. */
export const RESULT: Der<Result> = map(
  wire,
  (value): Result => {
    switch (value.type) {
      case "exited":
        return { kind: "exited", code: value.code };
      case "signalled":
        return { kind: "signalled", signal: value.signal };
      case "stopped":
        return { kind: "stopped", signal: value.signal };
      case "message":
        return { kind: "message", text: new TextDecoder("utf-8", { ignoreBOM: true }).decode(value.text) };
    }
  },
  (result): ValueOf<typeof wire> => {
    switch (result.kind) {
      case "exited":
        return { type: "exited", code: result.code };
      case "signalled":
        return { type: "signalled", signal: result.signal };
      case "stopped":
        return { type: "stopped", signal: result.signal };
      case "message":
        return { type: "message", text: new TextEncoder().encode(result.text) };
    }
  },
);

/** builder's words with the signal's name, where it has one: `signalled SIGKILL`. */
export function resultWords(result: Result): string {
  if (result.kind !== "signalled" && result.kind !== "stopped") return resultText(result);
  const name = signalName(result.signal);
  return name === undefined ? resultText(result) : `${result.kind} ${name}`;
}

/** Name, and Linux's number on x86_64 and arm64; OCaml's is minus the place, counted from 1. */
const SIGNALS: readonly (readonly [name: string, linux: number])[] = [
  ["SIGABRT", 6],
  ["SIGALRM", 14],
  ["SIGFPE", 8],
  ["SIGHUP", 1],
  ["SIGILL", 4],
  ["SIGINT", 2],
  ["SIGKILL", 9],
  ["SIGPIPE", 13],
  ["SIGQUIT", 3],
  ["SIGSEGV", 11],
  ["SIGTERM", 15],
  ["SIGUSR1", 10],
  ["SIGUSR2", 12],
  ["SIGCHLD", 17],
  ["SIGCONT", 18],
  ["SIGSTOP", 19],
  ["SIGTSTP", 20],
  ["SIGTTIN", 21],
  ["SIGTTOU", 22],
  ["SIGVTALRM", 26],
  ["SIGPROF", 27],
  ["SIGBUS", 7],
  ["SIGPOLL", 29],
  ["SIGSYS", 31],
  ["SIGTRAP", 5],
  ["SIGURG", 23],
  ["SIGXCPU", 24],
  ["SIGXFSZ", 25],
];

/** SIGKILL for -7; undefined for a number that OCaml has no name for. */
export function signalName(ocaml: number): string | undefined {
  return SIGNALS[-ocaml - 1]?.[0];
}

/** Linux's number for OCaml's. A number that OCaml has no name for is Linux's already. */
export function systemSignal(ocaml: number): number {
  return SIGNALS[-ocaml - 1]?.[1] ?? ocaml;
}

/** OCaml's number for Linux's, or the number itself where OCaml has none. */
export function ocamlSignal(system: number): number {
  const place = SIGNALS.findIndex(([, linux]) => linux === system);
  return place < 0 ? system : -(place + 1);
}

/** OCaml's number of a signal by name, `SIGKILL` or `KILL`; undefined for none. */
export function ocamlSignalNamed(name: string): number | undefined {
  const full = name.startsWith("SIG") ? name : `SIG${name}`;
  const place = SIGNALS.findIndex(([known]) => known === full);
  return place < 0 ? undefined : -(place + 1);
}

/** The columns result_code and result_msg of builder-web's database. */
export interface DatabaseResult {
  readonly code: number;
  readonly message: string | null;
}

const MESSAGE_CODE = 65536;

/** As builder-web writes it. */
export function toDatabaseResult(result: Result): DatabaseResult {
  switch (result.kind) {
    case "exited":
      return { code: result.code, message: null };
    case "signalled":
      return { code: result.signal * 256, message: null };
    case "stopped":
      return { code: result.signal * 65536, message: null };
    case "message":
      return { code: MESSAGE_CODE, message: result.text };
  }
}

/**
 * What builder-web's columns mean; its own reader takes -1792 (SIGKILL) for an exit status and a message for a stop.
 * Undefined for a code that nothing has written.
 */
export function fromDatabaseResult({ code, message }: DatabaseResult): Result | undefined {
  if (!Number.isSafeInteger(code)) return undefined;
  if (code === MESSAGE_CODE && message !== null) return { kind: "message", text: message };
  if (code >= 0 && code <= 255) return { kind: "exited", code };
  if (code < 0) {
    if (code % 65536 === 0) return { kind: "stopped", signal: code / 65536 };
    return code % 256 === 0 ? { kind: "signalled", signal: code / 256 } : undefined;
  }
  if (code <= 65535) return { kind: "signalled", signal: Math.floor(code / 256) };
  return code <= 0xffffff ? { kind: "stopped", signal: Math.floor(code / 65536) } : undefined;
}
