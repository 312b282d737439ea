import { describe, expect, test } from "bun:test";
import { cidr } from "../../src/network/addresses.ts";
import {
  type AttachContext,
  type AttachRequest,
  needsNewNetwork,
  planAttach,
  planDetach,
} from "../../src/network/attach-plan.ts";
import { unikernelMac } from "../../src/network/names.ts";
import { parsePort } from "../../src/network/ports.ts";
import { applyChanges, changesBetween } from "../../src/network/record-changes.ts";
import { NO_RECORDS, type Records } from "../../src/network/records.ts";

const CONTEXT: AttachContext = { now: 5, used: [], interfaces: new Set(), bridges: new Set(["br0"]) };
const OWNER = { pid: 1, start: "1" };

function request(unikernel: string, more: Partial<AttachRequest> = {}): AttachRequest {
  return { unikernel, devices: [{ device: "service" }], ports: [], owner: OWNER, ...more };
}

function attach(records: Records, wanted: AttachRequest, context = CONTEXT) {
  const plan = planAttach(records, wanted, context);
  return { plan, records: applyChanges(records, plan.changes) };
}

describe("planAttach()", () => {
  test("makes the network service on first need, and gives its first address", () => {
    const { plan, records } = attach(NO_RECORDS, request("web"));
    expect(plan.made).toMatchObject([{ name: "service", mode: "nat", ipv4: "10.0.42.1/24", onDemand: true }]);
    expect(plan.attached).toEqual([
      {
        ...{ device: "service", network: "service", tap: "rbt0" },
        ...{ ipv4: "10.0.42.2/24", ipv4Gateway: "10.0.42.1", ipv6: null, ipv6Gateway: null },
        mac: unikernelMac("web", "service"),
      },
    ]);
    expect(needsNewNetwork(records, request("other"))).toBe(false);
    expect(needsNewNetwork(NO_RECORDS, request("other"))).toBe(true);
  });

  test("avoids ranges that are in use, and interfaces that are there", () => {
    const context = { ...CONTEXT, used: [cidr("10.0.42.0/23")], interfaces: new Set(["rbt0"]) };
    const { plan } = attach(NO_RECORDS, request("web"), context);
    expect(plan.attached[0]).toMatchObject({ tap: "rbt1", ipv4: "10.0.44.2/24" });
  });

  test("puts other devices on networks of their own names, which lead nowhere", () => {
    const devices = [{ device: "service" }, { device: "private" }];
    const { plan } = attach(NO_RECORDS, request("web", { devices }));
    expect(plan.made.map(({ name, mode }) => [name, mode])).toEqual([
      ["service", "nat"],
      ["private", "isolated"],
    ]);
    expect(plan.attached[1]).toMatchObject({ network: "private", ipv4: "10.0.43.2/24", ipv4Gateway: null });
  });

  test("gives the same addresses again, also after others came in between", () => {
    const first = attach(NO_RECORDS, request("web"));
    const gone = applyChanges(
      first.records,
      planDetach(first.records, () => true),
    );
    const second = attach(gone, request("other"));
    expect(second.plan.attached[0]?.ipv4).toBe("10.0.42.3/24");
    const again = attach(second.records, request("web"));
    expect(again.plan.attached[0]).toEqual({ ...first.plan.attached[0]!, tap: "rbt1" });
  });

  test("takes an address from a unikernel that is stopped, not from one that runs", () => {
    const small = attach(NO_RECORDS, request("a")).records;
    const networks = small.networks.map((network) => {
      return { ...network, ipv4: "10.0.42.1/30" };
    });
    const full = { ...small, networks };
    expect(() => planAttach(full, request("b"), CONTEXT)).toThrow(
      "no address is free on the network service",
    );
    const stopped = applyChanges(
      full,
      planDetach(full, () => true),
    );
    const { plan, records } = attach(stopped, request("b"));
    expect(plan.attached[0]?.ipv4).toBe("10.0.42.2/30");
    expect(records.leases.map(({ unikernel }) => unikernel)).toEqual(["b"]);
  });

  test("takes the address that was asked for, unless somebody runs with it", () => {
    const { records } = attach(NO_RECORDS, request("a"));
    const wish = (ipv4: string) => request("b", { devices: [{ device: "service", ipv4 }] });
    expect(planAttach(records, wish("10.0.42.9"), CONTEXT).attached[0]?.ipv4).toBe("10.0.42.9/24");
    expect(() => planAttach(records, wish("10.0.42.2"), CONTEXT)).toThrow("the address of the unikernel a");
    for (const wrong of ["10.0.42.1", "10.0.42.0", "10.0.42.255", "10.0.43.2", "::1"]) {
      expect(() => planAttach(records, wish(wrong), CONTEXT)).toThrow("can't be an address on the network");
    }
  });

  test("uses a bridge of the host's by its name, and refuses names that mean nothing", () => {
    const on = (network: string) => request("web", { devices: [{ device: "service", network }] });
    const { plan } = attach(NO_RECORDS, on("br0"));
    expect(plan.made).toMatchObject([{ name: "br0", bridge: "br0", adopted: true, mode: "bridged" }]);
    expect(plan.attached[0]).toMatchObject({ ipv4: null, ipv4Gateway: null });
    expect(() => planAttach(NO_RECORDS, on("nowhere"), CONTEXT)).toThrow("there is no network nowhere");
  });

  test("publishes on the first device, each port once", () => {
    const ports = ["8080:80", "5353:53/udp"].map(parsePort);
    const { records } = attach(NO_RECORDS, request("web", { ports }));
    expect(records.ports.map(({ hostPort, device, kept }) => [hostPort, device, kept])).toEqual([
      [8080, "service", false],
      [5353, "service", false],
    ]);
    const twice = [...ports, parsePort("127.0.0.1:8080:81")];
    expect(() => planAttach(NO_RECORDS, request("web", { ports: twice }), CONTEXT)).toThrow(
      "published twice",
    );
    const none = request("web", { ports, devices: [] });
    expect(() => planAttach(NO_RECORDS, none, CONTEXT)).toThrow("the unikernel has no network device");
  });
});

test("changesBetween() leads from one state of the records to another", () => {
  const a = attach(NO_RECORDS, request("a", { ports: [parsePort("1:1")] })).records;
  const b = attach(a, request("b", { devices: [{ device: "private" }] })).records;
  for (const [from, to] of [
    [a, b],
    [b, a],
    [a, NO_RECORDS],
    [NO_RECORDS, b],
  ] as const) {
    expect(applyChanges(from, changesBetween(from, to))).toEqual(to);
  }
});
