import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  bridgeName,
  checkNetworkName,
  checkUnikernelName,
  dnsLabel,
  dummyName,
  freeTapName,
  mark,
  markedAs,
  nameForImage,
  unikernelMac,
} from "../../src/network/names.ts";

describe("unikernelMac()", () => {
  test("is albatross's, so that reservations stay", () => {
    expect(unikernelMac("hello", "service")).toBe("00:80:41:cd:8a:eb");
    expect(unikernelMac(":hello", "service")).toBe("00:80:41:cd:8a:eb");
    expect(unikernelMac("foo:hello", "service")).toBe("00:80:41:df:aa:23");
    expect(unikernelMac("foo:bar:my.unikernel", "management")).toBe("00:80:41:c4:b2:aa");
  });
});

describe("names of interfaces", () => {
  const network = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/);
  test("fit into 15 bytes and begin with rb", () => {
    fc.assert(
      fc.property(network, (name) => {
        for (const made of [bridgeName(name), dummyName(name)]) {
          expect(made.length).toBeLessThanOrEqual(15);
          expect(made).toMatch(/^rbm?-/);
        }
      }),
    );
    expect(bridgeName("service")).toBe("rb-service");
  });

  test("differ where long names begin alike", () => {
    expect(bridgeName("a-very-long-network-one")).not.toBe(bridgeName("a-very-long-network-two"));
  });

  test("of taps are the lowest that is free", () => {
    expect(freeTapName(new Set())).toBe("rbt0");
    expect(freeTapName(new Set(["rbt0", "rbt2"]))).toBe("rbt1");
  });
});

test("a mark is known again by its own instance only", () => {
  const text = mark("0a1b2c3d", "tap web service");
  expect(markedAs("0a1b2c3d", text)).toBe("tap web service");
  expect(markedAs("0a1b2c3e", text)).toBeUndefined();
  expect(markedAs("0a1b2c3d", undefined)).toBeUndefined();
  expect(markedAs("0a1b2c3d", "robur 0a1b2c3d")).toBeUndefined();
});

test("network names that mean something else, or can't be names, are refused", () => {
  for (const name of ["", "passt", "none", "A", "a_b", "-a", "a-", "a".repeat(33), "a b", 'a"']) {
    expect(() => checkNetworkName(name)).toThrow("can't be a network's name");
  }
  expect(checkNetworkName("service")).toBe("service");
});

describe("names of unikernels", () => {
  test("come from the image's file", () => {
    expect(nameForImage("./build/Website.hvt")).toBe("website");
    expect(nameForImage("hello.spt")).toBe("hello");
    expect(nameForImage("my unikernel (2).hvt")).toBe("my-unikernel-2");
    expect(nameForImage("…")).toBe("unikernel");
  });

  test("are albatross's labels, with their path before them", () => {
    expect(checkUnikernelName("Foo:Hello")).toBe("foo:hello");
    expect(checkUnikernelName(":hello")).toBe("hello");
    for (const name of ["", "a::b", "-a", "a_b", 'a"b', "a".repeat(64)]) {
      expect(() => checkUnikernelName(name)).toThrow("can't be a unikernel's name");
    }
    expect(dnsLabel("foo:my.hello")).toBe("my-hello.foo");
  });
});
