/** The original's addresses, as its clients use them. */
import { describe, expect, test } from "bun:test";
import { type AskOptions, type Harness, createHarness } from "../harness.ts";
import { ID, PATH, RECORD, SHA, TAG } from "./vector.ts";

const JSON_WANTED = { headers: { accept: "application/json" } };

async function withBuild(): Promise<Harness> {
  const harness = createHarness();
  harness.user("root", "admin");
  // Within the days that count as active.
  harness.now = Date.parse("2024-09-10T00:00:00Z");
  const answer = await harness.ask("/upload", { method: "POST", body: RECORD, socket: true });
  expect([answer.status, answer.headers.get("location"), await answer.text()]).toEqual([201, PATH, ""]);
  return harness;
}

async function moved(harness: Harness, path: string, options: AskOptions = {}) {
  const answer = await harness.ask(path, options);
  expect(await answer.text()).toBe("");
  return [answer.status, answer.headers.get("location")];
}

describe("what the original's clients ask for", () => {
  test("JSON is byte for byte the original's", async () => {
    const harness = await withBuild();
    const text = async (path: string) => {
      const answer = await harness.ask(path, JSON_WANTED);
      expect(answer.headers.get("content-type")).toBe("application/json");
      expect(answer.headers.get("vary")).toBe("Accept");
      return answer.text();
    };
    expect(await text(PATH)).toBe(
      `{"job":"hello","uuid":"${ID}","platform":"debian-12","start_time":"2024-09-04T10:11:12-00:00","finish_time":"2024-09-04T10:11:14-00:00","main_binary":true}`,
    );
    const list = `{"builds":[{"uuid":"${ID}","main_binary":{"filename":"hello.hvt","sha256":"${SHA}","size":4}}]}`;
    for (const path of ["/job/hello", "/job/hello/", "/job/hello/failed", "/job/hello?platform="]) {
      expect(await text(path)).toBe(list);
    }
    expect(await text("/job/hello?platform=freebsd-14")).toBe(`{"builds":[]}`);
    // A string for the synopsis, where the original has null, which empties the list of a client.
    const job = `{"name":"hello","synopsis":""}`;
    const index = `{"jobs":[${job}],"jobs_by_section":{"Uncategorized":[${job}]}}`;
    expect(await text("/")).toBe(index);
    expect(await text("/all-builds")).toBe(index);
    harness.now = Date.parse("2024-10-05T00:00:00Z");
    expect(await text("/")).toBe(`{"jobs":[],"jobs_by_section":{}}`);
    expect(await text("/all-builds")).toBe(index);
  });

  test("redirects lead where the original's do, by path alone", async () => {
    const harness = await withBuild();
    expect(await moved(harness, `/hash?sha256=${SHA}`)).toEqual([302, PATH]);
    expect(await moved(harness, `/hash?sha256=${SHA.toUpperCase()}`)).toEqual([302, PATH]);
    expect(await moved(harness, "/job/hello/build/latest")).toEqual([307, PATH]);
    expect(await moved(harness, "/job/hello/build/latest/")).toEqual([307, PATH]);
    expect(await moved(harness, "/job/hello/build/latest/f/bin/hello.hvt?x=1")).toEqual([
      307,
      `${PATH}/f/bin/hello.hvt`,
    ]);
    expect(await moved(harness, "/job/hello/build/latest/main-binary?platform=debian-12")).toEqual([
      307,
      `${PATH}/main-binary`,
    ]);
    expect(await moved(harness, `${PATH}/main-binary`)).toEqual([302, `${PATH}/f/bin/hello.hvt`]);
    expect(await moved(harness, "/job")).toEqual([302, "/"]);
    expect(await moved(harness, "/job/hello/build")).toEqual([302, "/job/hello"]);
    // Another job's name, a part of the id, and an id in capitals.
    expect(await moved(harness, `/job/other/build/${ID}`, JSON_WANTED)).toEqual([302, PATH]);
    expect(await moved(harness, `/job/other/build/${ID}/f/bin/hello.hvt`)).toEqual([
      302,
      `${PATH}/f/bin/hello.hvt`,
    ]);
    expect(await moved(harness, "/job/hello/build/0845")).toEqual([302, PATH]);
    expect((await harness.ask(`/job/hello/build/${ID.toUpperCase()}`, JSON_WANTED)).status).toBe(200);
    // One slash more at the end.
    for (const path of ["", "/f/bin/hello.hvt", "/script", "/console", "/exec", "/all.tar.gz"]) {
      expect([path, (await harness.ask(`${PATH}${path}/`)).status]).toEqual([path, 200]);
    }
    expect((await harness.ask(`${PATH}/f/bin/hello.hvt//`)).status).toBe(404);
  });

  test("the logo is where other pages show it from", async () => {
    const harness = await withBuild();
    for (const path of ["/img/robur-logo.png", "/img/robur-logo-black-writing.png"]) {
      const answer = await harness.ask(path);
      expect([answer.status, answer.headers.get("content-type")]).toEqual([
        200,
        "image/svg+xml; charset=utf-8",
      ]);
      expect(await answer.text()).toStartWith("<svg");
    }
    expect((await harness.ask("/img/other.png")).status).toBe(404);
  });

  test("what isn't there is 404 in the form that was asked for", async () => {
    const harness = await withBuild();
    for (const path of [
      "/job/nothing",
      "/job/..%2F..",
      "/job/%zz",
      "/job/hello/build/latest?platform=freebsd-14",
      "/job/hello/build/latest?platform=..",
      "/job/nothing/build/latest",
      "/job/hello/build/00000000-0000-4000-8000-000000000000",
      "/job/hello/build/nonsense",
      `${PATH}x`,
      `${PATH}/f/bin/other`,
      `${PATH}/f/`,
      `${PATH}/f/bin/%zz`,
      "/hash",
      "/hash?sha256=12",
      `/hash?sha256=${"0".repeat(64)}`,
    ]) {
      const json = await harness.ask(path, JSON_WANTED);
      expect([path, json.status, json.headers.get("content-type")]).toEqual([path, 404, "application/json"]);
      expect(Object.keys((await json.json()) as object)).toEqual(["error"]);
      const plain = await harness.ask(path, { headers: { accept: "*/*" } });
      expect([plain.status, plain.headers.get("content-type")]).toEqual([404, "text/plain; charset=utf-8"]);
      const page = await harness.ask(path, { page: true });
      expect([page.status, page.headers.get("content-type")]).toEqual([404, "text/html; charset=utf-8"]);
    }
  });

  test("JSON is for who says exactly application/json, wherever it stands", async () => {
    const harness = await withBuild();
    const table: readonly (readonly [accept: string | undefined, json: boolean])[] = [
      [undefined, false],
      ["*/*", false],
      ["application/*", false],
      ["application/json", true],
      ["text/html, application/json;q=0.1", true],
      ["text/html,application/xhtml+xml, application/json ", true],
      ["application/jsonx", false],
      ["application/ld+json", false],
      ["Application/JSON", false],
    ];
    for (const [accept, isJson] of table) {
      for (const path of ["/", "/all-builds", "/failed-builds", "/job/hello", "/job/hello/failed", PATH]) {
        const answer = await harness.ask(path, accept === undefined ? {} : { headers: { accept } });
        const type = isJson ? "application/json" : "text/html; charset=utf-8";
        expect([path, accept, answer.status, answer.headers.get("content-type")]).toEqual([
          path,
          accept,
          200,
          type,
        ]);
        await answer.body?.cancel();
      }
    }
  });
});

