import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  cidr,
  formatAddress,
  formatCidr,
  freeAddress,
  freeRange,
  isGuestAddress,
  localIpv6,
  overlap,
  parseAddress,
  parseCidr,
  rangeOf,
} from "../../src/network/addresses.ts";

describe("parseAddress() and formatAddress()", () => {
  test("are each other's way back", () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const parsed = parseAddress(text);
        // fast-check also writes IPv6 with an IPv4 tail, which is not taken.
        if (parsed === undefined) return expect(text).toMatch(/:.*\./);
        expect(parseAddress(formatAddress(parsed))).toEqual(parsed);
      }),
    );
  });

  // RFC 5952, 4.2.
  test("write IPv6 as RFC 5952 says", () => {
    const forms: Record<string, string> = {
      "2001:0db8:0000:0000:0000:0000:0002:0001": "2001:db8::2:1",
      "2001:db8:0:1:1:1:1:1": "2001:db8:0:1:1:1:1:1",
      "2001:0:0:1:0:0:0:1": "2001:0:0:1::1",
      "2001:DB8:0:0:1:0:0:1": "2001:db8::1:0:0:1",
      "::": "::",
      "::1": "::1",
    };
    for (const [text, short] of Object.entries(forms)) expect(formatAddress(parseAddress(text)!)).toBe(short);
  });

  test("refuse what is no address", () => {
    for (const text of [
      "",
      "10.0.42",
      "10.0.42.256",
      "1.2.3.4.5",
      ":::",
      "1::2::3",
      "12345::",
      "g::",
      "1:2:3:4:5:6:7",
      "::1:2:3:4:5:6:7:8",
    ]) {
      expect(parseAddress(text)).toBeUndefined();
    }
    for (const text of ["10.0.0.1", "10.0.0.1/33", "10.0.0.1/", "::/129", "/24"])
      expect(parseCidr(text)).toBeUndefined();
  });
});

describe("freeRange()", () => {
  test("is 10.0.42.0/24 where nothing is in the way, else the next", () => {
    expect(freeRange([])).toBe("10.0.42.1/24");
    expect(freeRange([cidr("10.0.42.7/32")])).toBe("10.0.43.1/24");
    expect(freeRange([cidr("10.0.0.0/16")])).toBe("172.16.0.1/24");
    expect(freeRange([cidr("10.0.0.0/8"), cidr("172.16.0.0/12")])).toBe("192.168.255.1/24");
    expect(freeRange([cidr("0.0.0.0/1"), cidr("128.0.0.0/1")])).toBeUndefined();
  });

  test("never overlaps what is taken", () => {
    const range = fc
      .tuple(fc.ipV4(), fc.integer({ min: 9, max: 32 }))
      .map(([a, l]) => rangeOf(cidr(`${a}/${l}`)));
    fc.assert(
      fc.property(fc.array(range), (taken) => {
        const found = cidr(freeRange(taken)!);
        expect(taken.some((other) => overlap(found, other))).toBe(false);
      }),
    );
  });
});

describe("freeAddress()", () => {
  test("is the lowest that is neither the host's nor taken", () => {
    const host = cidr("10.0.42.1/24");
    expect(freeAddress(host, new Set())).toBe("10.0.42.2");
    expect(freeAddress(host, new Set(["10.0.42.2", "10.0.42.3"]))).toBe("10.0.42.4");
    expect(freeAddress(cidr("10.0.42.3/29"), new Set(["10.0.42.2"]))).toBe("10.0.42.4");
    expect(freeAddress(cidr("10.0.42.1/30"), new Set(["10.0.42.2"]))).toBeUndefined();
  });

  test("never is the network's, the broadcast's or the host's address", () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.integer({ min: 20, max: 30 }), (address, length) => {
        const host = cidr(`${address}/${length}`);
        const found = freeAddress(host, new Set());
        if (found !== undefined) expect(isGuestAddress(host, parseAddress(found)!)).toBe(true);
      }),
    );
  });
});

test("localIpv6() is a unique local address (RFC 4193), the same each time", () => {
  const own = localIpv6("0a1b2c3d", "service");
  expect(own).toMatch(/^fd[0-9a-f]{2}:[0-9a-f]{1,4}:[0-9a-f]{1,4}::1\/64$/);
  expect(localIpv6("0a1b2c3d", "service")).toBe(own);
  expect(localIpv6("0a1b2c3e", "service")).not.toBe(own);
  expect(formatCidr(cidr(own))).toBe(own);
});
