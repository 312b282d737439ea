/** One attempt at one delivery. Answers what came of it; never throws. */
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { VERSION } from "../../lib/version.ts";
import { type Message, signature } from "./message.ts";
import { runScript } from "./run-script.ts";
import type { Delivery, Hook } from "./store.ts";

export interface Result {
  readonly isDone: boolean;
  /** A sentence for the delivery log. */
  readonly text: string;
}

const TIMEOUT_MS = 10_000;
const SCRIPT_TIMEOUT_MS = 60_000;

export async function send(hook: Hook, delivery: Delivery, dataDirectory: string): Promise<Result> {
  try {
    if (hook.kind === "script") return await callScript(hook, delivery, dataDirectory);
    return await post(
      hook,
      hook.kind === "ntfy" ? ntfyRequest(hook, delivery) : webhookRequest(hook, delivery),
    );
  } catch (error) {
    return { isDone: false, text: error instanceof Error ? error.message : String(error) };
  }
}

interface Post {
  readonly headers: Record<string, string>;
  readonly body: string;
}

function webhookRequest(hook: Hook, { id, event, body }: Delivery): Post {
  return {
    headers: {
      "content-type": "application/json",
      "x-robur-event": event,
      "x-robur-delivery": String(id),
      ...(hook.secret === undefined ? {} : { "x-robur-signature": signature(hook.secret, body) }),
    },
    body,
  };
}

/** https://docs.ntfy.sh/publish/ */
function ntfyRequest(hook: Hook, { body }: Delivery): Post {
  const { event, unikernel, text, host } = JSON.parse(body) as Message;
  const isBad = /\.(failed|looping|backing-off|warning)$/.test(event);
  return {
    headers: {
      // Header values are Latin-1; names of unikernels and hosts are ASCII.
      title: `${unikernel ?? "robur"} on ${host}`.replaceAll(/[^\x20-\x7e]/g, "?"),
      tags: isBad ? "warning" : "information_source",
      priority: isBad ? "high" : "default",
      ...(hook.secret === undefined ? {} : { authorization: `Bearer ${hook.secret}` }),
    },
    body: text,
  };
}

async function post(hook: Hook, { headers, body }: Post): Promise<Result> {
  const response = await fetch(hook.target, {
    method: "POST",
    headers: { "user-agent": `robur/${VERSION}`, ...headers },
    body,
    // Where it goes was decided by an administrator, not by whoever answers there.
    redirect: "manual",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  await response.body?.cancel();
  return { isDone: response.ok, text: `answered ${response.status} ${response.statusText}`.trim() };
}

/** Scripts lie in one folder, so that who administers by the web can choose one, but not write one. */
async function callScript(hook: Hook, { event, body }: Delivery, dataDirectory: string): Promise<Result> {
  if (!/^[\w][\w.-]*$/.test(hook.target))
    return { isDone: true, text: `${hook.target} can't be a script's name` };
  const path = join(dataDirectory, "hooks", hook.target);
  accessSync(path, constants.X_OK);
  let lastLine = "";
  const end = await runScript({
    argv: [path, event],
    cwd: dataDirectory,
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", ROBUR_EVENT: event },
    stdin: body,
    limitMs: SCRIPT_TIMEOUT_MS,
    say: (line, from) => {
      if (from === "stderr") lastLine = line;
    },
  });
  return { isDone: end.ok, text: end.ok ? "it ended with 0" : `${end.why} ${lastLine}`.trim() };
}
