/** DHCP, DNS and passt's stream: what comes from outside is taken apart, and what goes out is put together. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  ACK,
  DISCOVER,
  NAK,
  OFFER,
  REQUEST,
  type DhcpRequest,
  readDhcp,
  writeDhcp,
} from "../../src/network/dhcp-message.ts";
import { answerDhcp } from "../../src/network/dhcp-responder.ts";
import { RCODE, TYPE, encodeName, readQuestion, writeAnswer } from "../../src/network/dns-message.ts";
import { answerName } from "../../src/network/dns-names.ts";
import { TcpMessages, nameServers } from "../../src/network/dns-responder.ts";
import { FrameQueue, FrameReader, passtArguments } from "../../src/network/passt.ts";
import { parsePort } from "../../src/network/ports.ts";
import type { NetworkRecord, Records } from "../../src/network/records.ts";

const NETWORK: NetworkRecord & { ipv4: string } = {
  ...{ name: "service", mode: "nat", bridge: "rb-service", adopted: false, onDemand: true },
  ...{ ipv4: "10.0.42.1/24", ipv6: null, uplink: null, moved: null, confirmBy: null, createdAt: 0 },
};
const MAC = "00:80:41:01:02:03";
const RECORDS: Records = {
  networks: [NETWORK],
  leases: [
    {
      ...{ unikernel: "web", device: "service", network: "service", mac: MAC, ipv4: "10.0.42.5", ipv6: null },
      ...{ usedAt: 0, expiresAt: null },
    },
  ],
  taps: [
    { tap: "rbt0", unikernel: "web", device: "service", network: "service", owner: { pid: 1, start: "1" } },
  ],
  ports: [],
  sysctls: [],
};

describe("DHCP", () => {
  const request = (more: Partial<DhcpRequest>): DhcpRequest => {
    return {
      ...{ type: DISCOVER, transaction: 7, mac: MAC, broadcast: false, current: "0.0.0.0", seconds: 0 },
      ...{ requested: undefined, server: undefined, hostName: undefined, parameters: undefined },
      ...more,
    };
  };
  const answer = (more: Partial<DhcpRequest>) =>
    answerDhcp(request(more), NETWORK, "02:00:00:00:00:01", RECORDS, 1000);

  test("offers a unikernel the address of its record", () => {
    expect(answer({}).reply).toMatchObject({ type: OFFER, address: "10.0.42.5" });
    expect(answer({}).putLease).toBeUndefined();
    expect(answer({ type: REQUEST, requested: "10.0.42.5", server: "10.0.42.1" }).reply?.type).toBe(ACK);
    expect(answer({ type: REQUEST, current: "10.0.42.5" }).reply?.type).toBe(ACK);
  });

  test("refuses another address, and is silent when another server was chosen", () => {
    expect(answer({ type: REQUEST, requested: "10.0.42.6" }).reply).toMatchObject({
      type: NAK,
      address: "0.0.0.0",
    });
    expect(answer({ type: REQUEST, requested: "10.0.42.5", server: "10.0.42.9" }).reply).toBeUndefined();
  });

  test("gives a stranger what is free, under a name that it can't choose", () => {
    const { reply, putLease } = answer({ mac: "02:00:00:00:00:09" });
    expect(reply).toMatchObject({ type: OFFER, address: "10.0.42.2", hostName: undefined });
    expect(putLease).toMatchObject({ unikernel: "host-020000000009", expiresAt: 61_000 });
  });

  test("frames hold what was put into them, with right checksums", () => {
    const frame = writeDhcp(request({}), answer({}).reply!);
    const view = new DataView(frame.buffer);
    const sum = (start: number, length: number, begin: number) => {
      let total = begin;
      for (let i = 0; i + 1 < length; i += 2) total += view.getUint16(start + i, false);
      if (length % 2 === 1) total += view.getUint8(start + length - 1) << 8;
      while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
      return total;
    };
    expect(sum(14, 20, 0)).toBe(0xffff);
    const udp = frame.length - 34;
    const pseudo = [26, 28, 30, 32].reduce((total, at) => total + view.getUint16(at, false), 17 + udp);
    expect(sum(34, udp, pseudo)).toBe(0xffff);
    expect([...frame.subarray(0, 6)]).toEqual([0x00, 0x80, 0x41, 1, 2, 3]);
    expect([...frame.subarray(58, 62)]).toEqual([10, 0, 42, 5]);
  });

  test("bytes of any kind are read without harm", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => void readDhcp(bytes)));
    const frame = writeDhcp(request({}), answer({}).reply!);
    // A reply is no request; made one, it is taken, and cut anywhere it isn't or has no more than it holds.
    expect(readDhcp(frame)).toBeUndefined();
    frame[42] = 1;
    frame[37] = 67;
    expect(readDhcp(frame)).toMatchObject({ transaction: 7, mac: MAC, type: OFFER });
    for (let length = 0; length < frame.length; length++) readDhcp(frame.slice(0, length));
  });
});

describe("DNS", () => {
  const ask = (name: string, type: number = TYPE.A) => {
    const header = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    return new Uint8Array([...header, ...encodeName(name), type >> 8, type & 255, 0, 1]);
  };

  test("knows names of unikernels that are there", () => {
    const answer = (name: string, type: number = TYPE.A) => answerName({ name, type }, NETWORK, RECORDS);
    expect(answer("web.robur.internal")?.answers.map(({ data }) => [...data])).toEqual([[10, 0, 42, 5]]);
    expect(answer("web.robur.internal", TYPE.AAAA)).toMatchObject({ rcode: RCODE.ok, answers: [] });
    expect(answer("other.robur.internal")?.rcode).toBe(RCODE.noName);
    expect(answer("robur.internal")?.rcode).toBe(RCODE.ok);
    expect(answer("example.com")).toBeUndefined();
    expect(answer("notrobur.internal")).toBeUndefined();
    expect(answer("5.42.0.10.in-addr.arpa", TYPE.PTR)?.answers.length).toBe(1);
    expect(answer("5.43.0.10.in-addr.arpa", TYPE.PTR)).toBeUndefined();
  });

  test("repeats the question, and points to it", () => {
    const question = readQuestion(ask("Web.Robur.Internal"))!;
    expect(question).toMatchObject({ id: 0x1234, name: "web.robur.internal", type: TYPE.A });
    const reply = writeAnswer(question, answerName(question, NETWORK, RECORDS)!);
    expect([...reply.subarray(0, 12)]).toEqual([0x12, 0x34, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    expect(new TextDecoder().decode(reply)).toContain("Robur");
    expect([...reply.subarray(-16)]).toEqual([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 10, 0, 4, 10, 0, 42, 5]);
  });

  test("bytes of any kind are read without harm", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void readQuestion(bytes)));
    const whole = ask("a.b.c");
    for (let length = 0; length < whole.length; length++) {
      expect(readQuestion(whole.subarray(0, length))).toBeUndefined();
    }
  });

  test("over TCP comes in pieces of any size", () => {
    const message = fc.uint8Array({ minLength: 12, maxLength: 600 });
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 5 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 40 })),
        (list, cuts) => {
          const stream = list.flatMap((one) => [one.length >> 8, one.length & 255, ...one]);
          const reader = new TcpMessages();
          const got: Uint8Array[] = [];
          for (let at = 0; at < stream.length;) {
            const size = cuts.next().value!;
            got.push(...reader.add(new Uint8Array(stream.slice(at, at + size))));
            at += size;
          }
          expect(got).toEqual(list);
        },
      ),
    );
  });

  test("asks the host's name servers, and never itself", () => {
    const text =
      "# c\nnameserver 127.0.0.53\n nameserver 10.0.42.1\nnameserver fe80::1%eth0\nnameserver nonsense\n";
    expect(nameServers(text, ["10.0.42.1"])).toEqual(["127.0.0.53", "fe80::1"]);
  });
});

describe("passt's stream", () => {
  test("carries frames, however it is cut", () => {
    const frame = fc.uint8Array({ minLength: 14, maxLength: 1514 });
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 6 }),
        fc.infiniteStream(fc.integer({ min: 0, max: 700 })),
        (frames, cuts) => {
          const queue = new FrameQueue();
          const reader = new FrameReader();
          const got: Uint8Array[] = [];
          for (const one of frames) queue.add(one);
          let isDone = false;
          while (!isDone) {
            isDone = true;
            queue.flush((bytes) => {
              const taken = Math.min(bytes.length, cuts.next().value!);
              got.push(...reader.add(bytes.slice(0, taken)).map((found) => found.slice()));
              if (taken < bytes.length) isDone = false;
              return taken;
            });
          }
          expect(got).toEqual(frames);
        },
      ),
    );
  });

  test("drops what passt doesn't read, and refuses lengths that can't be", () => {
    const queue = new FrameQueue();
    for (let i = 0; i < 2000; i++) queue.add(new Uint8Array(1514));
    let size = 0;
    queue.flush((bytes) => {
      size += bytes.length;
      return bytes.length;
    });
    expect(size).toBeLessThan(1100 * 1024);
    expect(() => new FrameReader().add(new Uint8Array([255, 255, 255, 255]))).toThrow("frame of");
  });

  test("is opened with the published ports, and no others", () => {
    const ports = ["8080:80", "127.0.0.1:8443:443", "53:53/udp"].map(parsePort);
    const args = passtArguments({ ipv4: "10.0.42.2/24", gateway: "10.0.42.1", ports });
    expect(args.join(" ")).toContain("--tcp-ports 8080:80 --tcp-ports 127.0.0.1/8443:443 --udp-ports 53:53");
    const none = passtArguments({ ipv4: "10.0.42.2/24", gateway: "10.0.42.1", ports: [] });
    expect(none.join(" ")).toContain("--tcp-ports none --udp-ports none");
  });
});
