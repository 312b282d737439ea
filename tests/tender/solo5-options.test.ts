// The command line of solo5-hvt and solo5-spt: every form, and every way to get it wrong.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { parseOptions, scanArguments } from "../../src/tender/solo5-options.ts";
import { TenderError } from "../../src/tender/tender-error.ts";

const MIB = 0x10_0000;
const parse = (...options: string[]) => parseOptions(options, "hvt");
const refusal = (work: () => unknown): TenderError => {
  try {
    work();
  } catch (error) {
    if (error instanceof TenderError) return error;
    throw error;
  }
  throw new Error("accepted");
};

describe("splitting the arguments", () => {
  const run = (options: string[], kernel: string, args: string[]) => ({ kind: "run", options, kernel, args });
  const forms: [argv: string[], invocation: unknown][] = [
    [["k"], run([], "k", [])],
    [["k", "a", "b"], run([], "k", ["a", "b"])],
    [["--mem=2", "k"], run(["--mem=2"], "k", [])],
    [["--mem=2", "--", "k", "a"], run(["--mem=2"], "k", ["a"])],
    [["--", "k"], run([], "k", [])],
    [["--", "--mem=2"], run([], "--mem=2", [])],
    [["--", "--", "k"], run([], "--", ["k"])],
    [["k", "--"], run([], "k", ["--"])],
    [["k", "--", "--mem=2"], run([], "k", ["--", "--mem=2"])],
    [["k", "--help", "--version", "-x"], run([], "k", ["--help", "--version", "-x"])],
    [["--mem", "64"], run(["--mem"], "64", [])],
    [["-", "k"], run(["-"], "k", [])],
    [["-x", "--what", "k"], run(["-x", "--what"], "k", [])],
    [["", "a"], run([], "", ["a"])],
    [["k", "", " a  b "], run([], "k", ["", " a  b "])],
    [["--help"], { kind: "help" }],
    [["--nonsense", "--help", "k"], { kind: "help" }],
    [["--version", "--help"], { kind: "version" }],
    [["--help", "--version"], { kind: "help" }],
    [["--", "--help"], run([], "--help", [])],
    [["--help=1", "k"], run(["--help=1"], "k", [])],
    [[], { kind: "missing-kernel" }],
    [["--"], { kind: "missing-kernel" }],
    [["--mem=2", "--net:a=b"], { kind: "missing-kernel" }],
    [["-"], { kind: "missing-kernel" }],
  ];
  test.each(forms)("%j", (argv, invocation) => {
    expect(scanArguments(argv)).toEqual(invocation as never);
  });

  test("nothing behind the image is ever taken for an option, and nothing is lost", () => {
    const word = fc.constantFrom(
      "--",
      "-",
      "k",
      "--mem=2",
      "--help",
      "--version",
      "-x",
      "",
      "a b",
      "--net:a=b",
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), (argv) => {
        const found = scanArguments(argv);
        if (found.kind !== "run") return;
        const dashes = argv.length - found.options.length - 1 - found.args.length;
        expect([0, 1]).toContain(dashes);
        const separator = dashes === 1 ? ["--"] : [];
        expect([...found.options, ...separator, found.kernel, ...found.args]).toEqual(argv);
        expect(found.options.every((option) => option.startsWith("-"))).toBe(true);
      }),
    );
  });
});

describe("--mem", () => {
  test("the default is 512 MiB", () => {
    expect(parse().memory).toBe(512 * MIB);
  });

  test("it is in MiB, and the last one counts", () => {
    expect(parse("--mem=1").memory).toBe(MIB);
    expect(parse("--mem=064").memory).toBe(64 * MIB);
    expect(parse("--mem=4096", "--mem=32").memory).toBe(32 * MIB);
    expect(parse("--mem=4097").memory).toBe(4097 * MIB);
    expect(parse("--mem=9999999").memory).toBe(9_999_999 * MIB);
  });

  test("zero, words, signs and numbers beyond all memory are refused", () => {
    const values = [
      "",
      "0",
      "00",
      "-1",
      "+1",
      "64x",
      "x",
      "1.5",
      "1e3",
      "0x40",
      " 64",
      "64 ",
      "64M",
      "99999999",
    ];
    for (const value of [...values, "18446744073709551615", "4\n"]) {
      const error = refusal(() => parse(`--mem=${value}`));
      expect([value, error.code]).toEqual([value, "bad-memory"]);
      expect(error.message).toContain("malformed");
    }
  });
});

