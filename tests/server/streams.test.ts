import { describe, expect, test } from "bun:test";
import type { OrchestratorEvent, UnikernelName } from "../../src/orchestrator/api.ts";
import type { Visit } from "../../src/server/access/visit.ts";
import { ANONYMOUS } from "../../src/server/access/principal.ts";
import { eventStream } from "../../src/server/http/event-stream.ts";
import { line } from "./fake-orchestrator.ts";
import { createHarness } from "./harness.ts";

/** The stream's text until it has `count` events, which ends it. */
async function readEvents(response: Response, count: number): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const piece of response.body!) {
    text += decoder.decode(piece, { stream: true });
    if (text.split("\ndata:").length + (text.startsWith("data:") ? 1 : 0) > count) break;
  }
  return text;
}

const STREAM = "/api/v1/unikernels/alice:web/console/stream";

describe("a console's stream", () => {
  test("begins with what there is, each line with its place", async () => {
    const harness = createHarness();
    const answer = await harness.ask(STREAM, { socket: true });
    expect(answer.headers.get("content-type")).toStartWith("text/event-stream");
    const text = await readEvents(answer, 3);
    expect(text).toContain('id: 10\nevent: line\ndata: {"cursor":10,');
    expect(text).toContain('"text":"three"');
  });

  test("goes on behind Last-Event-ID, and behind `after`", async () => {
    const harness = createHarness();
    const headers = { "last-event-id": "10" };
    const resumed = await readEvents(await harness.ask(STREAM, { socket: true, headers }), 2);
    expect(resumed).not.toContain('"one"');
    expect(resumed).toContain('"two"');
    const after = await readEvents(await harness.ask(`${STREAM}?after=20`, { socket: true }), 1);
    expect(after).not.toContain('"two"');
    expect(after).toContain('"three"');
    // What the browser says by itself is newer than the address that the page was made with.
    const both = await readEvents(
      await harness.ask(`${STREAM}?after=0`, { socket: true, headers: { "last-event-id": "20" } }),
      1,
    );
    expect(both).not.toContain('"two"');
  });

  test("shows bytes that are no text safely, and gives them whole where they are asked for", async () => {
    const harness = createHarness();
    const bytes = new Uint8Array([0x1b, 0x5d, 0x30, 0x3b, 0x78, 0x07, 0xff, 0x41]);
    harness.orchestrator.lines.splice(0, 3, line(8, bytes));
    const text = await readEvents(await harness.ask(`${STREAM}?raw=true`, { socket: true }), 1);
    const data = JSON.parse(/data: (.*)/.exec(text)![1]!) as { text: string; base64: string };
    expect(data.text).toBe("\\x1b]0;x\\x07\ufffdA");
    expect(Uint8Array.fromBase64(data.base64)).toEqual(bytes);
  });

  test("ends its source when the client goes, and when the server stops", async () => {
    const harness = createHarness();
    const left = await harness.ask(STREAM, { socket: true });
    await readEvents(left, 3);
    await Bun.sleep(5);
    expect(harness.orchestrator.open).toBe(0);
    const held = await harness.ask(STREAM, { socket: true });
    const reader = held.body!.getReader();
    await reader.read();
    expect(harness.orchestrator.open).toBe(1);
    harness.stopping.abort();
    while (!(await reader.read()).done);
    expect(harness.orchestrator.open).toBe(0);
  });
});

describe("events", () => {
  const event = (id: number, name: string): OrchestratorEvent => ({
    id,
    at: 0,
    kind: "running",
    path: name.split(":")[0] as OrchestratorEvent["path"],
    unikernel: { id: "x" as never, name: name as UnikernelName },
    text: "runs",
    who: "system",
  });

  test("are those of one's own path, from where one was", async () => {
    const harness = createHarness();
    harness.orchestrator.happened.push(event(1, "alice:web"), event(2, "bob:web"), event(3, "alice:web"));
    const token = harness.token(harness.user("alice"), "read");
    const headers = { "last-event-id": "1" };
    const text = await readEvents(await harness.ask("/api/v1/events/stream", { token, headers }), 1);
    expect(text).toContain("id: 3\n");
    expect(text).not.toContain("bob");
    expect(text).not.toContain("id: 1\n");
  });
});

describe("a stream", () => {
  const visit = (keptOpen: () => void): Visit => ({
    id: "",
    peer: { via: "tcp", address: "", keepOpen: keptOpen },
    address: "",
    isSecure: false,
    principal: ANONYMOUS,
    auditId: undefined,
  });
  const signals = () => ({ abort: new AbortController(), stopping: new AbortController().signal });

  test("says that it is still there while nothing happens, and lets the connection be silent", async () => {
    const never = (async function* () {
      await new Promise(() => undefined);
      yield 0;
    })();
    let isKeptOpen = false;
    const response = eventStream(
      visit(() => (isKeptOpen = true)),
      never,
      (data) => ({ data }),
      { ...signals(), keepAliveMs: 5 },
    );
    let text = "";
    for await (const piece of response.body!) {
      text += new TextDecoder().decode(piece);
      if (text.split(": still here\n\n").length > 3) break;
    }
    expect(isKeptOpen).toBe(true);
  });

  test("takes no more from its source than the client reads", async () => {
    let taken = 0;
    const source = (async function* () {
      for (;;) yield `${(taken += 1)}`.padEnd(4096, "x");
    })();
    const response = eventStream(
      visit(() => undefined),
      source,
      (data) => ({ data }),
      signals(),
    );
    const reader = response.body!.getReader();
    await reader.read();
    await Bun.sleep(20);
    expect(taken).toBeLessThan(20);
    await reader.cancel();
  });

  test("puts what comes together into one piece", async () => {
    const source = (async function* () {
      for (let i = 0; i < 50; i++) yield i;
    })();
    const response = eventStream(
      visit(() => undefined),
      source,
      (data) => ({ id: data, data }),
      signals(),
    );
    const pieces: Uint8Array[] = [];
    for await (const piece of response.body!) pieces.push(piece);
    expect(Buffer.concat(pieces).toString().match(/^id: /gm)).toHaveLength(50);
    expect(pieces.length).toBeLessThan(5);
  });
});
