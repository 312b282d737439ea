import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  type Listener,
  checkPortFree,
  collide,
  formatPort,
  parseHostPort,
  parseListeners,
  parsePort,
} from "../../src/network/ports.ts";

describe("parsePort()", () => {
  test("reads every form, and formatPort() writes it back", () => {
    const address = fc.oneof(
      fc.constant(""),
      fc.constant("127.0.0.1"),
      fc.constant("192.0.2.1"),
      fc.constant("fd00::1"),
    );
    const port = fc.integer({ min: 1, max: 65535 });
    const protocol = fc.constantFrom("tcp" as const, "udp" as const);
    fc.assert(
      fc.property(address, port, port, protocol, (at, hostPort, guestPort, kind) => {
        const spec = { protocol: kind, address: at, hostPort, guestPort };
        expect(parsePort(formatPort(spec))).toEqual(spec);
      }),
    );
    expect(parsePort("localhost:8080:80").address).toBe("127.0.0.1");
    expect(parsePort("0.0.0.0:8080:80").address).toBe("");
    expect(parsePort("[::]:8080:80/tcp")).toEqual(parsePort("8080:80"));
  });

  test("refuses what is none", () => {
    for (const text of [
      "",
      "80",
      "0:80",
      "80:65536",
      "a:80",
      "80:80/sctp",
      "1.2.3:1:2",
      "::1:80:80",
      "x:80:80",
    ]) {
      expect(() => parsePort(text)).toThrow("not a port to publish");
    }
  });

  test("of the host alone is what unpublish takes", () => {
    expect(parseHostPort("8080")).toMatchObject({ address: "", hostPort: 8080, protocol: "tcp" });
    expect(parseHostPort("8080:80/udp")).toMatchObject({ address: "", hostPort: 8080, protocol: "udp" });
    expect(parseHostPort("127.0.0.1:8080")).toMatchObject({ address: "127.0.0.1", hostPort: 8080 });
    expect(parseHostPort("[::1]:8080:80")).toMatchObject({ address: "::1", hostPort: 8080 });
    expect(() => parseHostPort("web")).toThrow("not a published port");
  });
});

describe("ports in use", () => {
  const tcp = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0 0 10 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 0 100 0 0 10 0
   2: 0100007F:1F91 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 333 1 0 100 0 0 10 0
`;
  const tcp6 = `  sl  local_address                         remote_address                        st
   0: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 444 1
   1: 0000000000000000FFFF00000100007F:0051 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 555 1
   2: 00000000000000000000000000000000:0052 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 666 1
`;

  test("are read from the kernel's tables", () => {
    const at = (address: string, port: number, inode: string): Listener => {
      return { protocol: "tcp", address, port, inode };
    };
    expect(parseListeners(tcp, "tcp")).toEqual([at("127.0.0.1", 8080, "111"), at("", 22, "222")]);
    expect(parseListeners(tcp6, "tcp")).toEqual([
      at("::1", 80, "444"),
      at("127.0.0.1", 81, "555"),
      at("", 82, "666"),
    ]);
  });

  test("are refused, and another one is named", () => {
    const waiting = parseListeners(tcp, "tcp");
    expect(() => checkPortFree(parsePort("22:22"), [], waiting)).toThrow("port 22/tcp is in use");
    expect(() => checkPortFree(parsePort("8080:80"), [], waiting)).toThrow("port 8080/tcp is in use");
    checkPortFree(parsePort("192.0.2.1:8080:80"), [], waiting);
    checkPortFree(parsePort("8080:80/udp"), [], waiting);
    const port = { unikernel: "web", device: "service", network: "service", kept: false };
    const published = [{ ...parsePort("8081:80"), ...port }];
    expect(() => checkPortFree(parsePort("127.0.0.1:8081:80"), published, [])).toThrow(
      "port 8081/tcp is in use",
    );
  });

  test("collide where an address is common to both", () => {
    expect(collide(parsePort("80:1"), parsePort("1.2.3.4:80:2"))).toBe(true);
    expect(collide(parsePort("1.2.3.5:80:1"), parsePort("1.2.3.4:80:2"))).toBe(false);
    expect(collide(parsePort("80:1"), parsePort("80:1/udp"))).toBe(false);
  });
});
