/** The plan as a property: from whatever is there to whatever is wanted, and back to nothing. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { bridgeName } from "../../src/network/names.ts";
import {
  type Action,
  type KernelState,
  type Link,
  NOTHING,
  type Surroundings,
  planChanges,
  wantedState,
} from "../../src/network/plan.ts";
import type { NetworkRecord, Records } from "../../src/network/records.ts";
import { readMarkChain } from "../../src/network/ruleset.ts";

const AROUND: Surroundings = {
  instance: "0a1b2c3d",
  table: "robur",
  hasDocker: false,
  hasIpv6: true,
  advertised: ["eth0"],
};

/** A kernel that does what it is told, and refuses what can't be. */
function perform(state: KernelState, actions: readonly Action[]): KernelState {
  const links = new Map(state.links.map((link) => [link.name, link]));
  const sysctls = new Map(state.sysctls);
  const letPass = new Set(state.letPass);
  let { ruleset } = state;
  const linkOf = (name: string): Link => {
    const link = links.get(name);
    if (link === undefined) throw new Error(`there is no ${name}`);
    return link;
  };
  for (const action of actions) {
    switch (action.do) {
      case "add-link": {
        const { name, kind, mac } = action.link;
        if (links.has(name)) throw new Error(`${name} exists`);
        links.set(name, { name, kind, mark: "", addresses: [], isUp: false, ...(mac ? { mac } : {}) });
        break;
      }
      case "set-link": {
        const { name, mark, master } = action.link;
        if (master !== undefined && linkOf(master).kind !== "bridge")
          throw new Error(`${master} is no bridge`);
        links.set(name, { ...linkOf(name), mark, isUp: true, ...(master ? { master } : {}) });
        break;
      }
      case "remove-link": {
        linkOf(action.name);
        links.delete(action.name);
        if ([...links.values()].some(({ master }) => master === action.name))
          throw new Error("ports are left");
        break;
      }
      case "add-address": {
        const link = linkOf(action.link);
        links.set(link.name, { ...link, addresses: [...link.addresses, action.address] });
        break;
      }
      case "remove-address": {
        const link = linkOf(action.link);
        links.set(link.name, { ...link, addresses: link.addresses.filter((a) => a !== action.address) });
        break;
      }
      case "set-sysctl":
        sysctls.set(action.path, action.value);
        break;
      case "nft": {
        const chains = [...action.text.matchAll(/chain (\S+)/g)].map(([, name]) => name!);
        const markChain = readMarkChain(chains)?.name;
        const table = /table inet (\S+)/.exec(action.text)![1]!;
        ruleset = markChain === undefined ? undefined : { table, markChain };
        break;
      }
      case "let-pass":
        letPass.add(action.bridge);
        break;
      case "stop-passing":
        letPass.delete(action.bridge);
        break;
    }
  }
  return { links: [...links.values()], ruleset, letPass: [...letPass], sysctls };
}

const modes = fc.constantFrom("nat" as const, "routed" as const, "isolated" as const);

/** Networks a, b, c, …, and unikernels on some of them. */
const records: fc.Arbitrary<Records> = fc
  .array(
    fc.record({
      mode: modes,
      onDemand: fc.boolean(),
      ipv6: fc.boolean(),
      guests: fc.nat(3),
      port: fc.boolean(),
    }),
    {
      maxLength: 4,
    },
  )
  .map((list) => {
    const networks = list.map(({ mode, onDemand, ipv6 }, i): NetworkRecord => {
      const name = String.fromCharCode(97 + i);
      return {
        ...{ name, mode, onDemand, bridge: bridgeName(name), adopted: false, ipv4: `10.0.${i}.1/24` },
        ...{
          ipv6: ipv6 ? `fd00:${i}::1/64` : null,
          uplink: null,
          moved: null,
          confirmBy: null,
          createdAt: 0,
        },
      };
    });
    const guests = list.flatMap(({ guests, port }, i) =>
      Array.from({ length: guests }, (_, g) => ({ i, g, port: port && g === 0 })),
    );
    const key = (i: number, g: number) => {
      return { unikernel: `u${i}-${g}`, device: "service", network: String.fromCharCode(97 + i) };
    };
    return {
      networks,
      leases: guests.map(({ i, g }) => {
        const rest = { ipv6: null, usedAt: 0, expiresAt: null };
        return { ...key(i, g), mac: `02:00:00:00:0${i}:0${g}`, ipv4: `10.0.${i}.${g + 2}`, ...rest };
      }),
      taps: guests.map(({ i, g }) => {
        return { ...key(i, g), tap: `rbt${i * 4 + g}`, owner: { pid: 1, start: "1" } };
      }),
      ports: guests
        .filter(({ port }) => port)
        .map(({ i, g }) => {
          const rest = { protocol: "tcp" as const, address: "", guestPort: 80, kept: false };
          return { ...key(i, g), ...rest, hostPort: 8000 + i };
        }),
      sysctls: [],
    };
  });

