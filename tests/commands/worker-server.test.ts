/** Whose jobs a worker does, and by which protocol. */
import { expect, test } from "bun:test";
import { chooseServer } from "../../src/commands/client/worker-server.ts";
import { UsageError } from "../../src/lib/errors.ts";

interface Given {
  readonly server?: string;
  readonly host?: string;
  readonly protocol?: "robur" | "builder";
}

const choose = ({ server, host, protocol }: Given, environment: Record<string, string> = {}) =>
  chooseServer({ server, host, protocol }, { HOME: "/nonexistent", ...environment }, false);

test("tcp:// is a builder-server, whose port may be left out", () => {
  const cases: [Given, string, number][] = [
    [{ server: "tcp://192.0.2.1:99" }, "192.0.2.1", 99],
    [{ server: "tcp://builder.example" }, "builder.example", 1234],
    [{ server: "tcp://[2001:db8::1]:99" }, "2001:db8::1", 99],
    [{ host: "tcp://192.0.2.1" }, "192.0.2.1", 1234],
    [{ server: "192.0.2.1:99", protocol: "builder" }, "192.0.2.1", 99],
    [{ protocol: "builder" }, "127.0.0.1", 1234],
  ];
  for (const [given, host, port] of cases) {
    expect([given, choose(given)]).toEqual([given, { kind: "builder", remote: { host, port } }]);
  }
});

test("everything else is a server of robur's, as other commands have it", () => {
  const environment = { ROBUR_HOST: "https://other.example", ROBUR_TOKEN: "robur_x" };
  const far = { origin: "https://builds.example:8443", unix: undefined, token: "robur_x" };
  expect(choose({ server: "https://builds.example:8443/" }, environment)).toEqual({
    kind: "robur",
    address: far,
  });
  expect(choose({ host: "https://builds.example:8443" }, environment)).toEqual({
    kind: "robur",
    address: far,
  });
  expect(choose({}, environment)).toMatchObject({ address: { origin: "https://other.example" } });
  expect(choose({ server: "unix:///run/x.sock", protocol: "robur" })).toEqual({
    kind: "robur",
    address: { origin: "http://localhost", unix: "/run/x.sock", token: undefined },
  });
});

test("what doesn't fit together is refused, with what would", () => {
  const cases: [Given, string][] = [
    [{ server: "https://a", host: "https://b" }, "one of them"],
    [{ server: "tcp://a", protocol: "robur" }, "is a builder-server's address"],
    [{ server: "https://a", protocol: "builder" }, "not tcp://HOST:PORT"],
    [{ server: "a.example" }, "is no server"],
    [{ server: "ftp://a.example" }, "is no server"],
    [{ server: "tcp://" }, "not tcp://HOST:PORT"],
    [{ server: "tcp://a:0" }, "not tcp://HOST:PORT"],
    [{ server: "tcp://a:99999" }, "not tcp://HOST:PORT"],
    [{ server: "tcp://a b:1" }, "not tcp://HOST:PORT"],
    [{ server: "tcp://user@a:1" }, "not tcp://HOST:PORT"],
  ];
  for (const [given, text] of cases) {
    expect(() => choose(given)).toThrow(UsageError);
    expect(() => choose(given)).toThrow(text);
  }
});
