import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { DeclarationError, parseDeclaration } from "../../src/commands/apply/declaration.ts";
import { temporaryDirectory } from "../robur.ts";
import { TestServer } from "./client-server.ts";

const parse = (text: string) => parseDeclaration(text, "unikernels.toml");

describe("unikernels.toml", () => {
  test("says everything that a unikernel can have", () => {
    const { unikernels, policies } = parse(`
      [policies.family]
      unikernels = 5
      memory = "1G"
      cpus = "0-1,3"
      block = "2G"
      networks = ["service"]

      [unikernels."Family:Web"]
      image = "web.hvt"
      memory = "64M"
      cpus = "0"
      args = ["--tls=true"]
      add-name = false
      add-address = false
      networks = [{ device = "service", network = "lan", address = "10.0.0.7", mac = "02:00:00:00:00:01" }]
      blocks = [{ device = "data", volume = "web", sector-size = 4096 }]
      publish = ["8080:80", "127.0.0.1:53:53/udp", "[::1]:1:2"]
      restart = "on-failure:5"
      priority = 10
      labels = { owner = "alice" }
      running = false
    `);
    expect(policies).toEqual([
      {
        path: "family" as never,
        policy: { unikernels: 5, memoryMb: 1024, cpus: [0, 1, 3], blockMb: 2048, bridges: ["service"] },
      },
    ]);
    expect(unikernels).toEqual([
      {
        name: "family:web" as never,
        image: "web.hvt",
        isRunning: false,
        config: {
          ...{
            memoryMb: 64,
            cpus: [0],
            args: ["--tls=true"],
            addName: false,
            addAddress: false,
            priority: 10,
          },
          networks: [{ device: "service", network: "lan", address: "10.0.0.7", mac: "02:00:00:00:00:01" }],
          blocks: [{ device: "data", volume: "web", sectorSize: 4096 }],
          publish: [
            { protocol: "tcp", hostAddress: null, hostPort: 8080, guestPort: 80 },
            { protocol: "udp", hostAddress: "127.0.0.1", hostPort: 53, guestPort: 53 },
            { protocol: "tcp", hostAddress: "::1", hostPort: 1, guestPort: 2 },
          ],
          restart: { kind: "on-failure", limit: 5 },
          labels: { owner: "alice" },
        },
      },
    ]);
  });

  test.each([
    ["[", "unikernels.toml: this is not TOML"],
    ["unikernel = 1", "unikernels.toml: nothing is known of unikernel"],
    ["[unikernels.web]", "unikernels.toml: [unikernels.web]: image is missing"],
    [
      '[unikernels.web]\nimage = "x"\nmemroy = "1G"',
      "unikernels.toml: [unikernels.web]: nothing is known of memroy",
    ],
    [
      '[unikernels.web]\nimage = "x"\nmemory = "lots"',
      "unikernels.toml: [unikernels.web]: memory: lots is not an amount of memory",
    ],
    [
      '[unikernels.web]\nimage = "x"\nargs = "x"',
      "unikernels.toml: [unikernels.web]: args is not a list of texts",
    ],
    [
      '[unikernels.web]\nimage = "x"\nnetworks = [{ network = "a" }]',
      "unikernels.toml: [unikernels.web]: networks, number 1: device is missing",
    ],
    ['[unikernels."-"]\nimage = "x"', "unikernels.toml: [unikernels.-]: \"-\" can't be a unikernel's name"],
    ['[unikernels.a]\nimage = "x"\n[unikernels.A]\nimage = "x"', "unikernels.toml: a is there twice"],
    ["[policies.a]\nunikernels = 1", "unikernels.toml: [policies.a]: unikernels, memory and cpus are needed"],
  ])("%j is refused", (text, message) => {
    expect(() => parse(text)).toThrow(
      new DeclarationError("unikernels.toml", message.slice("unikernels.toml: ".length)),
    );
  });
});

