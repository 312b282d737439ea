/** A worker against servers that answer as they should not. */
import { afterEach, expect, test } from "bun:test";
import type { Assignment, BuildId, JobName, Platform, RunId } from "../../src/builds/api.ts";
import { CONSOLE_MAX, decodeLines } from "../../src/builds/runs/console.ts";
import { ServerLink } from "../../src/builds/worker/server-link.ts";
import { unsafeSandboxes } from "../../src/builds/worker/unsafe-sandboxes.ts";
import { work } from "../../src/builds/worker/work.ts";
import { temporaryDirectory } from "../robur.ts";

const servers: ReturnType<typeof Bun.serve>[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop(true);
});

const assignment: Assignment = {
  ...{ run: 1 as RunId, uuid: "00112233-4455-4677-8899-aabbccddeeff" as BuildId, job: "hello" as JobName },
  ...{ platform: "here" as Platform, script: "mkdir bin; echo data > bin/out\n", timeoutMs: 60_000 },
  limits: { memoryMb: undefined, cpus: undefined, processes: undefined, diskMb: undefined },
  network: { kind: "none" },
};

type Answer = (request: Request) => Response | Promise<Response>;

/** A worker that does one job of a server that answers so. */
async function workFor(answers: {
  readonly script?: string;
  readonly lines?: Answer;
  readonly finish: Answer;
}) {
  const given = { ...assignment, script: answers.script ?? assignment.script };
  const server = Bun.serve({
    port: 0,
    fetch: (request): Response | Promise<Response> => {
      const { pathname } = new URL(request.url);
      if (pathname.endsWith("/take")) return Response.json({ assignment: given });
      if (pathname.endsWith("/finish")) return answers.finish(request);
      return answers.lines?.(request) ?? Response.json({ taken: 0, abort: null });
    },
  });
  servers.push(server);
  const said: string[] = [];
  const say = (text: string) => void said.push(text);
  const address = { origin: server.url.origin, unix: undefined, token: undefined };
  const { signal } = new AbortController();
  await work({
    ...{ link: new ServerLink(address, { say }), sandboxes: unsafeSandboxes(temporaryDirectory()), say },
    ...{ name: "w", platforms: ["here"], isOnce: true, stop: signal, abort: signal },
  });
  return said;
}

const headerOf = async (request: Request) =>
  JSON.parse((await request.text()).split("\n", 1)[0]!) as { result: unknown; files: unknown[] };

test("output that is too large for what is in between becomes a result that says so", async () => {
  const ends: Awaited<ReturnType<typeof headerOf>>[] = [];
  const said = await workFor({
    finish: async (request) => {
      ends.push(await headerOf(request));
      return ends.length === 1
        ? new Response("<html>too large", { status: 413 })
        : Response.json({ build: assignment.uuid });
    },
  });
  expect(ends.map(({ result, files }) => [result, files.length] as const)).toEqual([
    [{ kind: "exited", code: 0 }, 1],
    [{ kind: "message", text: "its output was refused: status 413" }, 0],
  ]);
  expect(said.at(-1)).toBe("hello: exited 0");
});

test("a server that is away for a moment is asked again, and that is said once", async () => {
  let count = 0;
  const said = await workFor({
    finish: async (request) => {
      await request.body?.cancel();
      count += 1;
      return count < 3 ? new Response("", { status: 502 }) : Response.json({ build: assignment.uuid });
    },
  });
  expect(count).toBe(3);
  expect(said.filter((text) => text.includes("it is tried again"))).toHaveLength(1);
  expect(said.filter((text) => text === "the server is there again")).toHaveLength(1);
});

test("of a console no more is sent than is kept, and a job that is taken away ends", async () => {
  let taken = 0;
  const said = await workFor({
    // One and a half times what is kept.
    script: "yes $(head -c 1000 /dev/zero | tr '\\0' y) | head -c 100000000\n",
    lines: async (request) => {
      const from = Number(new URL(request.url).searchParams.get("from"));
      const lines = decodeLines(new Uint8Array(await request.arrayBuffer()))!;
      taken += lines.reduce((sum, { text }) => sum + text.length, 0);
      return Response.json({ taken: from + lines.length, abort: null });
    },
    finish: () => Response.json({ error: { code: "stale", message: "given up" } }, { status: 409 }),
  });
  expect(taken).toBeGreaterThan(CONSOLE_MAX * 0.9);
  expect(taken).toBeLessThanOrEqual(CONSOLE_MAX);
  expect(said.at(-1)).toBe("hello: the server gave this attempt up");
});
