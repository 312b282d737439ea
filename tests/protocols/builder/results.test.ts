import { expect, test } from "bun:test";
import {
  RESULT,
  fromDatabaseResult,
  ocamlSignal,
  ocamlSignalNamed,
  resultWords,
  signalName,
  systemSignal,
  toDatabaseResult,
} from "../../../src/protocols/builder/results.ts";
import { type Result, resultText } from "../../../src/protocols/builder/result-text.ts";
import { decode, encode } from "../../../src/protocols/der/der.ts";

const KILLED: Result = { kind: "signalled", signal: -7 };
const TIMEOUT: Result = { kind: "message", text: "timeout" };

test("signals have OCaml's numbers", () => {
  expect(signalName(-7)).toBe("SIGKILL");
  expect(systemSignal(-7)).toBe(9);
  expect(ocamlSignal(9)).toBe(-7);
  expect(ocamlSignalNamed("TERM")).toBe(-11);
  expect(ocamlSignalNamed("SIGXFSZ")).toBe(-28);
  expect([signalName(-1), signalName(-28)]).toEqual(["SIGABRT", "SIGXFSZ"]);
  for (const unknown of [0, -29, 34, 1.5]) {
    expect(signalName(unknown)).toBeUndefined();
    expect(systemSignal(unknown)).toBe(unknown);
  }
  expect(ocamlSignal(34)).toBe(34);
  expect(ocamlSignalNamed("WINCH")).toBeUndefined();
  for (let signal = 1; signal < 32; signal++) expect(systemSignal(ocamlSignal(signal))).toBe(signal);
});

test("results have builder's words", () => {
  expect(resultText({ kind: "exited", code: 3 })).toBe("exited 3");
  expect(resultText(KILLED)).toBe("signalled -7");
  expect(resultText({ kind: "stopped", signal: -17 })).toBe("stopped -17");
  expect(resultText(TIMEOUT)).toBe("execution aborted: timeout");
  expect(resultWords(KILLED)).toBe("signalled SIGKILL");
  expect(resultWords({ kind: "signalled", signal: 40 })).toBe("signalled 40");
});

test("results travel as they should", () => {
  const hex = (result: Result) => Buffer.from(encode(RESULT, result)).toString("hex");
  expect(hex(KILLED)).toBe("a1030201f9");
  expect(hex(TIMEOUT)).toBe("a3090c0774696d656f7574");
  expect(hex({ kind: "stopped", signal: -17 })).toBe("a2030201ef");
  // Nothing promises that a message is text.
  expect(decode(RESULT, Buffer.from("a3030c01ff", "hex"))).toEqual({ kind: "message", text: "\uFFFD" });
});

test("builder-web's codes are written as it writes them and read as they were meant", () => {
  const known: [Result, number, string | null][] = [
    [{ kind: "exited", code: 0 }, 0, null],
    [{ kind: "exited", code: 255 }, 255, null],
    [KILLED, -1792, null],
    [{ kind: "signalled", signal: 40 }, 10240, null],
    [{ kind: "stopped", signal: -17 }, -1114112, null],
    [{ kind: "stopped", signal: 20 }, 1310720, null],
    [TIMEOUT, 65536, "timeout"],
  ];
  for (const [result, code, message] of known) {
    expect(toDatabaseResult(result)).toEqual({ code, message });
    expect(fromDatabaseResult({ code, message })).toEqual(result);
  }
  expect(fromDatabaseResult({ code: 65536, message: null })).toEqual({ kind: "stopped", signal: 1 });
  for (const code of [-1, -257, 0x1000000, 0.5, Number.NaN]) {
    expect(fromDatabaseResult({ code, message: null })).toBeUndefined();
  }
});
