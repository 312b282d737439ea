// `robur image`: what a unikernel file says of itself, for people, for programs, and as solo5-elftool says it.
import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Target, buildGuest, compilerVersion } from "../guests/build.ts";
import { lacks, needsCommands } from "../needs.ts";
import { run, temporaryDirectory } from "../robur.ts";

const NO_GCC = compilerVersion() === undefined ? needsCommands("gcc") : undefined;
const here = temporaryDirectory();

async function image(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(["image", ...args], { cwd: here });
  expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: "" });
  return stdout;
}

describe("robur image", () => {
  test("--help lists its commands", async () => {
    const help = await image("--help");
    for (const command of ["inspect <file>", "query-manifest <file>", "query-abi <file>"]) {
      expect(help).toContain(`robur image ${command}`);
    }
    for (const command of ["inspect", "query-manifest", "query-abi"]) {
      expect(await image(command, "--help")).toContain(`robur image ${command}`);
    }
  });

  test("without a command, or with one that isn't, asks for one, with status 2", async () => {
    const none = await run(["image"]);
    expect(none.code).toBe(2);
    expect(none.stderr).toContain("try: robur image inspect FILE");
    const wrong = await run(["image", "inspct", "x"]);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain("Did you mean inspect?");
    const missing = await run(["image", "inspect"]);
    expect(missing.code).toBe(2);
  });

  test("of a file that is missing ends with status 3, of one that is no image with 1", async () => {
    for (const command of ["inspect", "query-manifest", "query-abi"]) {
      const missing = await run(["image", command, "nosuch.hvt"], { cwd: here });
      expect({ command, code: missing.code, stdout: missing.stdout }).toEqual({
        command,
        code: 3,
        stdout: "",
      });
      expect(missing.stderr).toContain("nosuch.hvt: no such file");
      const program = await run(["image", command, "/bin/sh"]);
      expect({ command, code: program.code, stdout: program.stdout }).toEqual({
        command,
        code: 1,
        stdout: "",
      });
      expect(program.stderr).toContain("/bin/sh: not a unikernel");
    }
  });
});

describe("robur image inspect", () => {
  test("knows the images that are built in", async () => {
    const said = await image("inspect", "hello.hvt");
    expect(said).toMatch(/^target +hvt, ABI version 2, x86_64$/m);
    expect(said).toMatch(/^runs on +robur run, on a machine with \/dev\/kvm$/m);
    expect(said).toMatch(/^devices +none$/m);
    expect(said).toMatch(/^entry +0x1[0-9a-f]+$/m);
    expect(said).toMatch(/^sha256 +[0-9a-f]{64}$/m);
    expect(await image("inspect", "hello.spt")).toMatch(/^target +spt, ABI version 2/m);
  });

  test.skipIf(lacks(NO_GCC))("--json says the same to programs", async () => {
    const path = await buildGuest("net_2if", "hvt");
    const bytes = readFileSync(path);
    const found = JSON.parse(await image("inspect", "--json", path)) as Record<string, unknown>;
    expect(found).toMatchObject({
      file: path,
      target: "hvt",
      abiVersion: 2,
      machine: "x86_64",
      devices: [
        { name: "service0", type: "NET_BASIC" },
        { name: "service1", type: "NET_BASIC" },
      ],
      entry: `0x${bytes.readBigUInt64LE(24).toString(16)}`,
      size: bytes.length,
      sha256: new Bun.CryptoHasher("sha256").update(bytes).digest("hex"),
      found: {},
    });
    const segments = found["segments"] as { address: string; flags: string }[];
    expect(segments.length).toBeGreaterThan(1);
    expect(segments.map(({ flags }) => flags).every((flags) => !/w.*x/.test(flags))).toBe(true);
    const text = await image("inspect", path);
    for (const { address } of segments) expect(text).toContain(address);
    expect(text).toMatch(/^devices +service0 \(net\), service1 \(net\)$/m);
  });

  test.skipIf(lacks(NO_GCC))("finds the versions that strings give away", async () => {
    const bytes = readFileSync(await buildGuest("hello", "hvt"));
    const strings = Buffer.from("\0v0.9.1-3-gabcdef0\0\0\0\0\x014.14.2\0\x01/lib/mirage-runtime.4.5.1/x\0");
    const path = join(here, "with-strings.hvt");
    writeFileSync(path, Buffer.concat([bytes, Buffer.alloc(3 << 20), strings]));
    const { found } = JSON.parse(await image("inspect", "--json", path)) as { found: unknown };
    expect(found).toEqual({ solo5: "v0.9.1-3-gabcdef0", ocaml: "4.14.2", mirage: "4.5.1" });
  });

  test.skipIf(lacks(NO_GCC))("tells the images of every target and ABI", async () => {
    const cases: [target: Target, abi: number, runs: RegExp][] = [
      ["hvt", 1, /\/dev\/kvm/],
      ["spt", 2, /any Linux/],
      ["virtio", 1, /./],
    ];
    for (const [target, abi, runs] of cases) {
      const said = await image("inspect", await buildGuest("hello", target, { abi }));
      expect(said).toMatch(new RegExp(`^target +${target}, ABI version ${abi}, `, "m"));
      expect(/^runs on +(.*)$/m.exec(said)?.[1]).toMatch(runs);
    }
  });
});

describe.skipIf(lacks(NO_GCC))("robur image query-manifest and query-abi", () => {
  test("print solo5-elftool's JSON, one device a line", async () => {
    expect(await image("query-manifest", await buildGuest("net_2if", "hvt"))).toBe(`{
  "type": "solo5.manifest",
  "version": 1,
  "devices": [
    { "name": "service0", "type": "NET_BASIC" },
    { "name": "service1", "type": "NET_BASIC" }
  ]
}
`);
    expect(await image("query-manifest", await buildGuest("hello", "hvt"))).toBe(`{
  "type": "solo5.manifest",
  "version": 1,
  "devices": [
  ]
}
`);
    expect(await image("query-abi", await buildGuest("hello", "spt", { abi: 1 }))).toBe(`{
  "type": "solo5.abi",
  "target": "spt",
  "version": 1
}
`);
  });

  test("print JSON that programs read", async () => {
    const path = await buildGuest("mft_maxdevices", "hvt");
    const manifest = JSON.parse(await image("query-manifest", path)) as { devices: unknown[] };
    expect(manifest.devices).toHaveLength(63);
    expect(manifest.devices[62]).toEqual({ name: "storage62", type: "BLOCK_BASIC" });
    for (const [number, target] of [
      [4, "muen"],
      [5, "genode"],
      [6, "xen"],
      [42, "unknown"],
    ] as const) {
      const image42 = await buildGuest("hello", "hvt", { defines: [`ABI_TARGET=${number}`] });
      expect(JSON.parse(await image("query-abi", image42))).toEqual({
        type: "solo5.abi",
        target,
        version: 2,
      });
    }
  });

  test.skipIf(lacks(needsCommands("solo5-elftool")))("are the same to the byte", async () => {
    for (const [guest, target] of [
      ["hello", "hvt"],
      ["hello", "virtio"],
      ["blk", "spt"],
      ["net_2if", "hvt"],
      ["mft_maxdevices", "hvt"],
    ] as const) {
      const path = await buildGuest(guest, target);
      for (const query of ["query-manifest", "query-abi"]) {
        const original = Bun.spawnSync(["solo5-elftool", query, path]).stdout.toString();
        expect(await image(query, path)).toBe(original);
      }
    }
  });
});