describe("robur apply and export", () => {
  let server: TestServer;
  beforeAll(async () => void (server = await TestServer.start()));
  afterAll(async () => server[Symbol.asyncDispose]());
  const directory = temporaryDirectory();
  const file = join(directory, "unikernels.toml");

  const apply = async (text: string, ...more: string[]) => {
    writeFileSync(file, text);
    return server.robur(["apply", "-f", file, ...more]);
  };
  const events = async () => JSON.parse(await server.ok("events", "--json")) as { kind: string }[];

  const TWO = `
    [policies.family]
    unikernels = 5
    memory = "1G"
    cpus = "0"

    [unikernels.hello]
    image = "hello.spt"
    memory = "8M"
    args = ["--hello=Hi"]
    running = false

    [unikernels."family:web"]
    image = "web.spt"
    labels = { "the.owner" = "al\\"ice" }
    publish = ["8081:80"]
    restart = "no"
    running = false
  `;

  test("a rehearsal says what would be done, and does nothing", async () => {
    await Bun.write(join(directory, "web.spt"), Bun.file("assets/hello/hello.spt"));
    const before = await events();
    // A port needs a device to be published on: found out without a server's help.
    const wrong = await apply(TWO, "--dry-run");
    expect(wrong).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("[unikernels.family:web]") as string,
    });
    const { code, stdout } = await apply(TWO.replace(/publish.*/, ""), "--dry-run");
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout:
        "would make the policy of family\nwould create hello (hello.spt)\nwould create family:web (web.spt)\n",
    });
    expect(await events()).toEqual(before);
    expect(await server.ok("images", "-q")).toBe("");
  });

  test("what is said is made, and made once", async () => {
    const text = TWO.replace(/publish.*/, "");
    expect(await apply(text)).toMatchObject({
      code: 0,
      stderr:
        "make the policy of family: done\ncreate hello (hello.spt): done\ncreate family:web (web.spt): done\n",
    });
    const before = await events();
    expect(await apply(text)).toMatchObject({
      code: 0,
      stdout: "",
      stderr: "everything is as it should be\n",
    });
    expect(await apply(text, "--json")).toMatchObject({ stdout: "[]\n" });
    expect(await events()).toEqual(before);
  });

  test("only what differs is changed", async () => {
    const text = TWO.replace(/publish.*/, "")
      .replace('"8M"', '"16M"')
      .replace("unikernels = 5", "unikernels = 6");
    const { stdout } = await apply(text, "--dry-run");
    expect(stdout).toBe("would change the policy of family\nwould change hello (memoryMb)\n");
    expect(await apply(text)).toMatchObject({ code: 0 });
    expect(await apply(text, "--dry-run")).toMatchObject({ stdout: "" });
  });

  test("what is exported and applied again changes nothing, and makes the same elsewhere", async () => {
    const text = await server.ok("export", "--images", join(directory, "images"));
    expect(text).toContain('labels = { "the.owner" = "al\\"ice" }');
    expect(await apply(text)).toMatchObject({ stderr: "everything is as it should be\n" });
    expect(await apply(await server.ok("export"))).toMatchObject({
      stderr: "everything is as it should be\n",
    });
    await using other = await TestServer.start();
    writeFileSync(file, text);
    await other.ok("apply", "-f", file);
    expect(await other.ok("export", "--images", join(directory, "images"))).toBe(text);
  });

  test("what isn't said goes with --prune only, and not unasked", async () => {
    const text =
      '[unikernels.hello]\nimage = "hello.spt"\nmemory = "16M"\nargs = ["--hello=Hi"]\nrunning = false';
    expect(await apply(text)).toMatchObject({ stderr: "everything is as it should be\n" });
    const asked = await apply(text, "--prune");
    expect(asked).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("remove family:web for good?") as string,
    });
    expect(await apply(text, "--prune", "--yes")).toMatchObject({
      stderr: "remove family:web: done\nremove the policy of family: done\n",
    });
    expect(await server.ok("ps", "-aq")).toBe("hello\n");
  });

  test("one that is refused doesn't keep the others from being made", async () => {
    const text = `
      [policies.tiny]
      unikernels = 0
      memory = "1M"
      cpus = "0"
      [unikernels."tiny:no"]
      image = "hello.spt"
      [unikernels.yes]
      image = "hello.spt"
    `;
    const { code, stderr } = await apply(text);
    expect(code).toBe(1);
    expect(stderr).toContain("create tiny:no and start it (hello.spt): refused\nerror: ");
    expect(stderr).toContain("create yes and start it (hello.spt): done\n");
  });
});
