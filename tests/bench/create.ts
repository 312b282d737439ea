// How long the compiled server takes from a request to create until the guest's first byte is on its console, and to
// its answer, warm: one line a target. The client is this process, on the server's Unix socket.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { TestServer } from "../commands/client-server.ts";
import { buildGuest } from "../guests/build.ts";

const ROUNDS = 30;

function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)]!;
}

async function ask<T>(
  server: TestServer,
  method: string,
  path: string,
  body?: string | Uint8Array<ArrayBuffer>,
): Promise<T> {
  const type = typeof body === "string" ? "application/json" : "application/octet-stream";
  const init = body === undefined ? {} : { body, headers: { "content-type": type } };
  const answer = await fetch(`http://robur/api/v1/${path}`, { method, unix: server.socket, ...init });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
}

/** Whether there is another log than those before, with something in it. */
function hasNewLog(directory: string, before: ReadonlySet<string>): boolean {
  const added = readdirSync(directory).filter((name) => name.endsWith(".log") && !before.has(name));
  return added.some((name) => (statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0) > 0);
}

async function measure(target: "spt" | "hvt"): Promise<string> {
  await using server = await TestServer.start();
  const bytes = readFileSync(await buildGuest("hello", target));
  const { sha256: image } = await ask<{ sha256: string }>(server, "POST", "images", bytes);
  const config = { memoryMb: 8, addName: false, restart: { kind: "no" } };
  const create = (name: string) =>
    ask(server, "POST", "unikernels", JSON.stringify({ name, image, config, start: true, wait: "started" }));
  await create("warm");
  const consoles = join(server.data, "consoles");
  const first: number[] = [];
  const answered: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const before = new Set(readdirSync(consoles));
    const started = performance.now();
    const creating = create(`u${i}`);
    while (!hasNewLog(consoles, before)) await Bun.sleep(0);
    first.push(performance.now() - started);
    await creating;
    answered.push(performance.now() - started);
    await ask(server, "DELETE", `unikernels/u${i}?force=true`);
  }
  const text = (values: readonly number[]) =>
    `median ${quantile(values, 0.5).toFixed(1)} ms, 95 % ${quantile(values, 0.95).toFixed(1)} ms`;
  return `create ${target}: first console byte ${text(first)}; answer ${text(answered)}`;
}

if (import.meta.main) for (const target of ["spt", "hvt"] as const) console.log(await measure(target));
