/** What `robur hook` does. */
import { print, printError } from "../linux/libc.ts";
import { ClientError } from "./client/client-error.ts";
import { type Client, ask, connect } from "./client/connect.ts";
import { type ListColumn, type ListFlags, printList } from "./client/list.ts";
import { readPassword } from "./password.ts";
import { formatTime } from "./table.ts";

type Host = string | undefined;
type Hooks = Awaited<ReturnType<typeof hooksOf>>;
type Hook = Hooks[number];

const HOOKS: readonly ListColumn<Hook>[] = [
  { key: "name", title: "NAME", text: ({ name }) => name },
  { key: "kind", title: "KIND", text: ({ kind }) => kind },
  { key: "target", title: "TARGET", text: ({ target }) => target, cut: 60 },
  { key: "events", title: "EVENTS", text: ({ events }) => events.join(","), cut: 40 },
  { key: "enabled", title: "ENABLED", text: ({ enabled }) => (enabled ? "yes" : "no") },
];

export async function add(flags: {
  readonly host: Host;
  readonly name: string;
  readonly target: string;
  readonly kind: "webhook" | "ntfy" | "script" | undefined;
  readonly event: string[];
  readonly secretStdin: boolean;
}): Promise<void> {
  const { host, name, target, event: events } = flags;
  const kind = flags.kind ?? (/^https?:/i.test(target) ? "webhook" : "script");
  const given = flags.secretStdin ? { secret: readPassword() } : {};
  const client = connect(host);
  const { secret } = await ask(client, client.api.hooks.post({ name, kind, target, events, ...given }));
  if (kind !== "webhook" || flags.secretStdin || secret === undefined) return print(`${name}\n`);
  printError("robur: X-Robur-Signature is sha256= and the HMAC-SHA256 of the body, with this key:\n");
  print(`${secret}\n`);
}

export async function list(flags: ListFlags & { readonly host: Host }): Promise<void> {
  printList(HOOKS, await hooksOf(connect(flags.host)), ({ name }) => name, flags);
}

export async function enable(host: Host, name: string, enabled: boolean): Promise<void> {
  const client = connect(host);
  await ask(client, client.api.hooks({ hook: await idOf(client, name) }).patch({ enabled }));
  print(`${name}\n`);
}

export async function remove(host: Host, name: string): Promise<void> {
  const client = connect(host);
  await ask(client, client.api.hooks({ hook: await idOf(client, name) }).delete());
  print(`${name}\n`);
}

export async function test(host: Host, name: string): Promise<void> {
  const client = connect(host);
  const hook = client.api.hooks({ hook: await idOf(client, name) });
  const { delivery } = await ask(client, hook.test.post());
  print(`${delivery}\n`);
}

interface Delivery {
  readonly id: number;
  readonly event: string;
  readonly createdAt: number;
  readonly attempts: number;
  readonly nextAt?: number | undefined;
  readonly doneAt?: number | undefined;
  readonly result?: string | undefined;
}

const DELIVERIES: readonly ListColumn<Delivery>[] = [
  { key: "id", title: "ID", text: ({ id }) => String(id) },
  { key: "event", title: "EVENT", text: ({ event }) => event },
  { key: "createdAt", title: "SINCE", text: ({ createdAt }) => formatTime(createdAt) },
  { key: "attempts", title: "ATTEMPTS", text: ({ attempts }) => String(attempts) },
  { key: "state", title: "STATE", text: stateOf },
  { key: "result", title: "RESULT", text: ({ result }) => result ?? "", cut: 60 },
];

function stateOf({ doneAt, nextAt }: Delivery): string {
  if (doneAt !== undefined) return "arrived";
  return nextAt === undefined ? "given up" : `next ${formatTime(nextAt)}`;
}

export async function deliveries(
  flags: ListFlags & { readonly host: Host; readonly name: string },
): Promise<void> {
  const client = connect(flags.host);
  const hook = client.api.hooks({ hook: await idOf(client, flags.name) });
  const { deliveries: rows } = await ask(client, hook.deliveries.get({ query: {} }));
  printList<Delivery>(DELIVERIES, rows, ({ id }) => String(id), flags);
}

export async function replay(host: Host, name: string, old: number): Promise<void> {
  const client = connect(host);
  const hook = client.api.hooks({ hook: await idOf(client, name) });
  const { delivery } = await ask(client, hook.deliveries({ delivery: old }).replay.post());
  print(`${delivery}\n`);
}

async function hooksOf(client: Client) {
  return (await ask(client, client.api.hooks.get())).hooks;
}

/** Throws ClientError not-found. */
async function idOf(client: Client, name: string): Promise<number> {
  const found = (await hooksOf(client)).find((hook) => hook.name === name);
  if (found !== undefined) return found.id;
  throw new ClientError(3, "not-found", `there is no hook ${name}`, { hint: "robur hook ls" });
}
