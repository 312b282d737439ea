// The few lines that read flags, held against yargs, which reads everything else.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import yargs from "yargs";
import { type FlagTable, scanFlags, withFlags } from "../../src/commands/flags.ts";
import { RUN_FLAGS } from "../../src/commands/run.ts";

const TABLE: FlagTable = {
  memory: { type: "string", alias: ["m", "mem"], describe: "" },
  net: { type: "string", describe: "" },
  "net-mac": { type: "string", describe: "" },
  "dry-run": { type: "boolean", alias: ["n"], describe: "" },
};
const scan = (...argv: string[]) => {
  const scanned = scanFlags(TABLE, argv);
  return scanned === undefined
    ? undefined
    : { values: Object.fromEntries(scanned.values), rest: scanned.rest };
};

describe("reading flags", () => {
  test("values stand behind an equals sign or in the next argument", () => {
    expect(scan("--memory=64M", "k")).toEqual({ values: { memory: ["64M"] }, rest: ["k"] });
    expect(scan("--memory", "64M", "k")).toEqual({ values: { memory: ["64M"] }, rest: ["k"] });
    expect(scan("--net", "a=b", "--net=c=d=e", "k")).toEqual({
      values: { net: ["a=b", "c=d=e"] },
      rest: ["k"],
    });
    expect(scan("--net=", "k")).toEqual({ values: { net: [""] }, rest: ["k"] });
  });

  test("an alias counts as the flag's first name, in the order given", () => {
    expect(scan("-m", "1", "--mem=2", "--memory", "3")).toEqual({
      values: { memory: ["1", "2", "3"] },
      rest: [],
    });
  });

  test("a boolean takes no value", () => {
    expect(scan("--dry-run", "k")).toEqual({ values: { "dry-run": ["true"] }, rest: ["k"] });
    expect(scan("-n", "-n")).toEqual({ values: { "dry-run": ["true", "true"] }, rest: [] });
    expect(scan("--dry-run=true", "k")).toBeUndefined();
  });

  test("everything from the first argument that is no flag is left alone", () => {
    const rest = ["k", "--memory", "--", "-m", "--help", ""];
    expect(scan("-m", "1", ...rest)).toEqual({ values: { memory: ["1"] }, rest });
    expect(scan("-", "-m")).toEqual({ values: {}, rest: ["-", "-m"] });
    expect(scan("", "-m")).toEqual({ values: {}, rest: ["", "-m"] });
    expect(scan()).toEqual({ values: {}, rest: [] });
  });

  test("two dashes end the flags and are gone, once", () => {
    expect(scan("--dry-run", "--", "--memory", "--")).toEqual({
      values: { "dry-run": ["true"] },
      rest: ["--memory", "--"],
    });
    expect(scan("--")).toEqual({ values: {}, rest: [] });
  });

  test("whatever isn't in order is left to yargs", () => {
    const lines = [
      "--nothing",
      "--nothing=1 k",
      "-x k",
      "--memory",
      "-m",
      "--net-",
      "--Memory=1",
      "--no-dry-run",
    ];
    for (const line of [
      ...lines,
      "--help",
      "-h",
      "-nm 1",
      "-m=1",
      "-m1",
      "--m 1",
      "--toString",
      "--__proto__=1",
    ]) {
      expect([line, scan(...line.split(" "))]).toEqual([line, undefined]);
    }
  });

  test("a flag is never taken for the value of the one before it", () => {
    for (const line of ["--memory --dry-run k", "--net -n k", "-m -- k", "--net --net=a=b k", "-m -m 1"]) {
      expect([line, scan(...line.split(" "))]).toEqual([line, undefined]);
    }
    expect(scan("--memory", "-", "k")).toEqual({ values: { memory: ["-"] }, rest: ["k"] });
    expect(scan("--memory=-n", "k")).toEqual({ values: { memory: ["-n"] }, rest: ["k"] });
  });
});

describe("reading flags as yargs does", () => {
  /** What yargs makes of the same arguments, or "refused". */
  const byYargs = (table: FlagTable, argv: readonly string[]) => {
    const parser = withFlags(yargs([...argv]), table)
      .parserConfiguration({ "halt-at-non-option": true, "boolean-negation": false })
      .version(false)
      .help(false)
      .locale("en")
      .strictOptions()
      .exitProcess(false)
      .fail(false);
    let parsed: Record<string, unknown>;
    try {
      parsed = parser.parseSync() as Record<string, unknown>;
    } catch {
      return "refused";
    }
    const values: Record<string, string[]> = {};
    for (const name of Object.keys(table)) {
      if (parsed[name] !== undefined) values[name] = [parsed[name]].flat().map(String);
    }
    return { values, rest: (parsed["_"] as unknown[]).map(String) };
  };

  const word = fc.constantFrom(
    ...[
      "--memory",
      "--memory=64M",
      "--mem",
      "-m",
      "--net",
      "--net=a=b",
      "--net-mac=a=2:0:0:0:0:1",
      "--dry-run",
    ],
    ...[
      "-n",
      "--",
      "-",
      "k",
      "64M",
      "hello.hvt",
      "--unknown",
      "-x",
      "--dry-run=true",
      "a=@3",
      "--hello=Hi",
      "--net=",
    ],
  );
  test("a line that is in order means the same to both", () => {
    let agreed = 0;
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), (argv) => {
        const scanned = scanFlags(TABLE, argv);
        if (scanned === undefined) return;
        const values = Object.fromEntries([...scanned.values].map(([name, given]) => [name, [...given]]));
        // Given several times, a boolean is the same for yargs as once.
        if (values["dry-run"] !== undefined) values["dry-run"] = ["true"];
        expect(byYargs(TABLE, argv)).toEqual({ values, rest: [...scanned.rest] });
        agreed += 1;
      }),
      { numRuns: 600 },
    );
    expect(agreed).toBeGreaterThan(100);
  });

  test("the flags of run are in the table of both, by every name", () => {
    for (const [name, { type, alias = [] }] of Object.entries(RUN_FLAGS)) {
      for (const spelled of [name, ...alias]) {
        const flag = spelled.length === 1 ? `-${spelled}` : `--${spelled}`;
        const argv = type === "boolean" ? [flag, "k"] : [flag, "value", "k"];
        const values = { [name]: [type === "boolean" ? "true" : "value"] };
        expect(Object.fromEntries(scanFlags(RUN_FLAGS, argv)!.values)).toEqual(values);
        expect(byYargs(RUN_FLAGS, argv)).toEqual({ values, rest: ["k"] });
      }
    }
  });
});
