// Every link of every page about builds leads somewhere: good builds, failed ones, files with odd names, files that are
// lost.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { importBuilderWeb } from "../../../src/store/import/builder-web.ts";
import { temporaryDirectory } from "../../robur.ts";
import { recordBytes } from "../../store/builds/lab.ts";
import { writeOldServer } from "../../store/import/old-server.ts";
import { createHarness } from "../harness.ts";

/** The paths that a page leads to, by link, picture, style or script; not the forms. */
function linksOf(html: string): string[] {
  const found = [...html.matchAll(/ (?:href|src)="([^"#][^"]*)"/g)];
  return found
    .map(([, address = ""]) => address.replaceAll("&amp;", "&").replaceAll("&#39;", "'").split("#")[0]!)
    .filter((address) => address.startsWith("/"));
}

const id = (number: number) => `44444444-0000-4000-8000-${String(number).padStart(12, "0")}`;

test("no link is dead", async () => {
  const harness = createHarness();
  const { db, contents } = harness.context;
  harness.user("root", "admin");
  const good = [
    ["bin/hello.hvt", "\x7fELF"],
    ["opam-switch", 'opam-version: "2.0"\n'],
    ["doc/with space?#%&'\".txt", "x"],
    ["doc/ünïcode\u{202e}.html", "<b>"],
  ] as const;
  const records = [
    { uuid: id(1), name: "hello", files: good },
    { uuid: id(2), name: "hello", files: [["bin/hello.hvt", "other"]] },
    { uuid: id(3), name: "hello", files: [] },
    { uuid: id(4), name: "never", files: [], result: { kind: "signalled", signal: -7 } },
    { uuid: id(5), name: "c++", files: [["bin/a+b", "x"]] },
  ] as const;
  for (const record of records) {
    const body = new Uint8Array(await recordBytes(record));
    expect((await harness.ask("/upload", { method: "POST", body, socket: true })).status).toBe(201);
  }
  const old = join(temporaryDirectory(), "old");
  writeOldServer(old, {
    version: 18,
    users: [{ name: "builder" }],
    jobs: [{ name: "lost" }],
    builds: [{ uuid: id(6), job: "lost", files: [{ path: "bin/lost", bytes: "lost", trouble: "missing" }] }],
  });
  const room = { db, contents, dataDirectory: temporaryDirectory() };
  await importBuilderWeb(room, old, { report: () => undefined, now: () => harness.now });

  const seen = new Map<string, string>();
  const dead: string[] = [];
  const todo = ["/all-builds", "/failed-builds", "/search?q=hello", "/compare", "/queue"];
  for (const path of todo) seen.set(path, "the start");
  for (let path; (path = todo.pop()) !== undefined;) {
    const answer = await harness.ask(path, { socket: true, page: true });
    const html = answer.headers.get("content-type")?.startsWith("text/html") === true;
    const text = await answer.text();
    // The bytes of a file that is lost are not there, and the page says so; a frame says that it has no picture.
    const isSaid = answer.status === 410 || (answer.status === 404 && /\/viz\w+$/.test(path));
    if (answer.status >= 400 && !isSaid) dead.push(`${answer.status} ${path}, from ${seen.get(path)}`);
    const next = [...(html ? linksOf(text) : []), answer.headers.get("location") ?? ""];
    for (const link of next.filter((address) => address !== "" && !seen.has(address))) {
      seen.set(link, path);
      todo.push(link);
    }
  }
  expect(dead).toEqual([]);
  expect(seen.size).toBeGreaterThan(80);
}, 60_000);