describe("devices", () => {
  test("each kind of option goes where it belongs", () => {
    const { request } = parse(
      "--net:service=tap0",
      "--net:Uplink2=@7",
      "--net-mac:service=02:00:5e:10:0:FF",
      "--block:storage=/a b/c=d.img",
      "--block-sector-size:storage=4096",
    );
    expect([...request.nets]).toEqual([
      ["service", { tap: "tap0" }],
      ["Uplink2", { fd: 7 }],
    ]);
    expect([...request.macs]).toEqual([["service", new Uint8Array([2, 0, 0x5e, 0x10, 0, 255])]]);
    expect([...request.blocks]).toEqual([["storage", "/a b/c=d.img"]]);
    expect([...request.sectorSizes]).toEqual([["storage", 4096]]);
  });

  test("given twice, the last one counts", () => {
    const { request } = parse("--block:a=x", "--net:a=t", "--net:a=@3", "--block:a=y");
    expect([...request.blocks]).toEqual([["a", "y"]]);
    expect([...request.nets]).toEqual([["a", { fd: 3 }]]);
  });

  test("names are 1 to 67 letters and digits", () => {
    const longest = "a".repeat(67);
    expect([...parse(`--block:${longest}=x`).request.blocks.keys()]).toEqual([longest]);
    for (const name of ["", `${longest}a`, "a-b", "a_b", "a b", "a.b", "ü", "a:b", "a/b", "a\n", "a\0"]) {
      for (const key of ["net", "net-mac", "block", "block-sector-size"]) {
        const error = refusal(() => parse(`--${key}:${name}=512`));
        expect(error.code).toBe("bad-option");
        expect(error.message).toBe(`Invalid option: --${key}:${name}=512`);
      }
    }
  });

  test("a path may have everything in it that a path can", () => {
    for (const path of ["a=b", "/dev/loop0", "x:y", "-", "--", "ü", "a\nb", " "]) {
      expect(parse(`--block:a=${path}`).request.blocks.get("a")).toBe(path);
    }
  });

  test("a descriptor is decimal, and all of the value", () => {
    for (const [text, fd] of [
      ["@0", 0],
      ["@3", 3],
      ["@007", 7],
      ["@999999999", 999_999_999],
    ] as const) {
      expect(parse(`--net:a=${text}`).request.nets.get("a")).toEqual({ fd });
    }
    for (const text of [
      "@",
      "@-1",
      "@x",
      "@3x",
      "@ 3",
      "@0x3",
      "@3.0",
      "@1234567890",
      "@2147483648",
      "@@3",
    ]) {
      expect(refusal(() => parse(`--net:a=${text}`)).code).toBe("bad-option");
    }
  });

  test("a MAC address is six groups of one or two digits", () => {
    for (const text of ["0:0:0:0:0:0", "ff:FF:fF:00:1:a"]) {
      expect(parse(`--net-mac:a=${text}`).request.macs.get("a")).toHaveLength(6);
    }
    const wrong = ["", "02:00:00:00:00", "02:00:00:00:00:00:00", "02-00-00-00-00-00", "020000000000"];
    for (const text of [...wrong, "02:00:00:00:00:0g", "02:00:00:00:00:000", "02:00:00:00:00:", "::::::x"]) {
      expect(refusal(() => parse(`--net-mac:a=${text}`)).code).toBe("bad-option");
    }
  });

  test("a sector size is a power of two from 512 to 32768; the error has the original's words", () => {
    for (const size of [512, 1024, 2048, 4096, 8192, 16384, 32768]) {
      expect(parse(`--block-sector-size:a=${size}`).request.sectorSizes.get("a")).toBe(size);
    }
    const wrong = [0, 1, 256, 511, 513, 521, 1000, 1536, 65536, 66048, 2 ** 31, 2 ** 32 + 512, 2 ** 53];
    for (const size of [...wrong, "x", "512x", "0x200", "-512", "512.0", "5e2"]) {
      const error = refusal(() => parse(`--block-sector-size:a=${size}`));
      expect(error.message).toStartWith("Invalid option: ");
      expect(error.why).toContain("Block size must be a multiple of 2 greater than or equal 512");
    }
  });
});

describe("options that nobody accepts", () => {
  const options = [
    ...[
      "-",
      "-m",
      "--",
      "---",
      "--mem",
      "--net",
      "--block",
      "--net=tap0",
      "--block=x",
      "--mem:a=64",
      "--NET:a=b",
    ],
    ...["--net:a", "--net:a=", "--block:a=", "--net-mac:a=", "--block-sector-size:a=", "--nets:a=b", "--gdb"],
    ...[
      "--gdb-port=1234",
      "--dumpcore=/tmp",
      "--x-exec-heap",
      "--quiet",
      "-net:a=b",
      "--net:=tap0",
      "--help=1",
    ],
  ];
  test.each(options)("%p is named in the error", (option) => {
    const error = refusal(() => parse("--mem=32", option));
    expect(error.code).toBe("bad-option");
    expect(error.message).toBe(`Invalid option: ${option}`);
  });

  test("the first wrong one in order is the one that is named", () => {
    expect(refusal(() => parse("--first", "--mem=0")).message).toContain("--first");
    expect(refusal(() => parse("--mem=0", "--first")).code).toBe("bad-memory");
  });

  test("a core directory is for the debugging hvt tender only", () => {
    expect(parseOptions(["--dumpcore=/tmp/x"], "hvt", { debug: true }).dumpCore).toBe("/tmp/x");
    expect(refusal(() => parseOptions(["--dumpcore=/tmp/x"], "hvt")).code).toBe("bad-option");
    expect(refusal(() => parseOptions(["--dumpcore=/tmp/x"], "spt", { debug: true })).code).toBe(
      "bad-option",
    );
  });

  test("an executable heap is for spt only, and anything may follow it", () => {
    for (const option of ["--x-exec-heap", "--x-exec-heap=1", "--x-exec-heapx"]) {
      expect(parseOptions([option], "spt").execHeap).toBe(true);
      expect(refusal(() => parseOptions([option], "hvt")).code).toBe("bad-option");
    }
    expect(parseOptions([], "spt").execHeap).toBe(false);
  });

  test("no text does anything but answer or be refused", () => {
    const piece = fc.constantFrom(
      "--",
      "-",
      "net",
      "block",
      "mem",
      "-mac",
      "-sector-size",
      ":",
      "=",
      "a",
      "512",
      "@",
      "\0",
    );
    const option = fc.oneof(
      fc.array(piece, { maxLength: 8 }).map((all) => all.join("")),
      fc.string(),
    );
    fc.assert(
      fc.property(option, fc.constantFrom("hvt" as const, "spt" as const), (text, kind) => {
        try {
          parseOptions([text], kind);
        } catch (error) {
          if (!(error instanceof TenderError)) throw error;
          expect(error.message).toContain(text);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