describe("what is downloaded", () => {
  test("has its bytes, length, type and tag, and is not sent twice", async () => {
    const harness = await withBuild();
    const path = `${PATH}/f/bin/hello.hvt`;
    const answer = await harness.ask(path);
    expect(answer.status).toBe(200);
    expect(Buffer.from(await answer.bytes()).toString("hex")).toBe("7f454c46");
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      etag: `"${TAG}"`,
      "content-length": "4",
      "content-type": "application/octet-stream",
      "content-disposition": 'attachment; filename="hello.hvt"',
      "cache-control": "public, max-age=31536000, immutable",
      "accept-ranges": "bytes",
      "x-content-type-options": "nosniff",
    });
    expect(answer.headers.get("content-security-policy")).toStartWith("sandbox");
    for (const known of [`"${TAG}"`, TAG, `W/"${TAG}"`, `"x", "${TAG}"`, "*"]) {
      const again = await harness.ask(path, { headers: { "if-none-match": known } });
      expect([known, again.status, await again.text()]).toEqual([known, 304, ""]);
      expect(again.headers.get("etag")).toBe(`"${TAG}"`);
    }
    expect((await harness.ask(path, { headers: { "if-none-match": '"other"' } })).status).toBe(200);
  });

  test("keeps its sandbox when a browser asks again: the headers of a 304 replace those that it has", async () => {
    const harness = await withBuild();
    const path = `${PATH}/f/bin/hello.hvt`;
    const whole = await harness.ask(path);
    const ask = (headers: Record<string, string>) => harness.ask(path, { headers });
    for (const [status, answer] of [
      [304, await ask({ "if-none-match": TAG })],
      [416, await ask({ range: "bytes=4-" })],
    ] as const) {
      expect(answer.status).toBe(status);
      for (const name of ["content-security-policy", "x-content-type-options", "cache-control", "etag"]) {
        expect([name, answer.headers.get(name)]).toEqual([name, whole.headers.get(name)]);
      }
    }
  });

  test("comes in single ranges", async () => {
    const harness = await withBuild();
    const path = `${PATH}/console`;
    const text = "0.250s:start\n1.500s:done\n";
    const part = async (range: string, more: Record<string, string> = {}) => {
      const answer = await harness.ask(path, { headers: { range, ...more } });
      return [answer.status, await answer.text(), answer.headers.get("content-range")];
    };
    const tag = (await harness.ask(path)).headers.get("etag")!;
    expect(await part("bytes=0-4")).toEqual([206, "0.250", "bytes 0-4/25"]);
    expect(await part("bytes=20-")).toEqual([206, "done\n", "bytes 20-24/25"]);
    expect(await part("bytes=-5")).toEqual([206, "done\n", "bytes 20-24/25"]);
    expect(await part("bytes=20-999")).toEqual([206, "done\n", "bytes 20-24/25"]);
    expect(await part("bytes=25-")).toEqual([416, "", "bytes */25"]);
    expect(await part("bytes=-0")).toEqual([416, "", "bytes */25"]);
    for (const ignored of ["bytes=5-2", "bytes=0-1,3-4", "bytes=", "lines=0-1", "bytes=a-b"]) {
      expect(await part(ignored)).toEqual([200, text, null]);
    }
    expect(await part("bytes=0-4", { "if-range": tag })).toEqual([206, "0.250", "bytes 0-4/25"]);
    expect(await part("bytes=0-4", { "if-range": '"other"' })).toEqual([200, text, null]);
  });

  test("is there for HEAD as well, and without a body", async () => {
    const harness = await withBuild();
    for (const path of [
      "/",
      "/job/hello",
      PATH,
      `${PATH}/f/bin/hello.hvt`,
      `${PATH}/script`,
      `${PATH}/exec`,
      `${PATH}/all.tar`,
    ]) {
      const answer = await harness.ask(path, { method: "HEAD" });
      expect([path, answer.status, await answer.text()]).toEqual([path, 200, ""]);
    }
    const head = await harness.ask(`${PATH}/f/bin/hello.hvt`, { method: "HEAD" });
    expect(head.headers.get("content-length")).toBe("4");
  });

  test("the inputs are text, and the exec document is the one that came", async () => {
    const harness = await withBuild();
    const type = async (path: string) => (await harness.ask(`${PATH}/${path}`)).headers.get("content-type");
    for (const path of ["f/opam-switch", "f/build-environment", "f/system-packages", "script", "console"]) {
      expect(await type(path)).toBe("text/plain; charset=utf-8");
    }
    expect(await (await harness.ask(`${PATH}/script`)).text()).toBe("true\n");
    const exec = await harness.ask(`${PATH}/exec`);
    expect(exec.headers.get("content-length")).toBe(String(RECORD.length));
    expect(Buffer.from(await exec.bytes()).equals(RECORD)).toBe(true);
  });

  test("all files come as one archive, the same each time", async () => {
    const harness = await withBuild();
    const bytes = async (path: string) => (await harness.ask(`${PATH}/${path}`)).bytes();
    const tar = await bytes("all.tar");
    expect(Bun.sha(tar, "hex")).toBe(Bun.sha(await bytes("all.tar"), "hex"));
    const files = await new Bun.Archive(tar).files();
    expect([...files.keys()]).toEqual([
      "bin/hello.hvt",
      "build-environment",
      "opam-switch",
      "system-packages",
    ]);
    expect(await files.get("build-environment")!.text()).toBe("OS=linux");
    const packed = Buffer.from(await bytes("all.tar.gz"));
    expect(packed.readUInt32LE(4)).toBe(Date.parse("2024-09-04T10:11:14Z") / 1000);
    expect(Buffer.from(Bun.gunzipSync(packed)).equals(tar)).toBe(true);
    const withLog = await new Bun.Archive(await bytes("all.tar?log")).files();
    expect([...withLog.keys()].slice(-2)).toEqual(["script.txt", "console.txt"]);
  });
});
