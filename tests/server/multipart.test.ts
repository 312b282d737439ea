import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { contentStream, fieldText, readMultipart } from "../../src/server/http/multipart.ts";
import { SHA } from "./fake-orchestrator.ts";
import { createHarness, errorOf } from "./harness.ts";

/** A request whose body comes in pieces of `size` bytes. */
function request(body: string | Uint8Array, boundary: string, size = 7): Request {
  const bytes = Buffer.from(body as string);
  let at = 0;
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at >= bytes.length) controller.close();
      else controller.enqueue(bytes.subarray(at, (at += size)));
    },
  });
  const headers = { "content-type": `multipart/form-data; boundary=${boundary}` };
  return new Request("http://robur.test/", { method: "POST", headers, body: stream });
}

async function readAll(
  from: Request,
): Promise<[name: string, filename: string | undefined, content: string][]> {
  const parts: [string, string | undefined, string][] = [];
  for await (const part of readMultipart(from)) parts.push([part.name, part.filename, await fieldText(part)]);
  return parts;
}

describe("multipart/form-data", () => {
  test("is read as the runtime writes it, whatever the pieces it comes in", async () => {
    const text = fc.string({ unit: "binary", maxLength: 60 });
    const entries = fc.array(fc.tuple(fc.stringMatching(/^[a-z.]{1,9}$/), text), {
      minLength: 1,
      maxLength: 5,
    });
    await fc.assert(
      fc.asyncProperty(entries, fc.integer({ min: 1, max: 80 }), async (fields, size) => {
        const form = new FormData();
        for (const [name, value] of fields) form.append(name, value);
        const made = new Request("http://robur.test/", { method: "POST", body: form });
        const boundary = /boundary="?([^"]+)/.exec(made.headers.get("content-type")!)![1]!;
        const bytes = new Uint8Array(await made.arrayBuffer());
        const parts = await readAll(request(bytes, boundary, size));
        const values = [
          ...(await new Request("http://robur.test/", {
            method: "POST",
            body: bytes,
            headers: { "content-type": `multipart/form-data; boundary=${boundary}` },
          }).formData()),
        ];
        expect(parts.map(([name, , value]) => [name, value])).toEqual(values as [string, string][]);
      }),
      { numRuns: 60 },
    );
  });

  test("content that looks like a delimiter's beginning is content", async () => {
    const content = "\r\n--\r\n--bo\r\n--boundar\r\n\r\n-";
    const body = `--boundary\r\ncontent-disposition: form-data; name="a"; filename="b%22c"\r\n\r\n${content}\r\n--boundary--\r\n`;
    for (const size of [1, 2, 3, 11, 500]) {
      expect(await readAll(request(body, "boundary", size))).toEqual([["a", 'b"c', content]]);
    }
  });

  test("what is broken off or malformed is refused, not waited for", async () => {
    const whole = `--b\r\ncontent-disposition: form-data; name="a"\r\n\r\nx\r\n--b--`;
    for (let length = 0; length < whole.length; length++) {
      expect(readAll(request(whole.slice(0, length), "b"))).rejects.toThrow("broken off");
    }
    expect(readAll(request("--b\r\nx: y\r\n\r\nx\r\n--b--", "b"))).rejects.toThrow("malformed");
    expect(readAll(request(`--b\r\n${"x".repeat(20_000)}`, "b", 4096))).rejects.toThrow("malformed");
  });

  test("a part that nobody reads is skipped", async () => {
    const body = `--b\r\ncontent-disposition: form-data; name="a"; filename="f"\r\n\r\nlong\r\n--b\r\ncontent-disposition: form-data; name="c"\r\n\r\nd\r\n--b--`;
    const names: string[] = [];
    for await (const { name } of readMultipart(request(body, "b"))) names.push(name);
    expect(names).toEqual(["a", "c"]);
  });

  test("a file is handed on no faster than it is taken", async () => {
    let pulled = 0;
    const head = Buffer.from(`--b\r\ncontent-disposition: form-data; name="a"; filename="f"\r\n\r\n`);
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled += 1;
        controller.enqueue(pulled === 1 ? head : new Uint8Array(65_536));
      },
    });
    const headers = { "content-type": "multipart/form-data; boundary=b" };
    const parts = readMultipart(new Request("http://robur.test/", { method: "POST", headers, body }));
    const { value } = await parts.next();
    const reader = contentStream(value!).getReader();
    await reader.read();
    await Bun.sleep(10);
    expect(pulled).toBeLessThan(8);
    reader.cancel().catch(() => undefined);
  });
});

describe("deploying in one request", () => {
  const form = (fields: Record<string, string | Blob>): FormData => {
    const data = new FormData();
    for (const [name, value] of Object.entries(fields)) data.append(name, value);
    return data;
  };
  const image = new File([new Uint8Array(200_000)], "web.spt");

  test("takes name, image and configuration in any order", async () => {
    const harness = createHarness();
    const token = harness.token(harness.user("alice"), "write");
    const config = JSON.stringify({ memoryMb: 64, args: ["--a=1"] });
    for (const body of [
      form({ name: "alice:new", config, image }),
      form({ image, config, name: "alice:new" }),
    ]) {
      const answer = await harness.ask("/api/v1/deploy", { method: "POST", body, token });
      expect(answer.status).toBe(201);
      expect(harness.orchestrator.asked.at(-1)).toMatchObject({
        what: "create",
        actor: { path: "alice" },
        more: {
          name: "alice:new",
          image: SHA,
          config: { memoryMb: 64, args: ["--a=1"] },
          start: true,
          replace: false,
        },
      });
    }
    expect(harness.orchestrator.received).toBe(400_000);
  });

  test("says what is missing or wrong", async () => {
    const harness = createHarness();
    const deploy = async (fields: Record<string, string | Blob>) => {
      const answer = await harness.ask("/api/v1/deploy", {
        method: "POST",
        body: form(fields),
        socket: true,
      });
      return [answer.status, (await errorOf(answer)).message, answer] as const;
    };
    expect((await deploy({ image }))[1]).toBe("the part name is missing");
    expect((await deploy({ name: "web" }))[1]).toBe("the part image is missing");
    expect((await deploy({ name: "-web", image }))[0]).toBe(422);
    expect((await deploy({ name: "web", image, config: "{" }))[0]).toBe(400);
    expect((await deploy({ name: "web", image, config: '{"memoryMb":"a"}' }))[0]).toBe(422);
    expect((await deploy({ name: "web", image, replace: "perhaps" }))[0]).toBe(422);
    const json = await harness.ask("/api/v1/deploy", { json: {}, socket: true });
    expect([json.status, (await errorOf(json)).why]).toEqual([415, "it was sent as application/json"]);
  });
});