const around = fc.boolean().map((hasDocker): Surroundings => {
  return { ...AROUND, hasDocker };
});

describe("planChanges()", () => {
  test("leads from any state to any other, and then has nothing more to do", () => {
    fc.assert(
      fc.property(records, records, around, (before, after, surroundings) => {
        const from = perform(NOTHING, planChanges(NOTHING, wantedState(before, surroundings)));
        const wanted = wantedState(after, surroundings);
        const reached = perform(from, planChanges(from, wanted));
        expect(planChanges(reached, wanted)).toEqual([]);
        expect(reached.ruleset?.markChain).toBe(wanted.ruleset?.markChain);
        expect(new Set(reached.links.map(({ name }) => name))).toEqual(
          new Set(wanted.links.map(({ name }) => name)),
        );
      }),
    );
  });

  test("goes on from wherever it was interrupted", () => {
    fc.assert(
      fc.property(records, fc.nat(60), around, (after, steps, surroundings) => {
        const wanted = wantedState(after, surroundings);
        const half = perform(NOTHING, planChanges(NOTHING, wanted).slice(0, steps));
        const reached = perform(half, planChanges(half, wanted));
        expect(planChanges(reached, wanted)).toEqual([]);
      }),
    );
  });

  test("leaves nothing on the way back", () => {
    fc.assert(
      fc.property(records, around, (before, surroundings) => {
        const from = perform(NOTHING, planChanges(NOTHING, wantedState(before, surroundings)));
        const end = perform(from, planChanges(from, NOTHING));
        expect(end.links).toEqual([]);
        expect(end.ruleset).toBeUndefined();
        expect(end.letPass).toEqual([]);
      }),
    );
  });

  test("has its rules in place before the first tap is up, and until the last one is gone", () => {
    fc.assert(
      fc.property(records, (after) => {
        const wanted = wantedState(after, AROUND);
        const isTap = (action: Action) => action.do === "add-link" && action.link.kind === "tap";
        const up = planChanges(NOTHING, wanted);
        const firstTap = up.findIndex(isTap);
        if (firstTap >= 0) expect(up.findIndex((action) => action.do === "nft")).toBeLessThan(firstTap);
        const down = planChanges(perform(NOTHING, up), NOTHING);
        const lastTap = down.findLastIndex((action) => action.do === "remove-link" && action.kind === "tap");
        const rules = down.findIndex((action) => action.do === "nft");
        if (lastTap >= 0) expect(rules).toBeGreaterThan(lastTap);
      }),
    );
  });

  test("changes nothing of an adopted bridge", () => {
    const lan: NetworkRecord = {
      ...{
        name: "lan",
        mode: "bridged",
        bridge: "br0",
        adopted: true,
        onDemand: false,
        ipv4: null,
        ipv6: null,
      },
      ...{ uplink: null, moved: null, confirmBy: null, createdAt: 0 },
    };
    const tap = {
      tap: "rbt0",
      unikernel: "u",
      device: "service",
      network: "lan",
      owner: { pid: 1, start: "1" },
    };
    const wanted = wantedState({ networks: [lan], leases: [], taps: [tap], ports: [], sysctls: [] }, AROUND);
    const bridge: Link = { name: "br0", kind: "bridge", mark: "", addresses: [], isUp: true };
    const actions = planChanges({ ...NOTHING, links: [] }, wanted);
    expect(actions.map((action) => action.do)).toEqual(["add-link", "set-link"]);
    expect(perform({ ...NOTHING, links: [bridge] }, actions).links[0]).toEqual(bridge);
  });
});
