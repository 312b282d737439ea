import { describe, expect, test } from "bun:test";
import { addressInArguments, argumentPrefix, bootArguments } from "../../src/network/boot-arguments.ts";

const net = (device: string, place = 2) => {
  return {
    device,
    ipv4: `10.0.42.${place}/24`,
    ipv4Gateway: "10.0.42.1" as string | null,
    ipv6: null as string | null,
    ipv6Gateway: null as string | null,
  };
};

describe("bootArguments()", () => {
  test("has no prefix for the device service, and for the only one", () => {
    expect(bootArguments([net("service")], ["service"], [])).toEqual([
      "--ipv4=10.0.42.2/24",
      "--ipv4-gateway=10.0.42.1",
    ]);
    expect(bootArguments([net("service0")], ["service0"], [])).toEqual([
      "--ipv4=10.0.42.2/24",
      "--ipv4-gateway=10.0.42.1",
    ]);
  });

  test("has the device's name before it for others", () => {
    const devices = ["service", "private"];
    expect(bootArguments([net("service"), { ...net("private"), ipv4Gateway: null }], devices, [])).toEqual([
      "--ipv4=10.0.42.2/24",
      "--ipv4-gateway=10.0.42.1",
      "--private-ipv4=10.0.42.2/24",
    ]);
    expect(argumentPrefix("lan", ["lan", "wan"])).toBe("");
    expect(argumentPrefix("wan", ["lan", "wan"])).toBe("wan-");
  });

  test("leaves what somebody gave himself, and adds the way out where it fits", () => {
    const give = (...args: string[]) => bootArguments([net("service")], ["service"], args);
    expect(give("--ipv4=10.0.42.9/24")).toEqual(["--ipv4-gateway=10.0.42.1"]);
    expect(give("--ipv4", "10.0.42.9/24")).toEqual(["--ipv4-gateway=10.0.42.1"]);
    expect(give("--ipv4-gateway=10.0.42.7")).toEqual(["--ipv4=10.0.42.2/24"]);
    expect(give("--verbose --ipv4=10.0.42.9/24 --ipv4-gateway=10.0.42.7")).toEqual([]);
    expect(give("--ipv4=10.0.0.2/8")).toEqual([]);
    // Not the same option.
    expect(give("--ipv4-only=true")).toEqual(["--ipv4=10.0.42.2/24", "--ipv4-gateway=10.0.42.1"]);
  });

  test("has IPv6 where the network has it", () => {
    const both = { ...net("service"), ipv6: "fd00::2/64", ipv6Gateway: "fd00::1" };
    expect(bootArguments([both], ["service"], []).slice(2)).toEqual([
      "--ipv6=fd00::2/64",
      "--ipv6-gateway=fd00::1",
    ]);
  });

  test("gives nothing on a network that gives no addresses", () => {
    expect(bootArguments([{ ...net("service"), ipv4: null }], ["service"], [])).toEqual([]);
  });
});

test("addressInArguments() finds the address of a device", () => {
  expect(addressInArguments("service", ["service"], ["--ipv4=10.0.42.9/24"])).toBe("10.0.42.9");
  expect(addressInArguments("private", ["service", "private"], ["--ipv4=1.2.3.4/8"])).toBeUndefined();
  expect(addressInArguments("private", ["service", "private"], ["--private-ipv4 10.1.0.9/24"])).toBe(
    "10.1.0.9",
  );
  expect(addressInArguments("service", ["service"], ["--ipv4=nonsense"])).toBeUndefined();
});
