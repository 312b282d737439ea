/** Networks without any rights: an unprivileged user, passt, and the same -p. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { buildGuest, compilerVersion } from "../guests/build.ts";
import { NOBODY, lacks, needsCommands, needsKvm } from "../needs.ts";
import { HOST_ADDRESS, LAN_ADDRESS, World, needsWorld, ok } from "./network-world.ts";

const compiler = compilerVersion() === undefined ? "gcc is missing, which builds the test guests" : undefined;
const LIMIT = 60_000;
const UNPRIVILEGED = ["setpriv", "--reuid", String(NOBODY), "--regid", String(NOBODY), "--clear-groups"];

describe.skipIf(lacks(needsWorld("curl"), needsCommands("passt", "setpriv"), compiler))(
  "robur run on passt",
  () => {
    let world: World;
    let image: string;

    beforeAll(async () => {
      world = await World.make();
      chmodSync(world.directory, 0o755);
      mkdirSync(join(world.directory, "data"));
      chmodSync(join(world.directory, "data"), 0o777);
      // A copy that everybody may read, wherever the project is.
      for (const target of ["spt", "hvt"] as const) {
        await ok("cp", await buildGuest("http", target), join(world.directory, `http.${target}`));
      }
      image = join(world.directory, "http.spt");
    }, LIMIT);
    afterAll(() => world.end());

    test(
      "publishes a port as an unprivileged user, and leaves nothing",
      async () => {
        const before = await world.snapshot();
        const { child, errors } = await world.start(
          ["-p", "8080:80", image, "requests=5"],
          undefined,
          UNPRIVILEGED,
        );
        expect(errors.text).toContain("on passt");
        for (const url of ["127.0.0.1:8080", "localhost:8080", `${HOST_ADDRESS}:8080`]) {
          expect(await world.fetch("host", url)).toStartWith("hello from 10.0.42.2");
        }
        expect(await world.fetch("lan", `${HOST_ADDRESS}:8080`)).toBe(
          `hello from 10.0.42.2 to ${LAN_ADDRESS}\n`,
        );
        const body = await world.fetch("lan", `${HOST_ADDRESS}:8080/3000000`, "--output", "-");
        expect(body.length).toBe(3_000_000);
        expect(await child.exited).toBe(0);
        expect(await world.snapshot()).toBe(before);
      },
      LIMIT,
    );

    test.skipIf(lacks(needsKvm()))(
      "works for hvt, where root asks for passt by name",
      async () => {
        const hvt = join(world.directory, "http.hvt");
        const { child, output } = await world.start([
          "--network",
          "passt",
          "-p",
          "8081:80",
          hvt,
          "requests=1",
        ]);
        expect(output.text).toContain("address 10.0.42.2");
        expect(await world.fetch("lan", `${HOST_ADDRESS}:8081`)).toBe(
          `hello from 10.0.42.2 to ${LAN_ADDRESS}\n`,
        );
        expect(await child.exited).toBe(0);
      },
      LIMIT,
    );

    test(
      "says what passt says: a port below 1024",
      async () => {
        const { status, stderr } = await world.robur(["run", "-p", "80:80", image], UNPRIVILEGED);
        expect(status).toBe(125);
        expect(stderr).toContain("-p 8080:80");
      },
      LIMIT,
    );

    test(
      "names two commands that mend it where there is neither a right nor passt",
      async () => {
        const hide = [
          "unshare",
          "-m",
          "sh",
          "-c",
          'for p in /usr/bin/passt /bin/passt; do [ -e $p ] && mount --bind /dev/null $p; done; exec "$@"',
          "sh",
        ];
        const { status, stderr } = await world.robur(
          ["run", "-p", "8080:80", image],
          [...hide, ...UNPRIVILEGED],
        );
        expect(status).toBe(125);
        expect(stderr).toContain("sudo apt-get install passt");
        expect(stderr).toContain("sudo robur run");
      },
      LIMIT,
    );
  },
);
