import { describe, expect, test } from "bun:test";
import type { Manifest } from "../../src/image/manifest.ts";
import { type NetOptions, needsNetworks, sortNets } from "../../src/orchestrator/net-wishes.ts";

function manifest(...names: string[]): Manifest {
  const entries = names.map((name) => ({ name, type: "NET_BASIC" as const, typeNumber: 2 }));
  return { entries: [{ name: "", type: "reserved", typeNumber: 0x4000_0000 }, ...entries] };
}

const options = (nets: Record<string, string>, more: Partial<NetOptions> = {}): NetOptions => {
  return {
    nets: new Map(
      Object.entries(nets).map(([device, value]) => [
        device,
        value.startsWith("@") ? { fd: Number(value.slice(1)) } : { tap: value },
      ]),
    ),
    ...more,
  };
};
const isNetwork = (name: string) => name === "service" || name === "lab";
const kindOf = (name: string) =>
  name === "tap0" || name === "lab0" ? "other" : name === "br0" ? "bridge" : "none";
const sort = (devices: string[], nets: Record<string, string>, more: Partial<NetOptions> = {}) =>
  sortNets(manifest(...devices), options(nets, more), isNetwork, kindOf);

describe("sortNets()", () => {
  test("leaves taps and descriptors to the tender", () => {
    const { given, wished } = sort(["a", "b"], { a: "tap0", b: "@5" });
    expect([...given.keys()]).toEqual(["a", "b"]);
    expect(wished).toEqual([]);
  });

  test("takes devices that nobody gave, with the network that was said", () => {
    expect(sort(["a"], {}).wished).toEqual([{ device: "a", network: undefined }]);
    expect(sort(["a"], {}, { network: "lab" }).wished).toEqual([{ device: "a", network: "lab" }]);
    expect(sort(["a"], {}, { disabled: true }).wished).toEqual([]);
  });

  test("takes names of networks and of bridges, and leaves what is neither to the tender", () => {
    expect(sort(["a"], { a: "lab" }).wished).toEqual([{ device: "a", network: "lab" }]);
    expect(sort(["a"], { a: "br0" }).wished).toEqual([{ device: "a", network: "br0" }]);
    const { given, wished } = sort(["a"], { a: "nothing" });
    expect([...given.keys()]).toEqual(["a"]);
    expect(wished).toEqual([]);
  });

  test("keeps what isn't in the manifest, which the tender refuses by name", () => {
    expect([...sort(["a"], { other: "tap0" }).given.keys()]).toEqual(["other"]);
  });
});

test("needsNetworks() is false for a unikernel without network devices", () => {
  expect(needsNetworks(manifest(), options({}), false)).toBe(false);
  expect(needsNetworks(manifest(), options({}), true)).toBe(true);
  expect(needsNetworks(manifest("a"), options({}), false)).toBe(true);
  expect(needsNetworks(manifest("a"), options({ a: "@5" }), false)).toBe(false);
});
